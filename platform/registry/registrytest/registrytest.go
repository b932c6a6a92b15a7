// Package registrytest is the contract of platform/registry, to run on every implementation.
package registrytest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/registry"
)

// Open returns a registry of another process each time: all that come from one Open see the same instances. An
// implementation for a single process answers with the same one. They are closed by the test.
type Open func(t *testing.T) registry.Registry

// Run holds an implementation to the contract. world returns the Open of a new, empty world.
func Run(t *testing.T, world func(t *testing.T) Open) {
	for name, test := range map[string]func(t *testing.T, open Open){
		"instances come and leave":          instances,
		"an id lives once":                  conflict,
		"an address has one instance":       takeOver,
		"what cannot be registered":         invalid,
		"bind, look up, unbind":             bindings,
		"spaces and kinds are apart":        spaces,
		"leaving ends bindings":             leaving,
		"a registration that left is ended": ended,
		"many keys":                         manyKeys,
		"the last change of a key wins":     lastChange,
		"the first value is agreed on":      agree,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, world(t))
		})
	}
}

// Kind is the kind of the suite's instances.
const Kind = "gateway"

// Register registers an instance or ends the test.
func Register(t *testing.T, r registry.Registry, id string) registry.Registration {
	t.Helper()
	g, err := r.Register(t.Context(), registry.Instance{ID: id, Kind: Kind, Address: id + ":1"})
	if err != nil {
		t.Fatalf("Register(%s): %v", id, err)
	}
	return g
}

// IDs are the ids of instances.
func IDs(list []registry.Instance) []string {
	ids := make([]string, len(list))
	for n, i := range list {
		ids[n] = i.ID
	}
	slices.Sort(ids)
	return ids
}

