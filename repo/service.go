// Package repo is the data role: what is stored, who may change it in which
// transaction, and what is cached of it. Service serves the role's contract
// over a Store, the engine behind it.
package repo

import (
	"context"
	"log/slog"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gochat-im/gochat/platform/cache"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

// Service implements RepoService: a store with caches before it. A mutation forgets what it may have changed after its
// commit and before its caller is answered, also when it failed: an ended context does not tell what was committed.
type Service struct {
	log      *slog.Logger
	store    Store
	users    cache.Cache[int64, *repopb.User]
	sessions cache.Cache[int64, *repopb.Session]
	senders  cache.Cache[Sender, *repopb.SenderState]
	routes   cache.Cache[int64, *repopb.Route]
	groups   cache.Cache[int64, *repopb.Group] // without my_role
}

var _ repopb.RepoServiceServer = (*Service)(nil)

// New serves the contract over a store, which it owns.
func New(store Store, cfg CacheConfig, log *slog.Logger, reg prometheus.Registerer) *Service {
	return &Service{
		log:      log,
		store:    store,
		users:    byID[*repopb.User]("users", cfg.Users, cfg.Shared, reg),
		sessions: byID[*repopb.Session]("sessions", cfg.Sessions, cfg.Shared, reg),
		senders: cache.New(cfg.Shared, cache.Config[Sender, *repopb.SenderState]{
			Name: "senders", MaxEntries: cfg.Senders, Key: senderKey, Value: cache.Proto[*repopb.SenderState](),
		}, reg),
		routes: byID[*repopb.Route]("routes", cfg.Routes, cfg.Shared, reg),
		groups: byID[*repopb.Group]("groups", cfg.Routes, cfg.Shared, reg),
	}
}

// Close finishes what was accepted and closes the store.
func (s *Service) Close(context.Context) error { return s.store.Close() }

// Backup implements RepoService.
func (s *Service) Backup(ctx context.Context, r *repopb.BackupRequest) (*repopb.BackupResponse, error) {
	if !filepath.IsAbs(r.GetPath()) {
		return nil, errs.InvalidField("path", "must be absolute")
	}
	return s.store.Backup(ctx, r)
}

// Stats implements RepoService.
func (s *Service) Stats(ctx context.Context, _ *repopb.Empty) (*repopb.StatsResponse, error) {
	return s.store.Stats(ctx)
}

// empty makes the empty answer of a call that only fails or not.
func empty(err error) (*repopb.Empty, error) {
	if err != nil {
		return nil, err
	}
	return &repopb.Empty{}, nil
}
