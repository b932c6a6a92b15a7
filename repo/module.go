package repo

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"

	"github.com/gochat-im/gochat/platform/cache"
	"github.com/gochat-im/gochat/platform/rpc"
	"github.com/gochat-im/gochat/repo/repopb"
)

// Local runs the role in this process. Its caches have a second level when the *cache.Shared that it is given is not nil.
func Local(cfg Config) fx.Option {
	return fx.Module("repo", fx.Provide(
		func(lc fx.Lifecycle, log *slog.Logger, shared *cache.Shared, reg prometheus.Registerer) (*Service, error) {
			cfg.Cache.Shared = shared
			s, err := Open(context.Background(), cfg, log, reg)
			if err != nil {
				return nil, err
			}
			lc.Append(fx.StopHook(s.Close))
			return s, nil
		},
		func(s *Service) repopb.RepoServiceServer { return s },
	))
}

// Remote provides the role of other processes. needed says that this one is not ready without it.
func Remote(address string, needed bool) fx.Option {
	return fx.Module("repo", fx.Provide(func(d *rpc.Dialer) (repopb.RepoServiceServer, error) {
		conn, err := d.Dial(rpc.Target{Name: "repo", Address: address, Service: repopb.RepoService_ServiceDesc.ServiceName, Needed: needed})
		if err != nil {
			return nil, err
		}
		return NewRemote(conn), nil
	}), fx.Invoke(func(repopb.RepoServiceServer) {})) // it connects at once
}
