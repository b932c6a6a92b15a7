package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/fx"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/gochat-im/gochat/gateway"
	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/logic"
	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/registry"
	"github.com/gochat-im/gochat/platform/rpc"
	"github.com/gochat-im/gochat/platform/trace"
	"github.com/gochat-im/gochat/repo"
	"github.com/gochat-im/gochat/repo/repopb"
	"github.com/gochat-im/gochat/task"
	"github.com/gochat-im/gochat/task/taskpb"
)

// trust provides what calls between processes need.
func trust(r RolesConfig) fx.Option {
	return fx.Provide(
		rpc.NewMetrics,
		func() (*rpc.Credentials, error) {
			c, err := r.trust().Credentials()
			if err != nil {
				return nil, usageError{fmt.Errorf("roles.%w", err)}
			}
			return c, nil
		},
		func(lc fx.Lifecycle, c *rpc.Credentials, log *slog.Logger, m *rpc.Metrics) *rpc.Dialer {
			d := rpc.NewDialer(c, log, m)
			lc.Append(fx.StopHook(d.Close))
			return d
		},
	)
}

// port serves the roles of this process to the others. They may need it before it can do all of its work, as it needs
// them: it answers from serve on, and until stop, which comes later in the start's order and so before what it stands on.
func port(l net.Listener) (serve, stop fx.Option) {
	type local struct {
		fx.In
		Hub   *gateway.Hub   `optional:"true"`
		Logic *logic.Service `optional:"true"`
		Repo  *repo.Service  `optional:"true"`
		Task  *task.Service  `optional:"true"`
	}
	var server *rpc.Server
	var once sync.Once
	end := func(ctx context.Context) (err error) {
		once.Do(func() {
			if server != nil {
				err = server.Stop(ctx)
			}
		})
		return err
	}
	serve = fx.Invoke(func(lc fx.Lifecycle, c *rpc.Credentials, log *slog.Logger, m *rpc.Metrics, tracer *trace.Tracer, roles local) {
		lc.Append(fx.Hook{
			OnStart: func(context.Context) error {
				server = rpc.Serve(l, c, log, m, tracer, func(r grpc.ServiceRegistrar) { //nolint:contextcheck // calls have their own
					if roles.Hub != nil {
						gatewaypb.RegisterGatewayServiceServer(r, roles.Hub)
					}
					if roles.Logic != nil {
						logicpb.RegisterLogicServiceServer(r, roles.Logic)
					}
					if roles.Repo != nil {
						repopb.RegisterRepoServiceServer(r, roles.Repo)
					}
					if roles.Task != nil {
						taskpb.RegisterTaskServiceServer(r, roles.Task)
					}
				})
				return nil
			},
			OnStop: end, // of a start that failed
		})
	})
	return serve, fx.Invoke(func(lc fx.Lifecycle) { lc.Append(fx.StopHook(end)) })
}

// waitForPeers holds the start up until every role of other processes that this one needs answers: in whatever order they
// start.
func waitForPeers(ctx context.Context, cfg Config) fx.Option {
	type in struct {
		fx.In
		Dialer *rpc.Dialer `optional:"true"`
	}
	return fx.Invoke(func(lc fx.Lifecycle, log *slog.Logger, p in) {
		if p.Dialer == nil {
			return
		}
		lc.Append(fx.StartHook(func() error {
			var all errgroup.Group
			for _, c := range p.Dialer.Needed() {
				all.Go(func() error {
					role := c.Target().Name
					err := patiently(ctx, cfg.Roles.Wait, log, role, c.Check)
					switch {
					case errors.Is(err, rpc.ErrRefused):
						return usageError{fmt.Errorf("roles.secret: the %s at %s does not accept it", role, c.Target().Address)}
					case err != nil:
						return fmt.Errorf("roles.%s.address: %w", role, err)
					}
					return nil
				})
			}
			return all.Wait()
		}))
	})
}

// join lets the gateway of this process be found by the others.
func join(ctx context.Context, cfg Config, l net.Listener) fx.Option {
	return fx.Invoke(func(lc fx.Lifecycle, log *slog.Logger, r *gateway.Router) {
		address := gateway.Unreachable(folderID(cfg.DataDir))
		if l != nil {
			address = cfg.Roles.advertised(l.Addr())
		}
		lc.Append(fx.StartStopHook(func() error {
			return patiently(ctx, cfg.Roles.Wait, log, "registry", func(ctx context.Context) error { return r.Join(ctx, address) })
		}, r.Leave))
	})
}

// agree refuses what processes must not differ in, and a store that only one of them may have.
func agree(ctx context.Context, cfg Config) fx.Option {
	type in struct {
		fx.In
		Logic *logic.Service `optional:"true"`
		Repo  *repo.Service  `optional:"true"`
	}
	return fx.Invoke(func(lc fx.Lifecycle, log *slog.Logger, reg registry.Registry, p in) {
		same := func(name, value, refusal string) {
			lc.Append(fx.StartHook(func() error {
				return patiently(ctx, cfg.Roles.Wait, log, "registry", func(ctx context.Context) error {
					agreed, err := reg.Agree(ctx, name, value)
					if err == nil && agreed != value {
						return usageError{errors.New(refusal)}
					}
					return err
				})
			}))
		}
		if p.Logic != nil {
			same("signing-key", p.Logic.OldestKey(), "logic.key_dir: another process that runs logic signs with other keys: give all the same folder")
		}
		if p.Repo != nil && cfg.Store == "sqlite" {
			same("sqlite", folderID(cfg.DataDir), "store: sqlite belongs to one process, and another one that runs repo has its own")
		}
	})
}

// folderID tells a data folder from every other one, also of other machines.
func folderID(dir string) string {
	host, _ := os.Hostname()
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	sum := sha256.Sum256([]byte(host + "\x00" + dir))
	return hex.EncodeToString(sum[:8])
}

const (
	patientTry   = 3 * time.Second // of one try
	patientPause = 200 * time.Millisecond
	patientLog   = 5 * time.Second // between two lines that say what is waited for
)

// patiently tries until it succeeds or wait is over. Only what is not there yet is waited for.
func patiently(ctx context.Context, wait time.Duration, log *slog.Logger, what string, try func(context.Context) error) error {
	end := time.Now().Add(wait)
	var told time.Time
	for {
		bounded, cancel := context.WithTimeout(ctx, patientTry)
		err := try(bounded)
		cancel()
		code := errs.CodeOf(err)
		if err == nil || code != errs.Unavailable && code != errs.Timeout || errors.Is(err, rpc.ErrRefused) {
			return err
		}
		if ctx.Err() != nil || time.Now().After(end) {
			return fmt.Errorf("not within %v: %w", wait, err)
		}
		if time.Since(told) >= patientLog {
			told = time.Now()
			log.InfoContext(ctx, "waiting", "for", what, "error", err)
		}
		select {
		case <-time.After(patientPause):
		case <-ctx.Done():
		}
	}
}
