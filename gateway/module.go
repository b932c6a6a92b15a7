package gateway

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/platform/limit"
	"github.com/gochat-im/gochat/platform/registry"
	"github.com/gochat-im/gochat/platform/rpc"
	"github.com/gochat-im/gochat/platform/trace"
)

// Local provides the hub and the server. The server's handler is mounted, and the server drained, by who listens. For the
// other roles the hub is the gateways, unless there are more, in the registry: then the router is.
func Local(cfg Config, more bool) fx.Option {
	gateways := fx.Provide(func(h *Hub) gatewaypb.GatewayServiceServer { return h })
	if more {
		gateways = Remote()
	}
	return fx.Module("gateway",
		fx.Provide(
			func(limits limit.Maker, tracer *trace.Tracer) Config {
				cfg.Limits.Maker, cfg.Tracer = limits, tracer
				return cfg
			},
			NewHub,
			NewServer,
		),
		gateways,
	)
}

// Remote provides the gateways of the registry.
func Remote() fx.Option {
	type in struct {
		fx.In
		Hub      *Hub        `optional:"true"`
		Dialer   *rpc.Dialer `optional:"true"`
		Registry registry.Registry
		Log      *slog.Logger
		Metrics  prometheus.Registerer
	}
	return fx.Provide(
		func(lc fx.Lifecycle, p in) *Router {
			r := NewRouter(p.Registry, p.Hub, p.Dialer, p.Log, p.Metrics)
			lc.Append(fx.StopHook(r.Close))
			return r
		},
		func(r *Router) gatewaypb.GatewayServiceServer { return r },
	)
}
