package rpc

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/trace"
)

// Both sides ping a quiet connection after pingEvery and give it up pingTimeout later. A connection lives for
// maxConnectionAge, so that clients look their targets up again and find new instances; calls that run finish.
const (
	pingEvery        = 10 * time.Second
	pingTimeout      = 4 * time.Second
	maxConnectionAge = 2 * time.Minute
	maxCallAge       = 10 * time.Minute
	handshakeTimeout = 5 * time.Second
	maxHeaderBytes   = 16 << 10
	maxCalls         = 10_000 // at once on one connection; more wait at the client
)

// Server serves contracts until Stop.
type Server struct {
	server *grpc.Server
	health *health.Server // nil: none
	ending chan struct{}  // closed at Stop: ends streams
	end    func()
	done   chan struct{} // closed when serving has ended
}

func newServer(log *slog.Logger, m *Metrics, tracer *trace.Tracer, opts ...grpc.ServerOption) *Server {
	s := &Server{ending: make(chan struct{}), done: make(chan struct{})}
	s.end = sync.OnceFunc(func() { close(s.ending) })
	s.server = grpc.NewServer(append(opts,
		grpc.UnaryInterceptor(serverShell(log, m, tracer)), grpc.StreamInterceptor(streamShell(log, s.ending)))...)
	return s
}

// Serve serves what register registers to the other processes of the deployment, with the gRPC health service: each
// contract is SERVING by its full name until Stop. Every call, of health and reflection too, needs the credentials.
// tracer may be nil.
func Serve(l net.Listener, cred *Credentials, log *slog.Logger, m *Metrics, tracer *trace.Tracer, register func(grpc.ServiceRegistrar)) *Server {
	opts := []grpc.ServerOption{
		grpc.InTapHandle(cred.tap),
		grpc.MaxRecvMsgSize(cred.cfg.MaxMessageBytes),
		grpc.MaxSendMsgSize(cred.cfg.MaxMessageBytes),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.MaxConcurrentStreams(maxCalls),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingEvery / 2, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: pingEvery, Timeout: pingTimeout, MaxConnectionAge: maxConnectionAge, MaxConnectionAgeGrace: maxCallAge,
		}),
	}
	if cred.server != nil {
		opts = append(opts, grpc.Creds(cred.server))
	}
	s := newServer(log, m, tracer, opts...)
	register(s.server)
	s.health = health.NewServer()
	for name := range s.server.GetServiceInfo() {
		s.health.SetServingStatus(name, grpc_health_v1.HealthCheckResponse_SERVING)
	}
	grpc_health_v1.RegisterHealthServer(s.server, s.health)
	if cred.cfg.Reflection {
		reflection.Register(s.server)
	}
	s.serve(l, log)
	return s
}

func (s *Server) serve(l net.Listener, log *slog.Logger) {
	go func() {
		defer close(s.done)
		if err := s.server.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			log.Error("serving ended", "address", l.Addr().String(), "error", err)
		}
	}()
}

// Stop refuses new calls, finishes those that run as long as ctx allows, and closes the listener.
func (s *Server) Stop(ctx context.Context) error {
	if s.health != nil {
		s.health.Shutdown()
	}
	s.end()
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

// checkHealth asks a server whether it serves a contract.
func checkHealth(ctx context.Context, conn grpc.ClientConnInterface, service string) error {
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
	switch {
	case status.Code(err) == codes.NotFound:
		return ErrNotServed
	case err != nil:
		return err
	case answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING:
		return errs.New(errs.Unavailable, "the process there is stopping")
	}
	return nil
}

// ErrNotServed is Check's answer when somebody answers at the address who does not serve the contract.
var ErrNotServed = errors.New("the process there does not run this role")
