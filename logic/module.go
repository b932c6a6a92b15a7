package logic

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/limit"
	"github.com/gochat-im/gochat/platform/rpc"
	"github.com/gochat-im/gochat/repo/repopb"
)

// Local runs the role in this process.
func Local(cfg Config) fx.Option {
	return fx.Module("logic", fx.Provide(
		func(lc fx.Lifecycle, repo repopb.RepoServiceServer, gateways gatewaypb.GatewayServiceServer, b bus.Bus, limits limit.Maker, log *slog.Logger, reg prometheus.Registerer) (*Service, error) {
			cfg.Login.Maker = limits
			s, err := New(cfg, repo, gateways, b, log, reg)
			if err != nil {
				return nil, err
			}
			lc.Append(fx.StopHook(s.Close))
			return s, nil
		},
		func(s *Service) logicpb.LogicServiceServer { return s },
	))
}

// Remote provides the role of other processes. needed says that this one is not ready without it.
func Remote(address string, needed bool) fx.Option {
	return fx.Module("logic", fx.Provide(func(d *rpc.Dialer) (logicpb.LogicServiceServer, error) {
		conn, err := d.Dial(rpc.Target{Name: "logic", Address: address, Service: logicpb.LogicService_ServiceDesc.ServiceName, Needed: needed})
		if err != nil {
			return nil, err
		}
		return NewRemote(conn), nil
	}), fx.Invoke(func(logicpb.LogicServiceServer) {})) // it connects at once
}
