package gateway

import (
	"context"
	"fmt"
	"strings"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/registry"
)

// unreachable starts the address of a gateway that no other process can reach: it must be the only one.
const unreachable = "none:"

// Unreachable is the address of a gateway that no other process can reach. The place is what only one process at a time can
// have (its data folder): a gateway takes over from a predecessor that died there.
func Unreachable(place string) string { return unreachable + place }

// Join registers the gateway of this process under an address where other processes reach it, or an Unreachable one, and
// lets its users be found from then on. It takes over from a predecessor that died at that address. It fails with
// errs.Unavailable while the registry cannot be reached, and while another gateway lives (or died within its lease) and
// either is unreachable, with errs.Conflict when such a one joined at the same time. The listener must answer already. Leave ends it.
func (r *Router) Join(ctx context.Context, address string) error {
	if err := r.reachable(ctx, address, errs.Unavailable); err != nil {
		return err
	}
	registration, err := r.registry.Register(ctx, registry.Instance{ID: r.local.id, Kind: registryKind, Address: address})
	if err != nil {
		return fmt.Errorf("register this gateway: %w", err)
	}
	if err := r.reachable(ctx, address, errs.Conflict); err != nil { // it came at the same time
		_ = registration.Leave(ctx) // for good: an id does not come back
		return err
	}
	r.local.announce.Store(newAnnouncer(registration, r.log)) //nolint:contextcheck // it outlives the call
	return nil
}

// reachable refuses a gateway that would be one of several of which another process cannot reach each.
func (r *Router) reachable(ctx context.Context, address string, code errs.Code) error {
	for _, i := range r.registry.Instances(ctx, registryKind) {
		if i.ID != r.local.id && i.Address != address && (strings.HasPrefix(address, unreachable) || strings.HasPrefix(i.Address, unreachable)) {
			return errs.New(code, "roles.listen: there is another gateway (%s, at %s), so each must be reachable: set it in every process", i.ID, i.Address)
		}
	}
	return nil
}

// Leave lets nobody be routed to this process's gateway any more. Where the registry cannot be reached the end of its
// lease says so, and a process that stops then has stopped in order.
func (r *Router) Leave(ctx context.Context) error {
	a := r.local.announce.Swap(nil)
	if a == nil {
		return nil
	}
	a.close()
	err := a.registration.Leave(ctx)
	if errs.CodeOf(err) == errs.Unavailable {
		r.log.WarnContext(ctx, "the registry does not know that this gateway has left", "error", err)
		return nil
	}
	return err
}
