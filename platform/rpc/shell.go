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
)

// requestIDKey is the metadata key of the request id.
const requestIDKey = "x-request-id"

// DefaultTimeout ends a call whose caller set no deadline. Callers of what takes longer (a backup) set their own.
const DefaultTimeout = 30 * time.Second

// serverShell recovers panics, translates errors, bounds the call and takes over the caller's request id.
func serverShell(log *slog.Logger, m *Metrics) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
		start := time.Now()
		if md, ok := metadata.FromIncomingContext(ctx); ok {
			if ids := md.Get(requestIDKey); len(ids) == 1 {
				ctx = obs.WithRequestID(ctx, ids[0])
			}
		}
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

// clientShell bounds the call, sends the request id along and translates errors back. b may be nil.
func clientShell(b *breaker, m *Metrics) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		start := time.Now()
		ctx, cancel := bounded(ctx)
		defer cancel()
		if id := obs.RequestID(ctx); id != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, requestIDKey, id)
		}
		err := b.do(ctx, func() error { return FromStatus(invoke(ctx, method, req, reply, cc, opts...)) })
		m.called(method, err, time.Since(start))
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
