package gateway

import (
	"go.uber.org/fx"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/platform/limit"
)

// Local provides the hub, as the gateways of the other roles, and the server.
// The server's handler is mounted, and the server drained, by who listens.
func Local(cfg Config) fx.Option {
	return fx.Module("gateway",
		fx.Provide(
			func(limits limit.Maker) Config {
				cfg.Limits.Maker = limits
				return cfg
			},
			NewHub,
			func(h *Hub) gatewaypb.GatewayServiceServer { return h },
			NewServer,
		),
	)
}
