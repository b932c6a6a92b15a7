package registry_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/redis"
	"github.com/gochat-im/gochat/platform/registry"
	"github.com/gochat-im/gochat/platform/registry/registrytest"
	"github.com/gochat-im/gochat/platform/testenv"
)

// lease is short, so that tests need not wait long for a death, and long enough for a busy machine.
const lease = 3 * time.Second

// operator is a client for what an operator does to the server.
func operator(t *testing.T, address string) *redis.Client {
	t.Helper()
	cfg := redis.DefaultConfig()
	cfg.Addresses = []string{address}
	c, err := redis.Open(t.Context(), cfg, redis.Options{Name: "operator"}, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// process returns a registry over a connection of its own, as another process has one.
func process(t *testing.T, address string, db int) registry.Registry {
	t.Helper()
	cfg := redis.DefaultConfig()
	cfg.Addresses, cfg.DB, cfg.DialTimeout = []string{address}, db, 500*time.Millisecond
	reg := prometheus.NewRegistry()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	client, err := redis.Open(t.Context(), cfg, redis.Options{Name: "test"}, log, reg)
	if err != nil {
		t.Fatal(err)
	}
	r := registry.NewRedis(registry.Config{Lease: lease}, client, log, reg)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 5*time.Second)
		defer cancel()
		if err := r.Close(ctx); err != nil && errs.CodeOf(err) != errs.Unavailable { // tests take Redis away
			t.Error(err)
		}
		client.Close()
	})
	return r
}

func TestRedis(t *testing.T) {
	t.Parallel()
	registrytest.Run(t, func(t *testing.T) registrytest.Open {
		db := testenv.Redis(t)
		return func(t *testing.T) registry.Registry { return process(t, db.Address, db.DB) }
	})
}

// found tells whether exactly these instances are named for a key, for certain.
func found(t *testing.T, r registry.Registry, key int64, ids ...string) bool {
	t.Helper()
	f := r.Lookup(t.Context(), registrytest.Kind, "user", []int64{key})
	return !f.Degraded && slices.Equal(registrytest.IDs(f.Instances[0]), ids)
}

// An instance whose process was killed renews nothing any more: here it is cut off.
func TestDeadInstanceIsForgottenWithinItsLease(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	proxy := testenv.Proxy(t, server.Address)
	a, b := process(t, server.Address, server.DB), process(t, proxy.Address(), server.DB)
	registrytest.Register(t, a, "ga")
	gb := registrytest.Register(t, b, "gb")
	if err := gb.Bind(t.Context(), "user", 1); err != nil {
		t.Fatal(err)
	}
	registrytest.Want(t, a, "user", 1, "gb")
	proxy.Cut()
	died := time.Now()
	registrytest.Eventually(t, "the dead instance is gone", func() bool {
		return found(t, a, 1) && slices.Equal(registrytest.IDs(a.Instances(t.Context(), registrytest.Kind)), []string{"ga"})
	})
	// The lease, the age of the list, and what a busy machine adds.
	if took := time.Since(died); took > lease+2*time.Second {
		t.Errorf("it was named for %v, the lease is %v", took, lease)
	}
	// Its process lives after all, and was told of changes meanwhile.
	if err := gb.Bind(t.Context(), "user", 2); errs.CodeOf(err) != errs.Unavailable {
		t.Errorf("Bind while cut off: %v", err)
	}
	if err := gb.Unbind(t.Context(), "user", 1); errs.CodeOf(err) != errs.Unavailable {
		t.Errorf("Unbind while cut off: %v", err)
	}
	proxy.Restore()
	registrytest.Eventually(t, "it is back with what changed", func() bool { return found(t, a, 1) && found(t, a, 2, "gb") })
}

