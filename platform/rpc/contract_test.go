package rpc_test

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gochat-im/gochat/platform/rpc"
)

// The contract of these tests: two methods that send bytes back, of which one may be repeated.
const (
	echoService = "gochat.rpctest.Echo"
	safeMethod  = "/gochat.rpctest.Echo/Safe"
	onceMethod  = "/gochat.rpctest.Echo/Once"
)

var _ = registerEcho()

func registerEcho() error {
	method := func(name string, level descriptorpb.MethodOptions_IdempotencyLevel) *descriptorpb.MethodDescriptorProto {
		return &descriptorpb.MethodDescriptorProto{
			Name: new(name), InputType: new(".google.protobuf.BytesValue"), OutputType: new(".google.protobuf.BytesValue"),
			Options: &descriptorpb.MethodOptions{IdempotencyLevel: level.Enum()},
		}
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: new("rpctest/echo.proto"), Package: new("gochat.rpctest"), Syntax: new("proto3"),
		Dependency: []string{"google/protobuf/wrappers.proto"},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: new("Echo"), Method: []*descriptorpb.MethodDescriptorProto{
			method("Safe", descriptorpb.MethodOptions_IDEMPOTENT), method("Once", descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN),
		}}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		panic(err)
	}
	return protoregistry.GlobalFiles.RegisterFile(file)
}

// echo serves the contract: answer is what each test sets; nil sends the request back.
type echo struct {
	calls  atomic.Int64
	answer func(ctx context.Context, n int64, in []byte) ([]byte, error)
}

type echoServer interface {
	call(ctx context.Context, in *wrapperspb.BytesValue) (*wrapperspb.BytesValue, error)
}

func (e *echo) call(ctx context.Context, in *wrapperspb.BytesValue) (*wrapperspb.BytesValue, error) {
	n := e.calls.Add(1)
	if e.answer == nil {
		return in, nil
	}
	out, err := e.answer(ctx, n, in.GetValue())
	if err != nil {
		return nil, err
	}
	return wrapperspb.Bytes(out), nil
}

func (e *echo) register(s grpc.ServiceRegistrar) { s.RegisterService(echoDesc(), e) }

func echoDesc() *grpc.ServiceDesc {
	method := func(name, full string) grpc.MethodDesc {
		return grpc.MethodDesc{MethodName: name, Handler: func(srv any, ctx context.Context, dec func(any) error, shell grpc.UnaryServerInterceptor) (any, error) {
			in := &wrapperspb.BytesValue{}
			if err := dec(in); err != nil {
				return nil, err
			}
			return shell(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: full}, func(ctx context.Context, req any) (any, error) {
				return srv.(echoServer).call(ctx, req.(*wrapperspb.BytesValue))
			})
		}}
	}
	return &grpc.ServiceDesc{
		ServiceName: echoService, HandlerType: (*echoServer)(nil), Metadata: "rpctest/echo.proto",
		Methods: []grpc.MethodDesc{method("Safe", safeMethod), method("Once", onceMethod)},
	}
}

const secret = "a-secret-of-tests-0123456789-abcdefgh"

var quiet = slog.New(slog.DiscardHandler)

func credentials(t *testing.T, cfg rpc.Config) *rpc.Credentials {
	t.Helper()
	c, err := cfg.Credentials()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// instance serves e at an address ("" for any) until stop, or hard kill.
type instance struct {
	*rpc.Server
	address string
	t       *testing.T
}

func start(t *testing.T, address string, cred *rpc.Credentials, e *echo) *instance {
	t.Helper()
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return &instance{rpc.Serve(l, cred, quiet, nil, nil, e.register), l.Addr().String(), t}
}

// kill cuts every connection at once.
func (i *instance) kill() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := i.Stop(ctx); err != nil {
		i.t.Error(err)
	}
}

func dial(t *testing.T, d *rpc.Dialer, address string) *rpc.Conn {
	t.Helper()
	conn, err := d.Dial(rpc.Target{Name: "echo", Address: address, Service: echoService})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func invoke(ctx context.Context, conn grpc.ClientConnInterface, method string, in []byte) ([]byte, error) {
	out := &wrapperspb.BytesValue{}
	err := conn.Invoke(ctx, method, wrapperspb.Bytes(in), out)
	return out.GetValue(), err
}

// eventually waits for a condition with a deadline that only broken code reaches.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !condition(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}
