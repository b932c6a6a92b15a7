package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/fx"

	"github.com/gochat-im/gochat/platform/datadir"
	"github.com/gochat-im/gochat/platform/memory"
	"github.com/gochat-im/gochat/platform/obs"
	"github.com/gochat-im/gochat/repo"
)

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server until SIGTERM or SIGINT. It then stops accepting, finishes what
it accepted, closes the sockets politely and exits with 0.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			return serve(ctx, cfg, os.Stderr)
		},
	}
	addSettingFlags(cmd.Flags())
	return cmd
}

// serve runs the server until ctx ends.
func serve(ctx context.Context, cfg Config, stderr *os.File) error {
	log, err := obs.NewLogger(cfg.Log.Level, cfg.Log.Format, stderr)
	if err != nil {
		return usageError{fmt.Errorf("log: %w", err)}
	}
	on, err := listen(ctx, cfg)
	if err != nil {
		return usageError{err}
	}
	defer on.close()
	dir, err := datadir.Open(cfg.DataDir)
	if err != nil {
		return usageError{err}
	}
	defer dir.Close()

	app := fx.New(process(ctx, cfg, dir, log, on))
	if err := app.Err(); err != nil {
		return rootCause(err)
	}
	// Starting is not bound to ctx: a signal ends what it waits for, and is handled after the rest.
	start, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.ShutdownTimeout+cfg.Roles.Wait)
	defer cancel()
	if err := app.Start(start); err != nil {
		if ctx.Err() != nil {
			log.Info("stopped while starting", "error", rootCause(err))
			return nil
		}
		return rootCause(err)
	}
	rest := memory.Watch()
	defer rest.Stop()
	fmt.Fprintf(stderr, "GoChat %s is ready on %s (data in %s)\n", version, on, cfg.DataDir)

	<-ctx.Done()
	log.Info("stopping")
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.ShutdownTimeout)
	defer cancel()
	if err := app.Stop(stop); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	log.Info("stopped")
	return nil
}

// listen opens the sockets of the listen settings.
func listen(ctx context.Context, cfg Config) (listeners, error) {
	var on listeners
	var lc net.ListenConfig
	for _, l := range []struct {
		setting, address string
		into             *net.Listener
	}{{"listen", cfg.Listen, &on.public}, {"private_listen", cfg.PrivateListen, &on.private}, {"roles.listen", cfg.Roles.Listen, &on.roles}} {
		if l.address == "" || l.into == &on.public && !cfg.Roles.local("gateway") {
			continue
		}
		opened, err := lc.Listen(ctx, "tcp", l.address)
		if err != nil {
			on.close()
			if errors.Is(err, syscall.EADDRINUSE) {
				return listeners{}, fmt.Errorf("%s: %s is taken by another program", l.setting, l.address)
			}
			return listeners{}, fmt.Errorf("%s: %w", l.setting, err)
		}
		*l.into = opened
	}
	return on, nil
}

func (on listeners) close() {
	for _, l := range []net.Listener{on.public, on.private, on.roles} {
		if l != nil {
			l.Close()
		}
	}
}

// String is where this process is reached.
func (on listeners) String() string {
	var all []string
	if on.public != nil {
		all = append(all, "http://"+browsable(on.public.Addr()))
	}
	if on.roles != nil {
		all = append(all, "grpc://"+browsable(on.roles.Addr()))
	}
	return strings.Join(all, ", ")
}

// browsable is an address that a browser on this machine can open.
func browsable(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// rootCause strips the dependency graph's own words, so that an operator reads one line about the setting.
func rootCause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil || !strings.Contains(err.Error(), "go.uber.org/fx") && !strings.Contains(err.Error(), "could not build arguments") && !strings.Contains(err.Error(), "received non-nil error from function") && !strings.Contains(err.Error(), "failed to build") {
			return err
		}
		err = inner
	}
}

func migrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database's schema up to this version (serve does it too)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			where := "at postgres.url"
			if cfg.Store == repo.StoreSQLite {
				dir, err := datadir.Open(cfg.DataDir)
				if err != nil {
					return usageError{err}
				}
				defer dir.Close()
				where = "in " + cfg.DataDir
			}
			if err := repo.Migrate(cmd.Context(), cfg.Repo); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "the database %s is up to date\n", where)
			return err
		},
	}
	addSettingFlags(cmd.Flags())
	return cmd
}
