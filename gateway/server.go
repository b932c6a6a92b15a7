package gateway

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/bus"
)

// Server is the public face: it upgrades and reads sockets and answers the
// HTTP API, by asking logic and publishing to the bus.
type Server struct {
	cfg     Config
	hub     *Hub
	logic   logicpb.LogicServiceServer
	bus     bus.Bus
	log     *slog.Logger
	reg     prometheus.Registerer
	handler http.Handler
}

// NewServer makes a server on top of a hub. Close or Drain it in the end.
func NewServer(cfg Config, hub *Hub, logic logicpb.LogicServiceServer, b bus.Bus, log *slog.Logger, reg prometheus.Registerer) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, hub: hub, logic: logic, bus: b, log: log, reg: reg}
	r := chi.NewRouter()
	s.mountHTTP(r)
	r.Get("/ws", s.serveWS)
	s.handler = r
	return s, nil
}

// Handler serves everything that is public.
func (s *Server) Handler() http.Handler { return s.handler }

// Drain stops accepting sockets and closes those that exist over a window.
func (s *Server) Drain(context.Context) error { return nil }

func (s *Server) serveWS(w http.ResponseWriter, r *http.Request) {}
