package registry

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/gochat-im/gochat/platform/errs"
)

// embedded is the registry of a single process: instances live until they leave.
type embedded struct {
	mu        sync.RWMutex                     // guards what follows
	instances map[string]*embeddedRegistration // by id
	bound     map[binding][]Instance
	agreed    map[string]string
}

// binding is a key of a kind's space.
type binding struct {
	kind, space string
	key         int64
}

// NewEmbedded returns a registry for the instances of one process.
func NewEmbedded() Registry {
	return &embedded{instances: map[string]*embeddedRegistration{}, bound: map[binding][]Instance{}, agreed: map[string]string{}}
}

func (r *embedded) Register(_ context.Context, i Instance) (Registration, error) {
	if err := i.validate(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if was, taken := r.instances[i.ID]; taken && was.instance.Address != i.Address {
		return nil, errs.New(errs.Conflict, "instance %q is registered already", i.ID)
	}
	for _, g := range r.instances {
		if g.instance.Kind == i.Kind && g.instance.Address == i.Address {
			g.leave()
		}
	}
	g := &embeddedRegistration{registry: r, instance: i, keys: map[binding]struct{}{}}
	r.instances[i.ID] = g
	return g, nil
}

func (r *embedded) Instances(_ context.Context, kind string) []Instance {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var of []Instance
	for _, g := range r.instances {
		if g.instance.Kind == kind {
			of = append(of, g.instance)
		}
	}
	slices.SortFunc(of, byID)
	return of
}

func (r *embedded) Lookup(_ context.Context, kind, space string, keys []int64) Found {
	r.mu.RLock()
	defer r.mu.RUnlock()
	found := Found{Instances: make([][]Instance, len(keys))}
	for n, key := range keys {
		found.Instances[n] = r.bound[binding{kind, space, key}]
	}
	return found
}

func (r *embedded) Agree(_ context.Context, name, value string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if agreed, ok := r.agreed[name]; ok {
		return agreed, nil
	}
	r.agreed[name] = value
	return value, nil
}

func (r *embedded) Close(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.instances)
	clear(r.bound)
	clear(r.agreed)
	return nil
}

// embeddedRegistration remembers what it bound, so that leaving ends it.
type embeddedRegistration struct {
	registry *embedded
	instance Instance
	keys     map[binding]struct{} // guarded by registry.mu
}

func (g *embeddedRegistration) Bind(_ context.Context, space string, keys ...int64) error {
	r := g.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	if !g.lives() {
		return left()
	}
	for _, key := range keys {
		b := binding{g.instance.Kind, space, key}
		if _, bound := g.keys[b]; !bound {
			g.keys[b] = struct{}{}
			r.bound[b] = append(slices.Clip(r.bound[b]), g.instance) // a copy: look-ups share the old one
		}
	}
	return nil
}

func (g *embeddedRegistration) Unbind(_ context.Context, space string, keys ...int64) error {
	r := g.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	if !g.lives() {
		return left()
	}
	for _, key := range keys {
		g.unbind(binding{g.instance.Kind, space, key})
	}
	return nil
}

func (g *embeddedRegistration) Leave(context.Context) error {
	r := g.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	if g.lives() {
		g.leave()
	}
	return nil
}

// lives tells whether the registration has not ended; registry.mu is held.
func (g *embeddedRegistration) lives() bool { return g.registry.instances[g.instance.ID] == g }

// leave is Leave of one that lives; registry.mu is held.
func (g *embeddedRegistration) leave() {
	for b := range g.keys {
		g.unbind(b)
	}
	delete(g.registry.instances, g.instance.ID)
}

// unbind is Unbind of one key; registry.mu is held.
func (g *embeddedRegistration) unbind(b binding) {
	if _, bound := g.keys[b]; !bound {
		return
	}
	delete(g.keys, b)
	r := g.registry
	var rest []Instance
	for _, i := range r.bound[b] {
		if i.ID != g.instance.ID {
			rest = append(rest, i)
		}
	}
	if rest == nil {
		delete(r.bound, b)
		return
	}
	r.bound[b] = rest
}

// byID orders instances.
func byID(a, b Instance) int { return cmp.Compare(a.ID, b.ID) }
