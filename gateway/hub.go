package gateway

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
)

// Hub knows the connections of this process and brings results and events to
// them. It implements GatewayService and depends on no other role.
type Hub struct {
	gatewaypb.UnimplementedGatewayServiceServer

	cfg    Config
	log    *slog.Logger
	id     string
	lastID atomic.Int64

	waitersMu sync.Mutex
	waiters   map[int64]chan *gatewaypb.Result
}

// NewHub makes a hub without connections.
func NewHub(cfg Config, log *slog.Logger, reg prometheus.Registerer) *Hub {
	h := &Hub{cfg: cfg, log: log, waiters: map[int64]chan *gatewaypb.Result{}}
	var b [16]byte
	_, _ = rand.Read(b[:])
	h.id = hex.EncodeToString(b[:8])
	// A random base keeps ids of different lives of the process apart.
	h.lastID.Store(int64(binary.LittleEndian.Uint64(b[8:]) >> 2 &^ (1<<32 - 1)))
	return h
}

func (h *Hub) nextID() int64 { return h.lastID.Add(1) }

func (h *Hub) observeAck(*gatewaypb.Origin) {}

func stampReceived(*gatewaypb.Origin, time.Time) {}

// Deliver implements GatewayService.
func (h *Hub) Deliver(_ context.Context, req *gatewaypb.DeliverRequest) (*gatewaypb.DeliverResponse, error) {
	for _, r := range req.GetResults() {
		h.answerWaiter(r)
	}
	return &gatewaypb.DeliverResponse{}, nil
}
