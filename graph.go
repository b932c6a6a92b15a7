package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"
	"google.golang.org/grpc"

	"github.com/gochat-im/gochat/gateway"
	"github.com/gochat-im/gochat/logic"
	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/bus/embedded"
	"github.com/gochat-im/gochat/platform/bus/kafka"
	"github.com/gochat-im/gochat/platform/datadir"
	"github.com/gochat-im/gochat/platform/obs"
	"github.com/gochat-im/gochat/platform/rpc"
	"github.com/gochat-im/gochat/platform/trace"
	"github.com/gochat-im/gochat/repo"
	"github.com/gochat-im/gochat/repo/repopb"
	"github.com/gochat-im/gochat/task"
	"github.com/gochat-im/gochat/task/taskpb"
)

// listeners are the sockets that serve opened before it built the graph, so
// that a taken port is told before anything is migrated or generated.
type listeners struct {
	public  net.Listener // nil: no gateway here
	private net.Listener // nil: none
	roles   net.Listener // nil: no other process reaches this one
}

// process is the graph of one process. Its parts start in this order, and stop in the opposite one. Starting gives up when
// ctx ends.
func process(ctx context.Context, cfg Config, dir *datadir.Dir, log *slog.Logger, on listeners) fx.Option {
	serve, stop := fx.Options(), fx.Options()
	if on.roles != nil {
		serve, stop = port(on.roles)
	}
	opts := []fx.Option{
		roles(cfg, dir, log), //nolint:contextcheck // what it opens is the process's, not the start's
		private(cfg, on), agree(ctx, cfg), serve, waitForPeers(ctx, cfg), startBus(cfg),
		adminSocket(dir.AdminSocket()), //nolint:contextcheck // calls have their own
		stop,
	}
	if cfg.Roles.local("gateway") && on.public != nil {
		if cfg.Cache != "embedded" {
			opts = append(opts, join(ctx, cfg, on.roles))
		}
		opts = append(opts, public(cfg, on.public))
	}
	return fx.Options(append(opts, fx.Supply(&phase{}), phases())...)
}

// roles provides the roles of this process, and the way to those that it has an address of.
func roles(cfg Config, dir *datadir.Dir, log *slog.Logger) fx.Option {
	if cfg.Logic.KeyDir == "" {
		cfg.Logic.KeyDir = dir.Keys()
	}
	r := cfg.Roles
	opts := []fx.Option{
		fx.StartTimeout(cfg.ShutdownTimeout + r.Wait),
		fx.StopTimeout(cfg.ShutdownTimeout),
		fx.WithLogger(func() fxevent.Logger { return fxevent.NopLogger }),
		fx.Supply(log),
		fx.Provide(
			obs.NewRegistry,
			func(r *prometheus.Registry) prometheus.Registerer { return r },
			func(log *slog.Logger, reg prometheus.Registerer) (bus.Bus, error) { return newBus(cfg, log, reg) },
		),
		sharing(cfg), traces(cfg),
	}
	if r.crosses() {
		opts = append(opts, trust(r))
	}
	if r.local("repo") {
		opts = append(opts, repo.Local(cfg.Repo))
	} else if r.Repo.Address != "" {
		opts = append(opts, repo.Remote(r.Repo.Address, r.needs("repo")))
	}
	if r.local("logic") {
		opts = append(opts, logic.Local(cfg.Logic))
	} else if r.Logic.Address != "" {
		opts = append(opts, logic.Remote(r.Logic.Address, r.needs("logic")))
	}
	if r.local("task") {
		opts = append(opts, task.Local(cfg.Task))
	} else if r.Task.Address != "" {
		opts = append(opts, task.Remote(r.Task.Address, false))
	}
	if r.local("gateway") {
		opts = append(opts, gateway.Local(cfg.Gateway, cfg.Cache != "embedded"))
	} else if r.talk() > 0 {
		opts = append(opts, gateway.Remote())
	}
	return fx.Options(opts...)
}

// startBus starts the bus after those that subscribe, which they do while they are built, and stops it before any.
func startBus(cfg Config) fx.Option {
	if cfg.Roles.talk() == 0 {
		return fx.Options()
	}
	type consumers struct {
		fx.In
		Logic *logic.Service `optional:"true"`
		Task  *task.Service  `optional:"true"`
	}
	return fx.Invoke(func(lc fx.Lifecycle, b bus.Bus, tracer *trace.Tracer, _ consumers) {
		lc.Append(fx.StartStopHook(func(ctx context.Context) error { return b.Start(tracer.Into(ctx)) }, b.Stop))
	})
}

