package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/obs"
)

// requestIDKey is the metadata key of the request id.
const requestIDKey = "x-request-id"

// DefaultTimeout ends a call whose caller set no deadline. Callers of what takes longer (a backup) set their own.
const DefaultTimeout = 30 * time.Second

// UnixServer serves contracts on a Unix socket.
type UnixServer struct {
	server *grpc.Server
	done   chan struct{}
}

// ServeUnix serves on a socket that only the user of this process can open. A socket that a dead process left is
// replaced; one that answers is an error. The folder must belong to this user alone.
func ServeUnix(path string, log *slog.Logger, register func(grpc.ServiceRegistrar)) (*UnixServer, error) {
	l, err := listenUnix(path)
	if err != nil {
		return nil, err
	}
	s := &UnixServer{server: grpc.NewServer(grpc.UnaryInterceptor(serverShell(log))), done: make(chan struct{})}
	register(s.server)
	go func() {
		defer close(s.done)
		if err := s.server.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			log.Error("serving ended", "socket", path, "error", err)
		}
	}()
	return s, nil
}

// Stop refuses new calls, finishes those that run as long as ctx allows, and removes the socket.
func (s *UnixServer) Stop(ctx context.Context) error {
	stopped := make(chan struct{})
	go func() { defer close(stopped); s.server.GracefulStop() }()
	select {
	case <-stopped:
	case <-ctx.Done():
		s.server.Stop()
		<-stopped
	}
	<-s.done
	return nil
}

// listenUnix makes the socket under a temporary name, with its mode, before it gets its own name: it is never open to others.
func listenUnix(path string) (net.Listener, error) {
	// A socket's path is at most 107 bytes (sockaddr_un): from the folder's own descriptor it is short wherever the folder is.
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("open the socket's folder: %w", err)
	}
	defer dir.Close()
	short := fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))
	if conn, err := (&net.Dialer{Timeout: time.Second}).Dial("unix", short); err == nil {
		conn.Close()
		return nil, fmt.Errorf("%s is served by another process", path)
	}
	for _, left := range []string{path, path + ".new"} {
		if err := os.Remove(left); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("replace the old socket: %w", err)
		}
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: short + ".new", Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("open the socket: %w", err)
	}
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(path+".new", 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("protect the socket: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		l.Close()
		return nil, fmt.Errorf("name the socket: %w", err)
	}
	return unlinking{l, path}, nil
}

// unlinking removes the socket when the listener closes.
type unlinking struct {
	net.Listener
	path string
}

func (u unlinking) Close() error {
	_ = os.Remove(u.path)
	return u.Listener.Close()
}

// DialUnix connects to a socket of ServeUnix.
func DialUnix(path string) (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient("passthrough:///admin",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(clientShell),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			dir, err := os.Open(filepath.Dir(path))
			if err != nil {
				return nil, err
			}
			defer dir.Close()
			var d net.Dialer
			return d.DialContext(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)))
		}))
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", path, err)
	}
	return conn, nil
}

// serverShell recovers panics, translates errors and takes over the caller's request id.
func serverShell(log *slog.Logger) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
		if md, ok := metadata.FromIncomingContext(ctx); ok {
			if ids := md.Get(requestIDKey); len(ids) == 1 {
				ctx = obs.WithRequestID(ctx, ids[0])
			}
		}
		defer func() {
			if p := recover(); p != nil {
				log.ErrorContext(ctx, "panic in a call", "method", info.FullMethod, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				err = errs.New(errs.Internal, "internal error")
			}
			if err != nil {
				log.DebugContext(ctx, "call failed", "method", info.FullMethod, "error", err)
			}
			err = ToStatus(err)
		}()
		return handler(ctx, req)
	}
}

// clientShell bounds the call, sends the request id along and translates errors back.
func clientShell(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, DefaultTimeout)
		defer cancel()
	}
	if id := obs.RequestID(ctx); id != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, requestIDKey, id)
	}
	return FromStatus(invoke(ctx, method, req, reply, cc, opts...))
}
