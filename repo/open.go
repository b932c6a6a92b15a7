package repo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gochat-im/gochat/repo/internal/postgres"
	"github.com/gochat-im/gochat/repo/internal/sqlite"
)

// Open opens the store that cfg names, migrating it first. reg may be nil.
func Open(ctx context.Context, cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Service, error) {
	store, err := openStore(ctx, cfg, log, reg)
	if err != nil {
		return nil, err
	}
	return New(store, cfg.Cache, log, reg), nil
}

func openStore(ctx context.Context, cfg Config, log *slog.Logger, reg prometheus.Registerer) (Store, error) {
	if cfg.Store == StorePostgres {
		store, err := postgres.Open(ctx, postgres.Options{
			URL:                 cfg.Postgres.URL,
			ReplicaURL:          cfg.Postgres.ReplicaURL,
			MaxConns:            cfg.Postgres.MaxConns,
			MinConns:            cfg.Postgres.MinConns,
			ConnectTimeout:      cfg.Postgres.ConnectTimeout,
			StatementTimeout:    cfg.Postgres.StatementTimeout,
			Writers:             cfg.Postgres.Writers,
			QueueSize:           cfg.WriteQueue,
			LargeGroupThreshold: cfg.LargeGroupThreshold,
		}, log, reg)
		if _, replica := errors.AsType[*postgres.ReplicaError](err); replica {
			return nil, fmt.Errorf("postgres.replica_url: %w", err)
		}
		if err != nil {
			return nil, fmt.Errorf("postgres.url: %w", err)
		}
		return store, nil
	}
	store, err := sqlite.Open(ctx, sqlite.Options{
		Path:                filepath.Join(cfg.DataDir, sqlite.FileName),
		Readers:             cfg.Readers,
		QueueSize:           cfg.WriteQueue,
		WriterCache:         cfg.WriterCacheBytes,
		ReaderCache:         cfg.ReaderCacheBytes,
		MaxCachedHeads:      cfg.Cache.Conversations,
		MaxCachedLists:      cfg.Cache.Memberships,
		LargeGroupThreshold: cfg.LargeGroupThreshold,
	}, log, reg)
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	return store, nil
}

// Migrate brings the store's schema up to date without serving it.
func Migrate(ctx context.Context, cfg Config) error {
	if cfg.Store == StorePostgres {
		if err := postgres.Migrate(ctx, cfg.Postgres.URL, cfg.Postgres.ConnectTimeout); err != nil {
			return fmt.Errorf("postgres.url: %w", err)
		}
		return nil
	}
	if err := sqlite.Migrate(ctx, filepath.Join(cfg.DataDir, sqlite.FileName)); err != nil {
		return fmt.Errorf("open the store: %w", err)
	}
	return nil
}
