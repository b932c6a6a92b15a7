package registry_test

import (
	"slices"
	"testing"
	"time"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/registry/registrytest"
	"github.com/gochat-im/gochat/platform/testenv"
)

// A database that is emptied under everybody's feet misses nobody, at no moment.
func TestFlush(t *testing.T) {
	t.Parallel()
	server := testenv.RedisServer(t)
	a, b := process(t, server.Address(), 0), process(t, server.Address(), 0)
	ga := registrytest.Register(t, a, "ga")
	registrytest.Register(t, b, "gb")
	if err := ga.Bind(t.Context(), "user", 1); err != nil {
		t.Fatal(err)
	}
	admin := operator(t, server.Address())
	for range 20 {
		registrytest.Eventually(t, "the look-up is certain", func() bool { return found(t, b, 1, "ga") })
		if err := admin.Do(t.Context(), admin.B().Flushall().Build()).Error(); err != nil {
			t.Fatal(err)
		}
		f := b.Lookup(t.Context(), registrytest.Kind, "user", []int64{1})
		if !slices.Contains(registrytest.IDs(f.Instances[0]), "ga") {
			t.Fatalf("after a flush: %v, degraded %v", f.Instances[0], f.Degraded)
		}
	}
}

// A server that starts with an old copy of its data has old bindings, which nobody may take for the present ones.
func TestOldCopy(t *testing.T) {
	t.Parallel()
	server := testenv.RedisServer(t)
	a, b := process(t, server.Address(), 0), process(t, server.Address(), 0)
	ga := registrytest.Register(t, a, "ga")
	registrytest.Register(t, b, "gb")
	if err := ga.Bind(t.Context(), "user", 1); err != nil {
		t.Fatal(err)
	}
	admin := operator(t, server.Address())
	if err := admin.Do(t.Context(), admin.B().Save().Build()).Error(); err != nil {
		t.Fatal(err)
	}
	if err := ga.Bind(t.Context(), "user", 2); err != nil {
		t.Fatal(err)
	}
	registrytest.Want(t, b, "user", 2, "ga")
	server.Kill()
	server.Start()
	registrytest.Eventually(t, "the look-up is certain", func() bool {
		f := b.Lookup(t.Context(), registrytest.Kind, "user", []int64{2})
		if !slices.Contains(registrytest.IDs(f.Instances[0]), "ga") {
			t.Fatalf("with an old copy: %v, degraded %v", f.Instances[0], f.Degraded)
		}
		return !f.Degraded
	})
}

// A server that answers and takes no writes (its disk is full, it became a replica) lets nobody renew a lease: nobody is
// dead for that, and nothing that was bound or unbound meanwhile is lost.
func TestNoWrites(t *testing.T) {
	t.Parallel()
	server := testenv.RedisServer(t)
	a, b := process(t, server.Address(), 0), process(t, server.Address(), 0)
	ga := registrytest.Register(t, a, "ga")
	registrytest.Register(t, b, "gb")
	if err := ga.Bind(t.Context(), "user", 1); err != nil {
		t.Fatal(err)
	}
	registrytest.Want(t, b, "user", 1, "ga")
	admin := operator(t, server.Address())
	refuse := func(n string) {
		if err := admin.Do(t.Context(), admin.B().ConfigSet().ParameterValue().ParameterValue("min-replicas-to-write", n).Build()).Error(); err != nil {
			t.Fatal(err)
		}
	}
	refuse("1")
	start := time.Now()
	if err := ga.Bind(t.Context(), "user", 2); errs.CodeOf(err) != errs.Unavailable {
		t.Errorf("Bind: %v", err)
	}
	registrytest.Eventually(t, "the lease is over", func() bool {
		f := b.Lookup(t.Context(), registrytest.Kind, "user", []int64{1, 2})
		if time.Since(start) > time.Second && (!f.Degraded || !slices.Equal(registrytest.IDs(f.Instances[1]), []string{"ga", "gb"})) {
			t.Fatalf("Lookup: %v, degraded %v", f.Instances, f.Degraded)
		}
		return time.Since(start) > lease+time.Second
	})
	refuse("0")
	registrytest.Eventually(t, "everything is bound", func() bool { return found(t, b, 1, "ga") && found(t, b, 2, "ga") })
}
