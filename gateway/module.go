package gateway

import (
	"go.uber.org/fx"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
)

// Local provides the hub, as the gateways of the other roles, and the server.
// The server's handler is mounted, and the server drained, by who listens.
func Local(cfg Config) fx.Option {
	return fx.Module("gateway",
		fx.Supply(cfg),
		fx.Provide(
			NewHub,
			func(h *Hub) gatewaypb.GatewayServiceServer { return h },
			NewServer,
		),
	)
}
