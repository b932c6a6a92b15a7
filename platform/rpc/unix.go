package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// ServeUnix serves on a socket that only the user of this process can open. A socket that a dead process left is
// replaced; one that answers is an error. The folder must belong to this user alone.
func ServeUnix(path string, log *slog.Logger, register func(grpc.ServiceRegistrar)) (*Server, error) {
	l, err := listenUnix(path)
	if err != nil {
		return nil, err
	}
	s := newServer(log, nil, nil)
	register(s.server)
	s.serve(l, log)
	return s, nil
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
		grpc.WithUnaryInterceptor(clientShell(nil, nil)),
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
