package repo

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"

	"github.com/gochat-im/gochat/repo/repopb"
)

// Local runs the role in this process.
func Local(cfg Config) fx.Option {
	return fx.Module("repo", fx.Provide(
		func(lc fx.Lifecycle, log *slog.Logger, reg prometheus.Registerer) (repopb.RepoServiceServer, error) {
			s, err := Open(context.Background(), cfg, log, reg)
			if err != nil {
				return nil, err
			}
			lc.Append(fx.StopHook(s.Close))
			return s, nil
		},
	))
}
