package gateway

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/registry"
	"github.com/gochat-im/gochat/platform/rpc"
)

const (
	routeTimeout = time.Second // of one call to a gateway: they only queue
	retryPause   = 100 * time.Millisecond
	retryMax     = time.Second
	forgetEvery  = 10 * time.Second // connections to dead gateways
	// What waits for a gateway that does not answer; when it is more, it is dropped and the gateway's clients resume.
	maxWaiting      = 2000
	maxWaitingBytes = 16 << 20
)

// peer is a gateway as the router sees it. While it does not answer, what is meant for it waits here: nobody else waits,
// and its clients miss nothing that comes after a short interruption. After a long one the gateway is told that it missed
// something, and has its clients resume.
type peer struct {
	router  *Router
	id      string
	service gatewaypb.GatewayServiceServer
	conn    *rpc.Conn // nil: the hub of this process, or nobody

	mu      sync.Mutex // guards what follows
	waiting []*gatewaypb.DeliverRequest
	bytes   int
	missed  bool // something was dropped
	behind  bool // catchUp runs
}

// peer returns a gateway, dialing it on its first use.
func (r *Router) peer(i registry.Instance) *peer {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.peers[i.ID]
	if p == nil {
		p = r.newPeer(i)
		r.peers[i.ID] = p
	}
	return p
}

func (r *Router) newPeer(i registry.Instance) *peer {
	p := &peer{router: r, id: i.ID}
	if r.local != nil && i.ID == r.local.id {
		p.service = r.local
		return p
	}
	p.service = nobody{errs.New(errs.Unavailable, "gateway %s cannot be reached from here: roles.listen is not set", i.ID)}
	if r.dialer == nil {
		return p
	}
	conn, err := r.dialer.Dial(rpc.Target{
		Name: "gateway " + i.ID, Address: i.Address, Service: gatewaypb.GatewayService_ServiceDesc.ServiceName,
	})
	if err != nil {
		p.service = nobody{errs.Wrap(errs.Unavailable, err, "gateway %s cannot be reached", i.ID)}
		return p
	}
	p.conn, p.service = conn, NewRemote(conn)
	return p
}

// sweep forgets gateways that are dead, from time to time.
func (r *Router) sweep() {
	tick := time.NewTicker(forgetEvery)
	defer tick.Stop()
	for {
		select {
		case <-r.closed.Done():
			return
		case <-tick.C:
		}
		_, lapsed := r.gateways(r.closed)
		r.probe(lapsed)
		alive := map[string]struct{}{}
		live, _ := r.gateways(r.closed)
		for _, i := range live {
			alive[i.ID] = struct{}{}
		}
		r.mu.Lock()
		for id, p := range r.peers {
			if _, ok := alive[id]; !ok {
				delete(r.peers, id)
				p.close()
			}
		}
		r.mu.Unlock()
	}
}

func (p *peer) close() {
	if p.conn != nil {
		_ = p.conn.Close()
	}
}

// deliver hands the gateway a request, now or once it answers again. Nil: not now.
func (p *peer) deliver(ctx context.Context, req *gatewaypb.DeliverRequest) *gatewaypb.DeliverResponse {
	p.mu.Lock()
	if p.behind {
		p.waitLocked(req)
		p.mu.Unlock()
		return nil
	}
	p.mu.Unlock()
	bounded, cancel := context.WithTimeout(ctx, routeTimeout)
	defer cancel()
	answer, err := p.service.Deliver(bounded, req)
	if err == nil {
		return answer
	}
	p.router.metrics.failures.Inc()
	p.router.log.WarnContext(ctx, "a gateway does not answer", "gateway", p.id, "error", err)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waitLocked(req)
	if !p.behind && p.router.closed.Err() == nil {
		p.behind = true
		p.router.wg.Go(p.catchUp)
	}
	return nil
}

// waitLocked keeps a request for later; p.mu is held.
func (p *peer) waitLocked(req *gatewaypb.DeliverRequest) {
	size := proto.Size(req)
	if len(p.waiting) >= maxWaiting || p.bytes+size > maxWaitingBytes {
		p.waiting, p.bytes, p.missed = nil, 0, true
	}
	if p.missed {
		p.router.metrics.dropped.Inc()
		return
	}
	p.waiting = append(p.waiting, req)
	p.bytes += size
}

// catchUp sends what waits, in its order, until nothing does or the gateway is dead.
func (p *peer) catchUp() {
	ctx := p.router.closed
	pause := retryPause
	for {
		p.mu.Lock()
		var req *gatewaypb.DeliverRequest
		switch {
		case p.missed:
			req = &gatewaypb.DeliverRequest{Missed: true}
		case len(p.waiting) > 0:
			req = p.waiting[0]
		default:
			p.behind = false
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
		bounded, cancel := context.WithTimeout(ctx, routeTimeout)
		_, err := p.service.Deliver(bounded, req)
		cancel()
		if err == nil {
			p.done(req)
			pause = retryPause
			continue
		}
		if ctx.Err() != nil || !p.router.lives(ctx, p.id) {
			p.mu.Lock()
			p.waiting, p.bytes, p.missed, p.behind = nil, 0, false, false
			p.mu.Unlock()
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, retryMax)
	}
}

// done takes back what the gateway has taken now.
func (p *peer) done(req *gatewaypb.DeliverRequest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if req.GetMissed() {
		p.missed = false
		return
	}
	if len(p.waiting) > 0 && p.waiting[0] == req { // it was not dropped meanwhile
		p.waiting = p.waiting[1:]
		p.bytes -= proto.Size(req)
	}
}

// nobody answers for a gateway that there is no way to.
type nobody struct{ err error }

func (n nobody) Deliver(context.Context, *gatewaypb.DeliverRequest) (*gatewaypb.DeliverResponse, error) {
	return nil, n.err
}

func (n nobody) Disconnect(context.Context, *gatewaypb.DisconnectRequest) (*gatewaypb.DisconnectResponse, error) {
	return nil, n.err
}

func (n nobody) Stats(context.Context, *gatewaypb.StatsRequest) (*gatewaypb.StatsResponse, error) {
	return nil, n.err
}

// routerMetrics counts what goes wrong between processes.
type routerMetrics struct {
	degraded, failures, dropped prometheus.Counter
}

func newRouterMetrics(reg prometheus.Registerer) *routerMetrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "gochat_router_" + name, Help: help})
	}
	m := &routerMetrics{
		degraded: counter("degraded_lookups_total", "Look-ups of users or conversations that were answered by all gateways."),
		failures: counter("failures_total", "Deliveries that a gateway did not take at once."),
		dropped:  counter("dropped_total", "Deliveries that a gateway will not get: its clients resume."),
	}
	if reg != nil {
		reg.MustRegister(m.degraded, m.failures, m.dropped)
	}
	return m
}