// Want fails the test unless a key of a space is served by exactly these instances, for certain.
func Want(t *testing.T, r registry.Registry, space string, key int64, ids ...string) {
	t.Helper()
	found := r.Lookup(t.Context(), Kind, space, []int64{key})
	if got := IDs(found.Instances[0]); found.Degraded || !slices.Equal(got, ids) {
		t.Errorf("Lookup(%s, %d) = %v, degraded %v; want %v", space, key, got, found.Degraded, ids)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func instances(t *testing.T, open Open) {
	a, b := open(t), open(t)
	if got := a.Instances(t.Context(), Kind); len(got) != 0 {
		t.Errorf("an empty registry has %v", got)
	}
	ga := Register(t, a, "ga")
	gb := Register(t, b, "gb")
	for _, r := range []registry.Registry{a, b} {
		want := []registry.Instance{{ID: "ga", Kind: Kind, Address: "ga:1"}, {ID: "gb", Kind: Kind, Address: "gb:1"}}
		if got := r.Instances(t.Context(), Kind); !slices.Equal(got, want) {
			t.Errorf("Instances = %v, want %v", got, want)
		}
		if got := r.Instances(t.Context(), "other"); len(got) != 0 {
			t.Errorf("Instances of another kind = %v", got)
		}
	}
	must(t, ga.Leave(t.Context()))
	if got := IDs(a.Instances(t.Context(), Kind)); !slices.Equal(got, []string{"gb"}) {
		t.Errorf("after leaving: %v", got)
	}
	Eventually(t, "the other process forgets who left", func() bool {
		return slices.Equal(IDs(b.Instances(t.Context(), Kind)), []string{"gb"})
	})
	must(t, gb.Leave(t.Context()))
}

func conflict(t *testing.T, open Open) {
	a, b := open(t), open(t)
	Register(t, a, "ga")
	if _, err := b.Register(t.Context(), registry.Instance{ID: "ga", Kind: Kind, Address: "x:1"}); errs.CodeOf(err) != errs.Conflict {
		t.Errorf("a second ga: %v", err)
	}
}

// A process that was killed is started again: on its address, with another id or with its own.
func takeOver(t *testing.T, open Open) {
	a, b, other := open(t), open(t), open(t)
	elsewhere := Register(t, other, "elsewhere")
	must(t, elsewhere.Bind(t.Context(), "user", 1))
	must(t, Register(t, a, "first").Bind(t.Context(), "user", 1, 2))
	next, err := b.Register(t.Context(), registry.Instance{ID: "second", Kind: Kind, Address: "first:1"})
	if err != nil {
		t.Fatalf("Register at the address of a predecessor: %v", err)
	}
	for _, r := range []registry.Registry{b, other} {
		if got := IDs(r.Instances(t.Context(), Kind)); !slices.Equal(got, []string{"elsewhere", "second"}) {
			t.Errorf("Instances = %v: the predecessor must be gone", got)
		}
		Want(t, r, "user", 1, "elsewhere")
		Want(t, r, "user", 2)
	}
	must(t, next.Bind(t.Context(), "user", 2))
	Want(t, other, "user", 2, "second")
	again, err := open(t).Register(t.Context(), registry.Instance{ID: "second", Kind: Kind, Address: "first:1"})
	if err != nil {
		t.Fatalf("Register with a predecessor's id at its address: %v", err)
	}
	must(t, again.Bind(t.Context(), "user", 3))
	Want(t, other, "user", 3, "second")
	stranger := registry.Instance{ID: "stranger", Kind: "other", Address: "first:1"}
	if _, err := other.Register(t.Context(), stranger); err != nil {
		t.Errorf("Register of another kind: %v", err)
	}
	Want(t, b, "user", 3, "second")
}

func invalid(t *testing.T, open Open) {
	r := open(t)
	for _, i := range []registry.Instance{
		{},
		{ID: "a b", Kind: Kind, Address: "x:1"},
		{ID: "a", Kind: "a,b", Address: "x:1"},
		{ID: "a", Kind: Kind},
	} {
		if _, err := r.Register(t.Context(), i); errs.CodeOf(err) != errs.Invalid {
			t.Errorf("Register(%+v): %v", i, err)
		}
	}
}

func bindings(t *testing.T, open Open) {
	a, b := open(t), open(t)
	ga, gb := Register(t, a, "ga"), Register(t, b, "gb")
	must(t, ga.Bind(t.Context(), "user", 1, 2, -3))
	must(t, gb.Bind(t.Context(), "user", 2))
	must(t, gb.Bind(t.Context(), "user", 2)) // again
	for _, r := range []registry.Registry{a, b} {
		Want(t, r, "user", 1, "ga")
		Want(t, r, "user", 2, "ga", "gb")
		Want(t, r, "user", -3, "ga")
		Want(t, r, "user", 4)
	}
	must(t, gb.Unbind(t.Context(), "user", 2, 1, 77)) // only what is its own
	for _, r := range []registry.Registry{a, b} {
		Want(t, r, "user", 1, "ga")
		Want(t, r, "user", 2, "ga")
	}
	must(t, ga.Unbind(t.Context(), "user", 2))
	Want(t, b, "user", 2)
	if found := b.Lookup(t.Context(), Kind, "user", nil); len(found.Instances) != 0 {
		t.Errorf("no keys: %v", found)
	}
}

func spaces(t *testing.T, open Open) {
	r := open(t)
	must(t, Register(t, r, "ga").Bind(t.Context(), "user", 1))
	Want(t, r, "conversation", 1)
	other, err := r.Register(t.Context(), registry.Instance{ID: "other", Kind: "other", Address: "o:1"})
	must(t, err)
	must(t, other.Bind(t.Context(), "user", 1))
	Want(t, r, "user", 1, "ga")
}

func leaving(t *testing.T, open Open) {
	a, b := open(t), open(t)
	ga, gb := Register(t, a, "ga"), Register(t, b, "gb")
	must(t, ga.Bind(t.Context(), "user", 1, 2))
	must(t, gb.Bind(t.Context(), "user", 2))
	must(t, ga.Leave(t.Context()))
	must(t, ga.Leave(t.Context())) // again
	Eventually(t, "the keys are without who left", func() bool {
		found := b.Lookup(t.Context(), Kind, "user", []int64{1, 2})
		return !found.Degraded && len(found.Instances[0]) == 0 && slices.Equal(IDs(found.Instances[1]), []string{"gb"})
	})
}

func ended(t *testing.T, open Open) {
	r := open(t)
	g := Register(t, r, "ga")
	must(t, g.Leave(t.Context()))
	if err := g.Bind(t.Context(), "user", 1); errs.CodeOf(err) != errs.Unavailable {
		t.Errorf("Bind after leaving: %v", err)
	}
	if err := g.Unbind(t.Context(), "user", 1); errs.CodeOf(err) != errs.Unavailable {
		t.Errorf("Unbind after leaving: %v", err)
	}
	Want(t, r, "user", 1)
}

func manyKeys(t *testing.T, open Open) {
	a, b := open(t), open(t)
	ga, gb := Register(t, a, "ga"), Register(t, b, "gb")
	var even, odd, all []int64
	for k := range int64(5000) {
		all = append(all, k)
		if k%2 == 0 {
			even = append(even, k)
		} else {
			odd = append(odd, k)
		}
	}
	must(t, ga.Bind(t.Context(), "user", even...))
	must(t, gb.Bind(t.Context(), "user", odd...))
	found := a.Lookup(t.Context(), Kind, "user", all)
	if found.Degraded || len(found.Instances) != len(all) {
		t.Fatalf("Lookup: %d answers, degraded %v", len(found.Instances), found.Degraded)
	}
	for k, list := range found.Instances {
		if want := []string{"ga", "gb"}[k%2]; len(list) != 1 || list[0].ID != want {
			t.Fatalf("key %d is at %v, want %s", k, list, want)
		}
	}
}

// A user's last socket closes while another opens: whatever the interleaving, the last call decides.
func lastChange(t *testing.T, open Open) {
	a, b := open(t), open(t)
	g := Register(t, a, "ga")
	var wg sync.WaitGroup
	for k := range int64(20) {
		wg.Go(func() {
			for range 25 {
				must(t, g.Bind(t.Context(), "user", k))
				if found := b.Lookup(t.Context(), Kind, "user", []int64{k}); len(found.Instances[0]) != 1 {
					t.Errorf("key %d is not seen after Bind", k)
				}
				must(t, g.Unbind(t.Context(), "user", k))
				if found := b.Lookup(t.Context(), Kind, "user", []int64{k}); len(found.Instances[0]) != 0 {
					t.Errorf("key %d is seen after Unbind", k)
				}
			}
		})
	}
	wg.Wait()
}

func agree(t *testing.T, open Open) {
	var wg sync.WaitGroup
	answers := make([]string, 8)
	for n := range answers {
		r := open(t)
		wg.Go(func() {
			var err error
			answers[n], err = r.Agree(t.Context(), "keys", fmt.Sprint("value ", n))
			must(t, err)
		})
	}
	wg.Wait()
	for _, v := range answers {
		if v == "" || v != answers[0] {
			t.Fatalf("agreed on %q", answers)
		}
	}
	if v, err := open(t).Agree(t.Context(), "other", "x"); v != "x" || err != nil {
		t.Errorf("another name: %q, %v", v, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if v, err := open(t).Agree(ended, "keys", "y"); err == nil && v != answers[0] || err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %q, %v", v, err)
	}
}
