package gateway

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/registry"
	"github.com/gochat-im/gochat/platform/rpc"
)

// What gateways are called in the registry, and the keys that they serve.
const (
	registryKind       = "gateway"
	spaceUsers         = "user"
	spaceConversations = "conversation"
)

// Router is "the gateways" where there are more than this process's own, or none of its own: it looks up who serves whom,
// splits a request, and calls those gateways at once.
//
// A user who connects while a message is routed gets it live or by their sync. A gateway binds a user in the registry
// after the hub knows the socket and before hello goes out, and a client syncs after hello. A message is looked up after
// its commit. If the look-up misses the binding, then commit < look-up < binding < hello < sync: the sync reads it. The
// same holds for large groups, which a gateway reads and announces between the user's binding and hello: a member added
// before that read is found by it, one added later is attached through the user's binding or at all gateways.
type Router struct {
	registry registry.Registry
	local    *Hub        // nil: none
	dialer   *rpc.Dialer // nil: other gateways cannot be reached
	log      *slog.Logger
	metrics  *routerMetrics

	mu     sync.Mutex // guards peers and roster
	peers  map[string]*peer
	roster roster

	closed context.Context //nolint:containedctx // ends what runs in the background
	end    context.CancelFunc
	wg     sync.WaitGroup
}

// NewRouter makes a router. Close it in the end.
func NewRouter(reg registry.Registry, local *Hub, dialer *rpc.Dialer, log *slog.Logger, metrics prometheus.Registerer) *Router {
	r := &Router{
		registry: reg, local: local, dialer: dialer, log: log, metrics: newRouterMetrics(metrics), peers: map[string]*peer{},
		roster: roster{live: map[string]registry.Instance{}, lapsed: map[string]registry.Instance{}},
	}
	r.closed, r.end = context.WithCancel(context.Background())
	if metrics != nil {
		metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gochat_router_lapsed_gateways", Help: "Gateways that did not renew their lease and were not seen to be dead.",
		}, r.lapsed))
	}
	r.wg.Go(r.sweep)
	return r
}

// Close ends the connections to gateways.
func (r *Router) Close() {
	r.end()
	r.wg.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, p := range r.peers {
		p.close()
		delete(r.peers, id)
	}
}

// Deliver implements GatewayService for all gateways. A gateway that cannot be reached is no error: what it misses it gets
// later, or its clients resume, and nobody else waits for it longer than routeTimeout. But what keeps something from users
// (a suspension, a removal) fails unless every gateway that lives took it.
func (r *Router) Deliver(ctx context.Context, req *gatewaypb.DeliverRequest) (*gatewaypb.DeliverResponse, error) {
	live, lapsed := r.gateways(ctx)
	if r.local != nil && len(live) == 1 && live[0].ID == r.local.id {
		return r.local.Deliver(ctx, req)
	}
	parts := r.split(ctx, req, live, lapsed)
	answers := make([]*gatewaypb.DeliverResponse, len(parts))
	var calls errgroup.Group
	for i, part := range parts {
		calls.Go(func() error {
			var err error
			if part.sure {
				answers[i], err = r.sure(ctx, part)
				return err
			}
			answers[i] = r.peer(part.to).deliver(ctx, part.req)
			return nil
		})
	}
	if err := calls.Wait(); err != nil {
		return nil, err
	}
	resp := &gatewaypb.DeliverResponse{}
	if req.GetReportOffline() {
		resp.Offline = offlineEverywhere(req, parts, answers)
	}
	return resp, nil
}

// sure repeats a part until its gateway took it or is dead.
func (r *Router) sure(ctx context.Context, part *part) (*gatewaypb.DeliverResponse, error) {
	var answer *gatewaypb.DeliverResponse
	err := r.reach(ctx, part.to, func(ctx context.Context, g gatewaypb.GatewayServiceServer) (err error) {
		answer, err = g.Deliver(ctx, part.req)
		return err
	})
	return answer, err
}

// Disconnect implements GatewayService for all gateways: it returns when every one that lives has closed the sockets.
func (r *Router) Disconnect(ctx context.Context, req *gatewaypb.DisconnectRequest) (*gatewaypb.DisconnectResponse, error) {
	var mu sync.Mutex
	total := &gatewaypb.DisconnectResponse{}
	var calls errgroup.Group
	live, _ := r.gateways(ctx)
	for _, to := range live {
		calls.Go(func() error {
			return r.reach(ctx, to, func(ctx context.Context, g gatewaypb.GatewayServiceServer) error {
				answer, err := g.Disconnect(ctx, req)
				mu.Lock()
				defer mu.Unlock()
				total.Closed += answer.GetClosed()
				return err
			})
		})
	}
	return total, calls.Wait()
}

// reach calls a gateway until it answers, it is dead, or ctx ends: then errs.Unavailable.
func (r *Router) reach(ctx context.Context, to registry.Instance, call func(context.Context, gatewaypb.GatewayServiceServer) error) error {
	for {
		bounded, cancel := context.WithTimeout(ctx, routeTimeout)
		err := call(bounded, r.peer(to).service)
		cancel()
		if err == nil || !r.lives(ctx, to.ID) {
			return nil
		}
		r.log.WarnContext(ctx, "a gateway does not answer", "gateway", to.ID, "address", to.Address, "error", err)
		select {
		case <-time.After(retryPause):
		case <-ctx.Done():
			return errs.Wrap(errs.Unavailable, err, "not every gateway was reached, try again").RetryAfter(time.Second)
		}
	}
}

// Stats implements GatewayService: sums over all gateways, or, when it is asked for users, over those that serve any of
// them. Who cannot be reached counts nothing.
func (r *Router) Stats(ctx context.Context, req *gatewaypb.StatsRequest) (*gatewaypb.StatsResponse, error) {
	live, lapsed := r.gateways(ctx)
	if users := req.GetOnlineOf(); len(users) > 0 {
		live = distinct(append(r.registry.Lookup(ctx, registryKind, spaceUsers, users).Instances, lapsed))
	}
	answers := make([]*gatewaypb.StatsResponse, len(live))
	var wg sync.WaitGroup
	for i, to := range live {
		wg.Go(func() {
			bounded, cancel := context.WithTimeout(ctx, routeTimeout)
			defer cancel()
			answer, err := r.peer(to).service.Stats(bounded, req)
			if err != nil {
				r.log.WarnContext(ctx, "a gateway does not answer", "gateway", to.ID, "address", to.Address, "error", err)
				return
			}
			answers[i] = answer
		})
	}
	wg.Wait()
	total, online := &gatewaypb.StatsResponse{}, map[int64]struct{}{}
	for _, a := range answers {
		total.Connections += a.GetConnections()
		total.Users += a.GetUsers()
		total.QueuedBytes += a.GetQueuedBytes()
		for _, u := range a.GetOnline() {
			online[u] = struct{}{}
		}
	}
	for _, u := range req.GetOnlineOf() {
		if _, ok := online[u]; ok {
			total.Online = append(total.Online, u)
		}
	}
	return total, nil
}

// distinct returns each instance of some lists once.
func distinct(lists [][]registry.Instance) []registry.Instance {
	seen := map[string]struct{}{}
	var all []registry.Instance
	for _, list := range lists {
		for _, i := range list {
			if _, ok := seen[i.ID]; !ok {
				seen[i.ID] = struct{}{}
				all = append(all, i)
			}
		}
	}
	return all
}
