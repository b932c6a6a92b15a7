package gateway

import (
	"context"
	"fmt"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/registry"
)

// unreachable is the address of a gateway that no other process can reach: it must be the only one.
const unreachable = "none"

// Join registers the gateway of this process under an address where other processes reach it, "" for none, and lets its
// users be found from then on. It fails with errs.Unavailable while the registry cannot be reached, and while another
// gateway lives (or died within its lease) and either is unreachable. The listener must answer already. Leave ends it.
func (r *Router) Join(ctx context.Context, address string) error {
	if address == "" {
		address = unreachable
	}
	registration, err := r.registry.Register(ctx, registry.Instance{ID: r.local.id, Kind: registryKind, Address: address})
	if err != nil {
		return fmt.Errorf("register this gateway: %w", err)
	}
	for _, i := range r.registry.Instances(ctx, registryKind) {
		if i.ID != r.local.id && (address == unreachable || i.Address == unreachable) {
			_ = registration.Leave(ctx)
			return errs.New(errs.Unavailable, "roles.listen: there is another gateway (%s, at %s), so each must be reachable: set it in every process", i.ID, i.Address)
		}
	}
	r.local.announce.Store(newAnnouncer(registration, r.log)) //nolint:contextcheck // it outlives the call
	return nil
}

// Leave lets nobody be routed to this process's gateway any more.
func (r *Router) Leave(ctx context.Context) error {
	a := r.local.announce.Swap(nil)
	if a == nil {
		return nil
	}
	a.close()
	return a.registration.Leave(ctx)
}
