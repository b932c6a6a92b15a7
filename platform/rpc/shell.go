package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/obs"
	"github.com/gochat-im/gochat/platform/trace"
)

// requestIDKey is the metadata key of the request id.
const requestIDKey = "x-request-id"

// DefaultTimeout ends a call whose caller set no deadline. Callers of what takes longer (a backup) set their own.
const DefaultTimeout = 30 * time.Second

// serverShell recovers panics, translates errors, bounds the call and takes over the caller's request id and trace.
func serverShell(log *slog.Logger, m *Metrics, tracer *trace.Tracer) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
		start := time.Now()
		md, _ := metadata.FromIncomingContext(ctx)
		if ids := md.Get(requestIDKey); len(ids) == 1 {
			ctx = obs.WithRequestID(ctx, ids[0])
		}
		ctx, span := tracer.Continue(ctx, shortName(info.FullMethod), callerOf(md)) //nolint:contextcheck // nothing is called under it
		ctx, cancel := bounded(ctx)
		defer cancel()
		defer func() {
			if p := recover(); p != nil {
				err = recovered(ctx, log, info.FullMethod, p)
			}
			if err != nil {
				log.DebugContext(ctx, "call failed", "method", info.FullMethod, "error", err)
			}
			m.served(info.FullMethod, err, time.Since(start))
			span.End(err)
			err = ToStatus(err)
		}()
		return handler(ctx, req)
	}
}

// streamShell is what serverShell is, for the streams of health and reflection. They end with the server.
func streamShell(log *slog.Logger, stop <-chan struct{}) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
		ctx, cancel := context.WithCancel(stream.Context())
		defer cancel()
		ended := make(chan struct{})
		defer close(ended)
		go func() {
			select {
			case <-stop:
				cancel()
			case <-ended:
			}
		}()
		defer func() {
			if p := recover(); p != nil {
				err = ToStatus(recovered(ctx, log, info.FullMethod, p))
			}
		}()
		return handler(srv, boundStream{stream, ctx})
	}
}

// boundStream is a stream whose context ends with the server.
type boundStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s boundStream) Context() context.Context { return s.ctx }

func recovered(ctx context.Context, log *slog.Logger, method string, p any) error {
	log.ErrorContext(ctx, "panic in a call", "method", method, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	return errs.New(errs.Internal, "internal error")
}

// callerOf returns the span that a call comes from; nil: none.
func callerOf(md metadata.MD) *trace.Ref {
	return trace.Read(func(name string) string {
		if values := md.Get(name); len(values) == 1 {
			return values[0]
		}
		return ""
	})
}

// clientShell bounds the call, sends the request id and the trace along and translates errors back. b may be nil.
func clientShell(b *breaker, m *Metrics) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		start := time.Now()
		ctx, cancel := bounded(ctx)
		defer cancel()
		if id := obs.RequestID(ctx); id != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, requestIDKey, id)
		}
		ctx, span := trace.Start(ctx, shortName(method), trace.Outgoing)
		span.Ref().Write(func(name, value string) { ctx = metadata.AppendToOutgoingContext(ctx, name, value) }) //nolint:contextcheck // nothing is called under it
		err := b.do(ctx, func() error { return FromStatus(invoke(ctx, method, req, reply, cc, opts...)) })
		m.called(method, err, time.Since(start))
		span.End(err)
		return err
	}
}

// bounded gives a context without a deadline the default one.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, DefaultTimeout)
}
