package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"
	"google.golang.org/grpc"

	"github.com/gochat-im/gochat/gateway"
	"github.com/gochat-im/gochat/logic"
	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/bus/embedded"
	"github.com/gochat-im/gochat/platform/datadir"
	"github.com/gochat-im/gochat/platform/obs"
	"github.com/gochat-im/gochat/platform/rpc"
	"github.com/gochat-im/gochat/repo"
	"github.com/gochat-im/gochat/repo/repopb"
	"github.com/gochat-im/gochat/task"
	"github.com/gochat-im/gochat/task/taskpb"
)

// listeners are the sockets that serve opened before it built the graph, so
// that a taken port is told before anything is migrated or generated.
type listeners struct {
	public  net.Listener
	private net.Listener // nil: none
}

// roles is the graph of the four roles in one process, with their bus.
func roles(cfg Config, dir *datadir.Dir, log *slog.Logger) fx.Option {
	cfg.Logic.KeyDir = dir.Keys()
	return fx.Options(
		fx.StartTimeout(cfg.ShutdownTimeout),
		fx.StopTimeout(cfg.ShutdownTimeout),
		fx.WithLogger(func() fxevent.Logger { return fxevent.NopLogger }),
		fx.Supply(log),
		fx.Provide(
			obs.NewRegistry,
			func(r *prometheus.Registry) prometheus.Registerer { return r },
			func(log *slog.Logger, reg prometheus.Registerer) bus.Bus {
				return embedded.New(cfg.EmbeddedBus, log, reg)
			},
		),
		sharing(cfg),
		repo.Local(cfg.Repo),
		gateway.Local(cfg.Gateway),
		logic.Local(cfg.Logic),
		task.Local(cfg.Task),
		// Consumers subscribe while they are built, so the bus starts after all of them and stops before any.
		fx.Invoke(func(lc fx.Lifecycle, b bus.Bus, _ logicpb.LogicServiceServer, _ taskpb.TaskServiceServer) {
			lc.Append(fx.StartStopHook(b.Start, b.Stop))
		}),
	)
}

// adminApp is the roles without listeners: a server for one command of the operator.
func adminApp(cfg Config, dir *datadir.Dir) *fx.App {
	return fx.New(roles(cfg, dir, slog.New(slog.DiscardHandler)), adminSocket(dir.AdminSocket()))
}

// adminSocket serves the operator's commands on a socket that only the data folder's owner can open.
func adminSocket(path string) fx.Option {
	return fx.Invoke(func(lc fx.Lifecycle, log *slog.Logger, l logicpb.LogicServiceServer, r repopb.RepoServiceServer, t taskpb.TaskServiceServer) error {
		server, err := rpc.ServeUnix(path, log, func(s grpc.ServiceRegistrar) {
			logicpb.RegisterLogicServiceServer(s, l)
			repopb.RegisterRepoServiceServer(s, r)
			taskpb.RegisterTaskServiceServer(s, t)
		})
		if err != nil {
			return fmt.Errorf("open the admin socket: %w", err)
		}
		lc.Append(fx.StopHook(server.Stop))
		return nil
	})
}

// front serves the public and the private listener; it starts last and stops first.
func front(cfg Config, on listeners) fx.Option {
	return fx.Invoke(func(lc fx.Lifecycle, log *slog.Logger, reg *prometheus.Registry, server *gateway.Server, r repopb.RepoServiceServer, shared condition) {
		ready := func(ctx context.Context) error {
			_, err := r.Stats(ctx, &repopb.Empty{})
			return err
		}
		server.SetReady(ready)
		details := func(ctx context.Context) map[string]error {
			all := map[string]error{"store": ready(ctx)}
			maps.Copy(all, shared())
			return all
		}

		public := gateway.NewHTTPServer(cfg.Gateway.HTTP, server.Handler(), log)
		if on.private != nil {
			private := gateway.NewHTTPServer(cfg.Gateway.HTTP, obs.PrivateHandler(reg, details), log)
			private.ReadTimeout, private.WriteTimeout = 0, 0 // a CPU profile takes as long as it was asked to
			lc.Append(serveHook(log, private, on.private))
		}
		hook := serveHook(log, public, gateway.NewListener(on.public, log))
		stop := hook.OnStop
		hook.OnStop = func(ctx context.Context) error {
			return errors.Join(server.Drain(ctx), stop(ctx))
		}
		lc.Append(hook)
	})
}

// serveHook runs an HTTP server on a listener until it is shut down.
func serveHook(log *slog.Logger, s *http.Server, l net.Listener) fx.Hook {
	done := make(chan struct{})
	return fx.Hook{
		OnStart: func(context.Context) error {
			go func() {
				defer close(done)
				if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
					log.Error("serving ended", "address", l.Addr().String(), "error", err)
				}
			}()
			return nil
		},
		OnStop: func(ctx context.Context) error {
			err := s.Shutdown(ctx)
			<-done
			return err
		},
	}
}
