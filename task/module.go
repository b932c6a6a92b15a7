package task

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/rpc"
	"github.com/gochat-im/gochat/repo/repopb"
	"github.com/gochat-im/gochat/task/taskpb"
)

// Local provides the role in this process; its jobs run while the graph runs.
func Local(cfg Config) fx.Option {
	return fx.Module("task", fx.Provide(
		func(lc fx.Lifecycle, repo repopb.RepoServiceServer, gw gatewaypb.GatewayServiceServer, b bus.Bus, log *slog.Logger, reg prometheus.Registerer) (*Service, error) {
			s, err := New(cfg, repo, gw, b, log, reg)
			if err != nil {
				return nil, err
			}
			lc.Append(fx.StartStopHook(s.Start, s.Stop))
			return s, nil
		},
		func(s *Service) taskpb.TaskServiceServer { return s },
	))
}

// Remote provides the role of other processes. needed says that this one is not ready without it.
func Remote(address string, needed bool) fx.Option {
	return fx.Module("task", fx.Provide(func(d *rpc.Dialer) (taskpb.TaskServiceServer, error) {
		conn, err := d.Dial(rpc.Target{Name: "task", Address: address, Service: taskpb.TaskService_ServiceDesc.ServiceName, Needed: needed})
		if err != nil {
			return nil, err
		}
		return NewRemote(conn), nil
	}), fx.Invoke(func(taskpb.TaskServiceServer) {})) // it connects at once
}