// newBus makes the bus of this process.
func newBus(cfg Config, log *slog.Logger, reg prometheus.Registerer) (bus.Bus, error) {
	if cfg.Bus == "kafka" {
		return kafka.New(cfg.Kafka, log, reg)
	}
	return embedded.New(cfg.EmbeddedBus, log, reg), nil
}

// adminApp is the roles without listeners: a server for one command of the operator. It takes no work from servers
// that share a bus with it; what it publishes is theirs to do.
func adminApp(cfg Config, dir *datadir.Dir) *fx.App {
	return fx.New(
		process(context.Background(), cfg, dir, slog.New(slog.DiscardHandler), listeners{}),
		withoutShared(cfg),
	)
}

// withoutShared leaves the topics of a bus that other processes use to them.
func withoutShared(cfg Config) fx.Option {
	if cfg.Bus == "embedded" {
		return fx.Options()
	}
	return fx.Decorate(func(b bus.Bus) bus.Bus { return publishOnly{b} })
}

// publishOnly is a bus without handlers.
type publishOnly struct{ bus.Bus }

// Subscribe implements bus.Bus: the topic is left to other processes.
func (publishOnly) Subscribe(bus.Topic, bus.Handler) error { return nil }

// services are the contracts that this process runs or reaches.
type services struct {
	fx.In
	Logic logicpb.LogicServiceServer `optional:"true"`
	Repo  repopb.RepoServiceServer   `optional:"true"`
	Task  taskpb.TaskServiceServer   `optional:"true"`
}

func (s services) register(r grpc.ServiceRegistrar) {
	if s.Logic != nil {
		logicpb.RegisterLogicServiceServer(r, s.Logic)
	}
	if s.Repo != nil {
		repopb.RegisterRepoServiceServer(r, s.Repo)
	}
	if s.Task != nil {
		taskpb.RegisterTaskServiceServer(r, s.Task)
	}
}

// adminSocket serves the operator's commands on a socket that only the data folder's owner can open.
func adminSocket(path string) fx.Option {
	return fx.Invoke(func(lc fx.Lifecycle, log *slog.Logger, s services) error {
		server, err := rpc.ServeUnix(path, log, s.register)
		if err != nil {
			return fmt.Errorf("open the admin socket: %w", err)
		}
		lc.Append(fx.StopHook(server.Stop))
		return nil
	})
}

// readiness is what decides whether the process is ready: its phase, the store, where it is this process's, and the roles of
// other processes that it needs.
type readiness struct {
	fx.In
	Phase  *phase
	Store  *repo.Service `optional:"true"`
	Dialer *rpc.Dialer   `optional:"true"`
	Shared condition
}

// needed says what each part that the process cannot do without lacks; nil: nothing.
func (r readiness) needed(ctx context.Context) map[string]error {
	all := map[string]error{}
	if err := r.Phase.err(); err != nil {
		all["process"] = err
	}
	if r.Store != nil {
		_, all["store"] = r.Store.Stats(ctx, &repopb.Empty{})
	}
	if r.Dialer != nil {
		for _, c := range r.Dialer.Needed() {
			all[c.Target().Name] = c.Check(ctx)
		}
	}
	return all
}

// private serves the private listener; it starts first and stops last.
func private(cfg Config, on listeners) fx.Option {
	return fx.Invoke(func(lc fx.Lifecycle, log *slog.Logger, reg *prometheus.Registry, ready readiness) {
		if on.private == nil {
			return
		}
		details := func(ctx context.Context) map[string]error {
			all := ready.needed(ctx)
			maps.Copy(all, ready.Shared())
			return all
		}
		server := gateway.NewHTTPServer(cfg.Gateway.HTTP, obs.PrivateHandler(reg, details), log)
		server.ReadTimeout, server.WriteTimeout = 0, 0 // a CPU profile takes as long as it was asked to
		lc.Append(serveHook(log, server, on.private))
	})
}

// public serves the public listener; it starts last and stops first.
func public(cfg Config, l net.Listener) fx.Option {
	return fx.Invoke(func(lc fx.Lifecycle, log *slog.Logger, server *gateway.Server, ready readiness) {
		server.SetReady(func(ctx context.Context) error {
			return errors.Join(slices.Collect(maps.Values(ready.needed(ctx)))...)
		})
		hook := serveHook(log, gateway.NewHTTPServer(cfg.Gateway.HTTP, server.Handler(), log), gateway.NewListener(l, log))
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
