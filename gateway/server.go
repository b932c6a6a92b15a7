package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/limit"
)

// Server is the public face: it upgrades and reads sockets and answers the
// HTTP API, by asking logic and publishing to the bus.
type Server struct {
	cfg      Config
	hub      *Hub
	logic    logicpb.LogicServiceServer
	bus      bus.Bus
	log      *slog.Logger
	reg      prometheus.Registerer
	handler  http.Handler
	connects limit.Limiter
	sends    limit.Limiter
	http     httpSide

	readers  sync.WaitGroup // the reading goroutines
	deadline sharedDeadline

	mu              sync.Mutex // guards what follows
	draining        bool
	unauthenticated map[string]int // sockets by what their addresses are limited as
	strangers       int            // their sum
}

// Keys that the limiters remember.
const maxLimitKeys = 1 << 16

// NewServer makes a server on top of a hub. Drain it in the end.
func NewServer(cfg Config, hub *Hub, logic logicpb.LogicServiceServer, b bus.Bus, log *slog.Logger, reg prometheus.Registerer) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, hub: hub, logic: logic, bus: b, log: log, reg: reg,
		connects:        cfg.Limits.Maker.New("connects", limit.Config{Rate: cfg.Limits.ConnectRate, Burst: cfg.Limits.ConnectBurst}, maxLimitKeys),
		sends:           cfg.Limits.Maker.New("sends", limit.Config{Rate: cfg.Limits.SendRate, Burst: cfg.Limits.SendBurst}, maxLimitKeys),
		unauthenticated: map[string]int{},
	}
	if cfg.Receipts.Every > 0 {
		hub.receipts.start(cfg.Receipts, hub, logic, log)
	}
	r := chi.NewRouter()
	s.mountHTTP(r)
	r.Get("/ws", s.traceUpgrade)
	s.handler = r
	return s, nil
}

// Handler serves everything that is public.
func (s *Server) Handler() http.Handler { return s.handler }

// allowSend takes one send from a user's rate: RateLimited when it is used up.
func (s *Server) allowSend(ctx context.Context, userID int64) error {
	if ok, after := s.sends.Allow(ctx, strconv.FormatInt(userID, 10)); !ok {
		return errs.New(errs.RateLimited, "too many messages").RetryAfter(after)
	}
	return nil
}

// enter counts a socket in, and against its address until it has authenticated.
func (s *Server) enter(address string, exempt, authenticated bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return errDraining
	}
	if !authenticated {
		if s.strangers >= s.cfg.WebSocket.MaxUnauthenticated ||
			!exempt && s.unauthenticated[address] >= s.cfg.Limits.UnauthenticatedPerAddress {
			return errs.New(errs.RateLimited, "too many connections that have not authenticated").RetryAfter(time.Second)
		}
		s.unauthenticated[address]++
		s.strangers++
	}
	s.readers.Add(1)
	return nil
}

// known ends the count of a socket against its address.
func (s *Server) known(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.addr == "" {
		return
	}
	if s.unauthenticated[c.addr]--; s.unauthenticated[c.addr] <= 0 {
		delete(s.unauthenticated, c.addr)
	}
	s.strangers--
	c.addr = ""
}
