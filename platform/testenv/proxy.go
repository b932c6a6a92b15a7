package testenv

import (
	"net"
	"sync"
	"testing"
	"time"
)

// proxyQueue is how many reads of one direction may be on their way.
const proxyQueue = 64

// TCPProxy forwards connections to an address and breaks them as told. It
// ends with the test.
type TCPProxy struct {
	t       testing.TB
	address string
	target  string

	mu       sync.Mutex // guards what follows
	listener net.Listener
	conns    map[net.Conn]struct{} // both sides of every connection
	delay    time.Duration
	stalled  chan struct{} // not nil: nothing is forwarded until it closes
	done     bool

	workers sync.WaitGroup
}

// Proxy starts a proxy on a free port of 127.0.0.1.
func Proxy(t testing.TB, target string) *TCPProxy {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	return proxyOn(t, port, target)
}

func proxyOn(t testing.TB, port int, target string) *TCPProxy {
	t.Helper()
	p := &TCPProxy{t: t, address: local(port), target: target, conns: map[net.Conn]struct{}{}}
	p.Restore()
	t.Cleanup(func() {
		p.Cut()
		p.mu.Lock()
		p.done = true
		p.mu.Unlock()
		p.Resume()
		p.workers.Wait()
	})
	return p
}

// Address is where the proxy listens: host:port.
func (p *TCPProxy) Address() string { return p.address }

// Cut resets every connection and refuses new ones until Restore.
func (p *TCPProxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		p.listener.Close()
		p.listener = nil
	}
	p.reset()
}

// Reset resets every connection; new ones are taken.
func (p *TCPProxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reset()
}

// Restore takes connections again after Cut.
func (p *TCPProxy) Restore() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil || p.done {
		return
	}
	l, err := net.Listen("tcp", p.address) //nolint:noctx // binds at once
	if err != nil {
		p.t.Fatalf("testenv: proxy: %v", err)
	}
	p.listener = l
	p.workers.Go(func() { p.accept(l) })
}

// Delay holds back everything by d in each direction, from what is read next
// on; 0 ends it.
func (p *TCPProxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Stall leaves every connection half open: both ends stay connected and nothing
// arrives any more. New connections are taken and hang the same way.
func (p *TCPProxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stalled == nil {
		p.stalled = make(chan struct{})
	}
}

// Resume forwards again after Stall, beginning with what was held back.
func (p *TCPProxy) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stalled != nil {
		close(p.stalled)
		p.stalled = nil
	}
}

func (p *TCPProxy) accept(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return // closed by Cut
		}
		p.workers.Go(func() { p.serve(client) })
	}
}

func (p *TCPProxy) serve(client net.Conn) {
	server, err := net.DialTimeout("tcp", p.target, patience) //nolint:noctx // bounded by itself
	if err != nil {
		reset(client)
		return
	}
	p.mu.Lock()
	cut := p.listener == nil
	if !cut {
		p.conns[client], p.conns[server] = struct{}{}, struct{}{}
	}
	p.mu.Unlock()
	if cut {
		reset(client)
		reset(server)
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.pump(server, client) })
	both.Go(func() { p.pump(client, server) })
	both.Wait()
	p.mu.Lock()
	delete(p.conns, client)
	delete(p.conns, server)
	p.mu.Unlock()
	client.Close()
	server.Close()
}

type chunk struct {
	data []byte
	due  time.Time
}

// pump copies one direction. The end of the stream takes the same way as the data.
func (p *TCPProxy) pump(to, from net.Conn) {
	queue := make(chan chunk, proxyQueue)
	p.workers.Go(func() {
		defer close(queue)
		for {
			buf := make([]byte, 16<<10)
			n, err := from.Read(buf)
			if n > 0 {
				queue <- chunk{data: buf[:n], due: time.Now().Add(p.latency())}
			}
			if err != nil {
				return
			}
		}
	})
	broken := false
	for c := range queue {
		if broken {
			continue // lets the reader end
		}
		time.Sleep(time.Until(c.due)) // the delay that was asked for
		p.waitStalled()
		if _, err := to.Write(c.data); err != nil {
			from.Close()
			broken = true
		}
	}
	p.waitStalled()
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // fails when the connection is gone already
	}
}

func (p *TCPProxy) latency() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.delay
}

func (p *TCPProxy) waitStalled() {
	for {
		p.mu.Lock()
		stalled := p.stalled
		p.mu.Unlock()
		if stalled == nil {
			return
		}
		<-stalled
	}
}

func (p *TCPProxy) reset() {
	for c := range p.conns {
		reset(c)
	}
}

// reset closes a connection so that its peer sees an error, not an end.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // fails when the connection is gone already
	}
	c.Close()
}
