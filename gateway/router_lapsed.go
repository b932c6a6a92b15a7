package gateway

import (
	"context"
	"slices"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/platform/registry"
)

// roster is which gateways a router has seen in the registry. One that left it without being seen dead is kept as lapsed:
// a gateway that is cut off from the registry alone cannot renew its lease, but it has its sockets, and who relies on a
// removal or a disconnect relies on it there as well. It is gone when a call to it fails.
type roster struct {
	live, lapsed map[string]registry.Instance
}

// gateways lists those that live and those that lapsed; lapsed are the latter alone.
func (r *Router) gateways(ctx context.Context) (all, lapsed []registry.Instance) {
	all = r.registry.Instances(ctx, registryKind)
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.roster.live
	r.roster.live = make(map[string]registry.Instance, len(all))
	for _, i := range all {
		r.roster.live[i.ID] = i
		delete(r.roster.lapsed, i.ID)
		for id, old := range r.roster.lapsed { // it took over from a predecessor
			if old.Address == i.Address {
				delete(r.roster.lapsed, id)
			}
		}
	}
	for id, i := range before {
		if _, lives := r.roster.live[id]; !lives && !slices.ContainsFunc(all, func(n registry.Instance) bool { return n.Address == i.Address }) {
			r.roster.lapsed[id] = i
		}
	}
	for _, i := range r.roster.lapsed {
		lapsed = append(lapsed, i)
	}
	return slices.Concat(all, lapsed), lapsed
}

// lapsed counts the lapsed gateways.
func (r *Router) lapsed() float64 {
	_, lapsed := r.gateways(r.closed)
	return float64(len(lapsed))
}

// lives reports whether a gateway that did not answer may have sockets all the same: the registry knows it.
func (r *Router) lives(ctx context.Context, id string) bool {
	for _, i := range r.registry.Instances(ctx, registryKind) {
		if i.ID == id {
			return true
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.roster.live, id)
	delete(r.roster.lapsed, id)
	return false
}

// probe forgets lapsed gateways that do not answer.
func (r *Router) probe(lapsed []registry.Instance) {
	for _, i := range lapsed {
		ctx, cancel := context.WithTimeout(r.closed, routeTimeout)
		if _, err := r.peer(i).service.Stats(ctx, &gatewaypb.StatsRequest{}); err != nil {
			r.lives(r.closed, i.ID)
		}
		cancel()
	}
}

// with adds to a key's gateways those that may serve it without the registry knowing.
func with(instances, lapsed []registry.Instance) []registry.Instance {
	if len(lapsed) == 0 {
		return instances
	}
	return distinct([][]registry.Instance{instances, lapsed})
}
