package rpc_test

import (
	"context"
	"net"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/obs"
	"github.com/gochat-im/gochat/platform/rpc"
	"github.com/gochat-im/gochat/platform/trace"
	"github.com/gochat-im/gochat/platform/trace/tracetest"
)

// A call goes on with its caller's trace, over a port as in process.
func TestTracesCross(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		connect func(t *testing.T, tracer *trace.Tracer, e *echo) grpc.ClientConnInterface
		spans   []string
	}{
		"over a port": {overPort, []string{"Echo/Once", "Echo/Once", "request"}},
		"in process": {func(_ *testing.T, _ *trace.Tracer, e *echo) grpc.ClientConnInterface {
			return rpc.InProcess(echoDesc(), e)
		}, []string{"Echo/Once", "request"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			collector := tracetest.Start(t)
			tracer, err := trace.Open(trace.Config{Endpoint: collector.URL, Sample: 1}, trace.Process{}, quiet, nil)
			if err != nil {
				t.Fatal(err)
			}
			var there *trace.Ref
			e := &echo{answer: func(ctx context.Context, _ int64, in []byte) ([]byte, error) {
				there = trace.RefOf(ctx)
				if id := obs.RequestID(ctx); id != "r-1" {
					t.Errorf("request id %q", id)
				}
				if len(in) == 0 {
					return nil, errs.InvalidField("in", "empty")
				}
				return in, nil
			}}
			conn := c.connect(t, tracer, e)
			ctx, span := tracer.Begin(obs.WithRequestID(t.Context(), "r-1"), "request")
			if out, err := invoke(ctx, conn, onceMethod, []byte("x")); err != nil || string(out) != "x" {
				t.Errorf("answer %q, %v", out, err)
			}
			if !there.Attr().Equal(span.Ref().Attr()) {
				t.Errorf("there %v, here %v", there.Attr(), span.Ref().Attr())
			}
			span.End(nil)
			untraced := obs.WithRequestID(t.Context(), "r-1")
			if _, err := invoke(untraced, conn, onceMethod, nil); errs.CodeOf(err) != errs.Invalid || errs.From(err).Details["field"] != "in" || there != nil {
				t.Errorf("without a trace: %v, %v", err, there)
			}
			if err := tracer.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := slices.Sorted(slices.Values(tracetest.Names(collector.Spans()))); !slices.Equal(got, c.spans) {
				t.Errorf("spans: %v", got)
			}
		})
	}
}

func overPort(t *testing.T, tracer *trace.Tracer, e *echo) grpc.ClientConnInterface {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cred := credentials(t, rpc.Config{Secret: secret})
	server := rpc.Serve(l, cred, quiet, nil, tracer, e.register)
	t.Cleanup(func() {
		if err := server.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return dial(t, rpc.NewDialer(cred, quiet, nil), l.Addr().String())
}

// handed notes which request it was given.
type handed struct{ got *wrapperspb.BytesValue }

func (h *handed) call(_ context.Context, in *wrapperspb.BytesValue) (*wrapperspb.BytesValue, error) {
	h.got = in
	return in, nil
}

func TestInProcessPassesPointers(t *testing.T) {
	t.Parallel()
	h := &handed{}
	conn := rpc.InProcess(echoDesc(), h)
	in, out := wrapperspb.Bytes([]byte("x")), &wrapperspb.BytesValue{}
	if err := conn.Invoke(t.Context(), safeMethod, in, out); err != nil || h.got != in || &out.Value[0] != &in.Value[0] {
		t.Errorf("%v: the request or the answer was copied", err)
	}
	if err := conn.Invoke(t.Context(), "/gochat.rpctest.Echo/None", in, out); err == nil {
		t.Error("a method that is not of the contract was called")
	}
	if _, err := conn.NewStream(t.Context(), nil, safeMethod); err == nil {
		t.Error("a stream was opened")
	}
}
