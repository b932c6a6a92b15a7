package logic

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/limit"
	"github.com/gochat-im/gochat/platform/password"
	"github.com/gochat-im/gochat/platform/token"
	"github.com/gochat-im/gochat/repo/repopb"
)

// limitedKeys bounds how many accounts and addresses the login limits remember.
const limitedKeys = 100_000

// hasher is platform/password as logic needs it.
type hasher interface {
	Hash(ctx context.Context, password string) (string, error)
	Verify(ctx context.Context, hash, password string) (bool, error)
	VerifyDummy(ctx context.Context, password string) error
	NeedsRehash(hash string) bool
}

// Service implements LogicService.
type Service struct {
	cfg       Config
	repo      repopb.RepoServiceServer
	gateways  gatewaypb.GatewayServiceServer
	bus       bus.Bus
	log       *slog.Logger
	keys      *token.Keys
	passwords hasher
	byAccount limit.Limiter
	byAddress limit.Limiter
	seen      *lastSeen
	metrics   metrics
	now       func() time.Time
}

var _ logicpb.LogicServiceServer = (*Service)(nil)

// New makes the service and subscribes it to im-upstream-topic. Its signing keys are read from cfg.KeyDir, generated
// when there are none. reg may be nil.
func New(cfg Config, repo repopb.RepoServiceServer, gateways gatewaypb.GatewayServiceServer, b bus.Bus, log *slog.Logger, reg prometheus.Registerer) (*Service, error) {
	keys, err := token.Load(cfg.KeyDir)
	if err != nil {
		return nil, err
	}
	s := &Service{
		cfg: cfg, repo: repo, gateways: gateways, bus: b, log: log, keys: keys,
		passwords: password.New(cfg.Password),
		byAccount: cfg.Login.Maker.New("login-account", cfg.Login.Account, limitedKeys),
		byAddress: cfg.Login.Maker.New("login-address", cfg.Login.Address, limitedKeys),
		metrics:   newMetrics(reg),
		now:       time.Now,
	}
	s.seen = newLastSeen(repo, log, cfg.CallTimeout)
	err = b.Subscribe(bus.Topic{
		Name: logicpb.UpstreamTopic,
		New:  func() proto.Message { return &logicpb.Upstream{} },

		OnDead: s.admitDead,
	}, s.admitBatch)
	if err != nil {
		s.seen.close()
		return nil, fmt.Errorf("subscribe to %s: %w", logicpb.UpstreamTopic, err)
	}
	return s, nil
}

// unhurried is the context of a change with a second step, such as closing sockets: a caller that hangs up between the
// two must not leave it half done.
func (s *Service) unhurried(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), s.cfg.CallTimeout)
}

// OldestKey is the id of the oldest signing key: every process that runs logic must have the same.
func (s *Service) OldestKey() string { return s.keys.Oldest() }

// Close writes what is not written yet. No call may run any more.
func (s *Service) Close() { s.seen.close() }
