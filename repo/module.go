package repo

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"

	"github.com/gochat-im/gochat/platform/cache"
	"github.com/gochat-im/gochat/repo/repopb"
)

// Local runs the role in this process. Its caches have a second level when the *cache.Shared that it is given is not nil.
func Local(cfg Config) fx.Option {
	return fx.Module("repo", fx.Provide(
		func(lc fx.Lifecycle, log *slog.Logger, shared *cache.Shared, reg prometheus.Registerer) (repopb.RepoServiceServer, error) {
			cfg.Cache.Shared = shared
			s, err := Open(context.Background(), cfg, log, reg)
			if err != nil {
				return nil, err
			}
			lc.Append(fx.StopHook(s.Close))
			return s, nil
		},
	))
}
