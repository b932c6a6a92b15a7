package rpctest

import (
	"context"
	"log/slog"
	"net"
	"testing"

	"google.golang.org/grpc"

	"github.com/gochat-im/gochat/platform/rpc"
)

// Secret is what the processes of tests share.
const Secret = "a-secret-of-tests-0123456789-abcdefgh"

// Serve serves contracts on a loopback port of a test, protected by Secret, and returns its address.
func Serve(t testing.TB, register func(grpc.ServiceRegistrar)) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := rpc.Serve(l, testCredentials(t), slog.New(slog.DiscardHandler), nil, nil, register)
	t.Cleanup(func() {
		if err := server.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// Connect serves one contract and returns the way to it: what a role's tests run over, besides the role itself.
func Connect(t testing.TB, service string, register func(grpc.ServiceRegistrar)) *rpc.Conn {
	t.Helper()
	d := rpc.NewDialer(testCredentials(t), slog.New(slog.DiscardHandler), nil)
	conn, err := d.Dial(rpc.Target{Name: "test", Address: Serve(t, register), Service: service})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func testCredentials(t testing.TB) *rpc.Credentials {
	t.Helper()
	c, err := rpc.Config{Secret: Secret, Reflection: true}.Credentials()
	if err != nil {
		t.Fatal(err)
	}
	return c
}
