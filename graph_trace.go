package main

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"

	"github.com/gochat-im/gochat/gateway"
	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/logic"
	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/rpc"
	"github.com/gochat-im/gochat/platform/trace"
	"github.com/gochat-im/gochat/repo"
	"github.com/gochat-im/gochat/repo/repopb"
)

// traces provides the tracer. Where there is one, calls between the roles of this process are spans like those between
// processes: only then do they go through a connection.
func traces(cfg Config) fx.Option {
	opts := []fx.Option{fx.Provide(func(lc fx.Lifecycle, log *slog.Logger, reg prometheus.Registerer) (*trace.Tracer, error) {
		host, _ := os.Hostname()
		process := trace.Process{Version: version, Roles: cfg.Roles.Run, ID: fmt.Sprintf("%s/%d", host, os.Getpid())}
		t, err := trace.Open(cfg.Trace, process, log, reg)
		if err != nil {
			return nil, usageError{fmt.Errorf("trace.%w", err)}
		}
		lc.Append(fx.StopHook(t.Close))
		return t, nil
	})}
	if !cfg.Trace.Enabled() {
		return fx.Options(opts...)
	}
	if cfg.Roles.local("repo") {
		opts = append(opts, fx.Decorate(func(s repopb.RepoServiceServer) repopb.RepoServiceServer {
			return repo.NewRemote(rpc.InProcess(&repopb.RepoService_ServiceDesc, s))
		}))
	}
	if cfg.Roles.local("logic") {
		opts = append(opts, fx.Decorate(func(s logicpb.LogicServiceServer) logicpb.LogicServiceServer {
			return logic.NewRemote(rpc.InProcess(&logicpb.LogicService_ServiceDesc, s))
		}))
	}
	if cfg.Roles.local("gateway") {
		opts = append(opts, fx.Decorate(func(s gatewaypb.GatewayServiceServer) gatewaypb.GatewayServiceServer {
			return gateway.NewRemote(rpc.InProcess(&gatewaypb.GatewayService_ServiceDesc, s))
		}))
	}
	return fx.Options(opts...)
}
