package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/dns"
	"google.golang.org/grpc/resolver/manual"
)

// Reconnecting to an instance and looking names up again both happen within a few seconds.
const (
	reconnectMin = 100 * time.Millisecond
	reconnectMax = 3 * time.Second
	lookUpEvery  = 3 * time.Second
)

func init() { dns.SetMinResolutionInterval(lookUpEvery) }

// Target is a contract that other processes serve.
type Target struct {
	Name    string // in logs and metrics
	Address string // see CheckAddress
	Service string // full name of the contract
	Needed  bool   // the process is not ready without it
}

// CheckAddress accepts HOST:PORT, HOST:PORT,HOST:PORT… (a fixed list) and dns:///HOST:PORT, whose addresses may come
// and go. Calls go round robin over the instances that answer.
func CheckAddress(address string) error {
	for item := range strings.SplitSeq(trimDNS(address), ",") {
		host, port, err := net.SplitHostPort(item)
		if err != nil || host == "" || port == "" {
			return fmt.Errorf("%q is not HOST:PORT, a list of them, or dns:///HOST:PORT", address)
		}
	}
	return nil
}

// trimDNS removes dns:/// or dns://NAMESERVER/.
func trimDNS(address string) string {
	rest, ok := strings.CutPrefix(address, "dns://")
	if !ok {
		return address
	}
	_, rest, _ = strings.Cut(rest, "/")
	return rest
}

// Dialer makes the ways of one process to the others.
type Dialer struct {
	cred    *Credentials
	log     *slog.Logger
	metrics *Metrics

	mu    sync.Mutex // guards conns
	conns []*Conn
}

// NewDialer returns a dialer that proves itself with cred; m may be nil.
func NewDialer(cred *Credentials, log *slog.Logger, m *Metrics) *Dialer {
	return &Dialer{cred: cred, log: log, metrics: m}
}

// Needed returns the open connections to targets that the process needs.
func (d *Dialer) Needed() []*Conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	var needed []*Conn
	for _, c := range d.conns {
		if c.target.Needed {
			needed = append(needed, c)
		}
	}
	return needed
}

// Close closes every connection.
func (d *Dialer) Close() error {
	d.mu.Lock()
	conns := slices.Clone(d.conns)
	d.mu.Unlock()
	var failed []error
	for _, c := range conns {
		failed = append(failed, c.Close())
	}
	return errors.Join(failed...)
}

// Conn is the way to a target. It may be used at once: it connects by itself, and again whenever it has to.
type Conn struct {
	*grpc.ClientConn
	target Target
	dialer *Dialer
}

// Dial makes the way to a target. Nobody needs to be there yet.
func (d *Dialer) Dial(t Target) (*Conn, error) {
	if err := CheckAddress(t.Address); err != nil {
		return nil, err
	}
	config, err := serviceConfig(t.Service)
	if err != nil {
		return nil, err
	}
	cred := d.cred
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(cred.client),
		grpc.WithUnaryInterceptor(clientShell(newBreaker(t.Name, d.log, d.metrics), d.metrics)),
		grpc.WithDefaultServiceConfig(config),
		grpc.WithDisableServiceConfig(), // DNS has no say in it
		grpc.WithNoProxy(),
		grpc.WithIdleTimeout(0),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(cred.cfg.MaxMessageBytes), grpc.MaxCallSendMsgSize(cred.cfg.MaxMessageBytes),
		),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: reconnectMin, Multiplier: 1.6, Jitter: 0.2, MaxDelay: reconnectMax},
			MinConnectTimeout: reconnectMax,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingEvery, Timeout: pingTimeout, PermitWithoutStream: true}),
	}
	if cred.cfg.Secret != "" {
		opts = append(opts, grpc.WithPerRPCCredentials(callSecret(cred.cfg.Secret)))
	}
	url := t.Address
	if strings.Contains(url, ",") {
		list := manual.NewBuilderWithScheme("list")
		list.InitialState(resolver.State{Endpoints: endpoints(url)})
		opts = append(opts, grpc.WithResolvers(list))
		url = "list:///" + t.Name
	} else if !strings.HasPrefix(url, "dns://") {
		url = "dns:///" + url
	}
	conn, err := grpc.NewClient(url, opts...)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", t.Name, err)
	}
	conn.Connect()
	c := &Conn{ClientConn: conn, target: t, dialer: d}
	d.mu.Lock()
	d.conns = append(d.conns, c)
	d.mu.Unlock()
	return c, nil
}

func endpoints(list string) []resolver.Endpoint {
	var all []resolver.Endpoint
	for item := range strings.SplitSeq(list, ",") {
		host, _, _ := net.SplitHostPort(item)
		all = append(all, resolver.Endpoint{Addresses: []resolver.Address{{Addr: item, ServerName: host}}})
	}
	return all
}

// Close ends the calls that run and the connections. Closing twice is harmless.
func (c *Conn) Close() error {
	d := c.dialer
	d.mu.Lock()
	i := slices.Index(d.conns, c)
	if i >= 0 {
		d.conns = slices.Delete(d.conns, i, i+1)
	}
	d.mu.Unlock()
	if i < 0 {
		return nil
	}
	d.metrics.forget(c.target.Name)
	return c.ClientConn.Close()
}

// Target is where the connection leads.
func (c *Conn) Target() Target { return c.target }

// Check asks one instance whether it serves the contract. errors.Is tells ErrRefused and ErrNotServed, which time alone
// does not mend, from the rest: nobody answers.
func (c *Conn) Check(ctx context.Context) error {
	err := checkHealth(ctx, c, c.target.Service)
	if err == nil || errors.Is(err, ErrRefused) || errors.Is(err, ErrNotServed) {
		return err
	}
	return fmt.Errorf("nobody answers at %s: %w", c.target.Address, err)
}
