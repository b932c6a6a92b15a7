package logic

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/limit"
	"github.com/gochat-im/gochat/repo/repopb"
)

// Local runs the role in this process.
func Local(cfg Config) fx.Option {
	return fx.Module("logic", fx.Provide(
		func(lc fx.Lifecycle, repo repopb.RepoServiceServer, gateways gatewaypb.GatewayServiceServer, b bus.Bus, limits limit.Maker, log *slog.Logger, reg prometheus.Registerer) (logicpb.LogicServiceServer, error) {
			cfg.Login.Maker = limits
			s, err := New(cfg, repo, gateways, b, log, reg)
			if err != nil {
				return nil, err
			}
			lc.Append(fx.StopHook(s.Close))
			return s, nil
		},
	))
}
