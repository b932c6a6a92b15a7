package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"

	"github.com/gochat-im/gochat/platform/cache"
	"github.com/gochat-im/gochat/platform/limit"
	"github.com/gochat-im/gochat/platform/obs"
	"github.com/gochat-im/gochat/platform/redis"
	"github.com/gochat-im/gochat/platform/registry"
)

// condition is what a backend contributes to the readiness details: the state of its connections, by name.
type condition func() map[string]error

// sharing provides what processes have in common through Redis (registry, caches, limits), or what serves one process.
func sharing(cfg Config) fx.Option {
	if cfg.Cache != "redis" {
		return fx.Provide(
			registry.NewEmbedded,
			func() *cache.Shared { return nil },
			func() limit.Maker { return nil },
			func() condition { return func() map[string]error { return nil } },
		)
	}
	return fx.Provide(
		func(lc fx.Lifecycle, log *slog.Logger, reg prometheus.Registerer) (*redis.Client, error) {
			client, err := redis.Open(context.Background(), cfg.Redis, redis.Options{Name: "main"}, log, reg)
			if err != nil {
				return nil, fmt.Errorf("redis.%w", err)
			}
			lc.Append(fx.StopHook(client.Close))
			return client, nil
		},
		func(lc fx.Lifecycle, client *redis.Client, log *slog.Logger, reg prometheus.Registerer) registry.Registry {
			r := registry.NewRedis(cfg.Registry, client, log, reg)
			lc.Append(fx.StopHook(r.Close))
			return r
		},
		func(lc fx.Lifecycle, log *slog.Logger, reg prometheus.Registerer) (*cache.Shared, error) {
			shared, err := cache.OpenShared(context.Background(), cfg.Redis, cfg.SharedCache, log, reg)
			if err != nil {
				return nil, fmt.Errorf("redis.%w", err)
			}
			lc.Append(fx.StopHook(shared.Close))
			return shared, nil
		},
		limit.NewRedis,
		func(client *redis.Client, shared *cache.Shared) condition {
			return func() map[string]error {
				return map[string]error{"redis": obs.Degraded(client.Ready()), "redis_cache": obs.Degraded(shared.Ready())}
			}
		},
	)
}
