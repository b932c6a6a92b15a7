package rpc_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/obs"
	"github.com/gochat-im/gochat/platform/rpc"
)

// double is a service whose answer each test sets.
type double struct {
	grpc_health_v1.UnimplementedHealthServer
	check func(ctx context.Context) error
}

func (d *double) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	return &grpc_health_v1.HealthCheckResponse{}, d.check(ctx)
}

func serve(t *testing.T, path string, d *double) (*rpc.Server, grpc_health_v1.HealthClient) {
	t.Helper()
	s, err := rpc.ServeUnix(path, slog.New(slog.DiscardHandler), func(r grpc.ServiceRegistrar) {
		grpc_health_v1.RegisterHealthServer(r, d)
	})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := rpc.DialUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		if err := s.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return s, grpc_health_v1.NewHealthClient(conn)
}

func TestErrorsMeanTheSame(t *testing.T) {
	t.Parallel()
	d := &double{}
	// Longer than a socket's address may be: the folder is the operator's choice.
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 40))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "a.sock")
	_, client := serve(t, path, d)
	if _, err := rpc.ServeUnix(path, slog.New(slog.DiscardHandler), func(grpc.ServiceRegistrar) {}); err == nil {
		t.Error("a second server took over a socket with a long name that answers")
	}
	for code := errs.Invalid; code <= errs.Timeout; code++ {
		d.check = func(context.Context) error {
			return errs.Wrap(code, errors.New("a secret cause"), "what %s says", code).With("field", "x").RetryAfter(3 * time.Second)
		}
		_, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		got := errs.From(err)
		if got.Code != code || got.Message != "what "+code.String()+" says" || got.Details["field"] != "x" || got.Details["retry_after_ms"] != "3000" {
			t.Errorf("code %d came as %+v", code, got)
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("the cause crossed: %v", err)
		}
	}
	for name, c := range map[string]struct {
		check func(context.Context) error
		want  errs.Code
	}{
		"plain error": {func(context.Context) error { return errors.New("secret") }, errs.Internal},
		"panic":       {func(context.Context) error { panic("secret") }, errs.Internal},
		"no error":    {func(context.Context) error { return nil }, errs.OK},
	} {
		d.check = c.check
		_, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		if errs.CodeOf(err) != c.want || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s came as %v", name, err)
		}
	}
}

func TestRequestIDAndDeadlineCross(t *testing.T) {
	t.Parallel()
	d := &double{check: func(ctx context.Context) error {
		if id := obs.RequestID(ctx); id != "r-7" {
			return errs.New(errs.Invalid, "request id %q", id)
		}
		<-ctx.Done()
		return ctx.Err()
	}}
	_, client := serve(t, filepath.Join(t.TempDir(), "a.sock"), d)
	ctx, cancel := context.WithTimeout(obs.WithRequestID(t.Context(), "r-7"), 50*time.Millisecond)
	defer cancel()
	if _, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{}); errs.CodeOf(err) != errs.Timeout {
		t.Errorf("an ended deadline: %v", err)
	}
}

// Without a deadline of the caller a call still ends.
func TestCallsHaveADeadline(t *testing.T) {
	t.Parallel()
	remaining := make(chan time.Duration, 1)
	d := &double{check: func(ctx context.Context) error {
		end, ok := ctx.Deadline()
		if !ok {
			return errs.New(errs.Invalid, "no deadline")
		}
		remaining <- time.Until(end)
		return nil
	}}
	_, client := serve(t, filepath.Join(t.TempDir(), "a.sock"), d)
	if _, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	if left := <-remaining; left <= 0 || left > rpc.DefaultTimeout {
		t.Errorf("%v are left of a call without a deadline, want at most %v", left, rpc.DefaultTimeout)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if _, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	if left := <-remaining; left < 59*time.Minute {
		t.Errorf("the caller's own deadline of an hour became %v", left)
	}
}

// A process killed between making the socket and naming it leaves the temporary one.
func TestSocketAfterAKillHalfway(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.sock")
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path + ".new", Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	left.Close()
	_, client := serve(t, path, &double{check: func(context.Context) error { return nil }})
	if _, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Error(err)
	}
}

func TestSocketIsPrivateAndExclusive(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.sock")
	if err := os.WriteFile(path, nil, 0o600); err != nil { // what a killed process leaves
		t.Fatal(err)
	}
	d := &double{check: func(context.Context) error { return nil }}
	s, client := serve(t, path, d)
	if _, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v, %v", info, err)
	}
	if _, err := rpc.ServeUnix(path, slog.New(slog.DiscardHandler), func(grpc.ServiceRegistrar) {}); err == nil {
		t.Error("a second server took over a socket that answers")
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket stays after Stop: %v", err)
	}
	if _, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); errs.CodeOf(err) != errs.Unavailable {
		t.Errorf("a call to nobody: %v", err)
	}
}