func TestRedisLost(t *testing.T) {
	t.Parallel()
	server := testenv.RedisServer(t)
	a, b := process(t, server.Address(), 0), process(t, server.Address(), 0)
	ga, gb := registrytest.Register(t, a, "ga"), registrytest.Register(t, b, "gb")
	const keys = 3000
	var mine []int64
	for k := range int64(keys) {
		mine = append(mine, k)
	}
	if err := ga.Bind(t.Context(), "user", mine...); err != nil {
		t.Fatal(err)
	}
	if err := gb.Bind(t.Context(), "user", 7); err != nil {
		t.Fatal(err)
	}
	registrytest.Want(t, b, "user", 8, "ga")

	server.Kill() // whatever it had not saved is gone
	registrytest.Eventually(t, "look-ups name everybody", func() bool {
		f := b.Lookup(t.Context(), registrytest.Kind, "user", []int64{8, 1 << 40})
		return f.Degraded && slices.Equal(registrytest.IDs(f.Instances[0]), []string{"ga", "gb"}) &&
			slices.Equal(registrytest.IDs(f.Instances[1]), []string{"ga", "gb"})
	})
	if err := ga.Unbind(t.Context(), "user", 8); errs.CodeOf(err) != errs.Unavailable {
		t.Errorf("Unbind while lost: %v", err)
	}
	if err := gb.Bind(t.Context(), "user", 9); errs.CodeOf(err) != errs.Unavailable {
		t.Errorf("Bind while lost: %v", err)
	}
	if _, err := a.Register(t.Context(), registry.Instance{ID: "gc", Kind: registrytest.Kind, Address: "c:1"}); errs.CodeOf(err) != errs.Unavailable {
		t.Errorf("Register while lost: %v", err)
	}
	if _, err := a.Agree(t.Context(), "keys", "x"); errs.CodeOf(err) != errs.Unavailable {
		t.Errorf("Agree while lost: %v", err)
	}
	// Longer than the lease: who cannot renew it is not dead for that.
	gone := time.Now()
	registrytest.Eventually(t, "the lease is over", func() bool { return time.Since(gone) > lease+500*time.Millisecond })
	if got := registrytest.IDs(b.Instances(t.Context(), registrytest.Kind)); !slices.Equal(got, []string{"ga", "gb"}) {
		t.Errorf("Instances while lost: %v", got)
	}

	server.Start()
	rebuilt := func() bool {
		// Until everything is bound again nobody may be left out.
		f := b.Lookup(t.Context(), registrytest.Kind, "user", []int64{0, 7, keys - 1})
		for i, ids := range [][]string{{"ga"}, {"ga", "gb"}, {"ga"}} {
			for _, id := range ids {
				if !slices.Contains(registrytest.IDs(f.Instances[i]), id) {
					t.Fatalf("key %d misses %s: %v, degraded %v", i, id, f.Instances[i], f.Degraded)
				}
			}
		}
		return !f.Degraded
	}
	registrytest.Eventually(t, "everything is bound again", rebuilt)
	registrytest.Want(t, b, "user", 8)
	registrytest.Want(t, b, "user", 9, "ga", "gb")
	found := b.Lookup(t.Context(), registrytest.Kind, "user", mine)
	for k, of := range found.Instances {
		if k != 8 && !slices.Contains(registrytest.IDs(of), "ga") {
			t.Fatalf("key %d is not bound again: %v", k, of)
		}
	}
}

// Half open: both ends think that they are connected, and nothing arrives.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	proxy := testenv.Proxy(t, server.Address)
	a, b := process(t, server.Address, server.DB), process(t, proxy.Address(), server.DB)
	ga := registrytest.Register(t, a, "ga")
	gb := registrytest.Register(t, b, "gb")
	if err := ga.Bind(t.Context(), "user", 1); err != nil {
		t.Fatal(err)
	}
	registrytest.Want(t, b, "user", 1, "ga")
	proxy.Stall()
	start := time.Now()
	f := b.Lookup(t.Context(), registrytest.Kind, "user", []int64{1})
	if !f.Degraded || !slices.Equal(registrytest.IDs(f.Instances[0]), []string{"ga", "gb"}) {
		t.Errorf("half open: %v, degraded %v", f.Instances, f.Degraded)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("a look-up took %v", took)
	}
	for k := range int64(50) { // some get stuck on their way and arrive late
		bounded, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if err := gb.Bind(bounded, "user", 100+k); errs.CodeOf(err) != errs.Unavailable {
			t.Errorf("Bind while half open: %v", err)
		}
		cancel()
	}
	proxy.Resume()
	registrytest.Eventually(t, "everything is bound", func() bool { return found(t, a, 100, "gb") && found(t, a, 149, "gb") && found(t, b, 1, "ga") })
}

func TestAgreementOutlivesItsFirst(t *testing.T) {
	t.Parallel()
	server := testenv.RedisServer(t)
	a, b := process(t, server.Address(), 0), process(t, server.Address(), 0)
	for _, r := range []registry.Registry{a, b} {
		if v, err := r.Agree(t.Context(), "keys", "one"); v != "one" || err != nil {
			t.Fatalf("Agree: %q, %v", v, err)
		}
	}
	if err := a.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	registrytest.Eventually(t, "the lease is over", func() bool { return time.Since(start) > lease+time.Second })
	c := process(t, server.Address(), 0)
	if v, err := c.Agree(t.Context(), "keys", "two"); v != "one" || err != nil {
		t.Errorf("Agree while one lives: %q, %v", v, err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	registrytest.Eventually(t, "nobody holds the old value", func() bool {
		v, err := c.Agree(t.Context(), "keys", "two")
		return v == "two" && err == nil
	})
}

func TestRedisCluster(t *testing.T) {
	t.Parallel()
	registrytest.Run(t, func(t *testing.T) registrytest.Open {
		address := testenv.RedisCluster(t)
		return func(t *testing.T) registry.Registry { return process(t, address, 0) }
	})
}
