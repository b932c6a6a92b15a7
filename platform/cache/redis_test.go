package cache_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gochat-im/gochat/platform/cache"
	"github.com/gochat-im/gochat/platform/cache/cachetest"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/redis"
	"github.com/gochat-im/gochat/platform/testenv"
)

// text is the codec of strings.
var text = cache.Codec[string]{
	Encode: func(s string) ([]byte, error) { return []byte(s), nil },
	Decode: func(b []byte) (string, error) { return string(b), nil },
}

// process returns a cache over a connection of its own, as another process has one.
func process(t testing.TB, address string, db int) cache.Cache[int64, string] {
	t.Helper()
	cfg := redis.DefaultConfig()
	cfg.Addresses, cfg.DB, cfg.DialTimeout = []string{address}, db, 500*time.Millisecond
	reg := prometheus.NewRegistry()
	shared, err := cache.OpenShared(t.Context(), cfg, cache.SharedConfig{TTL: 30 * time.Second}, slog.New(slog.DiscardHandler), reg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if families, err := reg.Gather(); err != nil || len(families) < 6 {
			t.Errorf("metrics: %d families, %v", len(families), err)
		}
		shared.Close()
	})
	return cache.New(shared, cache.Config[int64, string]{Name: "test", MaxEntries: 10_000, Key: cache.Int64(), Value: text}, nil)
}

func value(v string) func(context.Context, int64) (string, error) {
	return func(context.Context, int64) (string, error) { return v, nil }
}

func noLoad(context.Context, int64) (string, error) { return "", errors.New("it had to load") }

func get(t *testing.T, c cache.Cache[int64, string], key int64, load func(context.Context, int64) (string, error)) string {
	t.Helper()
	v, err := c.Get(t.Context(), key, load)
	if err != nil {
		t.Errorf("Get(%d): %v", key, err)
	}
	return v
}

// eventually waits until a condition holds, or fails the test.
func eventually(t *testing.T, what string, holds func() bool) time.Duration {
	t.Helper()
	tick := time.NewTicker(500 * time.Microsecond)
	defer tick.Stop()
	start := time.Now()
	for !holds() {
		if <-tick.C; time.Since(start) > 20*time.Second {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
	return time.Since(start)
}

func TestRedis(t *testing.T) {
	t.Parallel()
	cachetest.Run(t, func(t *testing.T) cache.Cache[int64, string] {
		db := testenv.Redis(t)
		return process(t, db.Address, db.DB)
	})
}

func TestRedisIsTheSecondLevel(t *testing.T) {
	t.Parallel()
	db := testenv.Redis(t)
	a, b := process(t, db.Address, db.DB), process(t, db.Address, db.DB)
	if v := get(t, a, 1, value("one")); v != "one" {
		t.Errorf("Get = %q", v)
	}
	if v := get(t, b, 1, noLoad); v != "one" {
		t.Errorf("the other process: %q", v)
	}
	if v, ok := b.Peek(1); !ok || v != "one" {
		t.Errorf("Peek = %q, %v", v, ok)
	}
	got, err := b.GetMany(t.Context(), []int64{1, 2}, func(_ context.Context, missing []int64) (map[int64]string, error) {
		if len(missing) != 1 || missing[0] != 2 {
			t.Errorf("asked to load %v", missing)
		}
		return map[int64]string{2: "two"}, nil
	})
	if err != nil || got[1] != "one" || got[2] != "two" {
		t.Errorf("GetMany = %v, %v", got, err)
	}
	if v := get(t, a, 2, noLoad); v != "two" {
		t.Errorf("the other process: %q", v)
	}
}

func TestInvalidateReachesTheOtherProcess(t *testing.T) {
	t.Parallel()
	db := testenv.Redis(t)
	a, b := process(t, db.Address, db.DB), process(t, db.Address, db.DB)
	var slowest time.Duration
	for i := range 200 {
		old, fresh := fmt.Sprint("old ", i), fmt.Sprint("new ", i)
		get(t, a, 1, value(old))
		eventually(t, "the other process has the old value", func() bool { return get(t, b, 1, value(old)) == old })
		if err := a.Invalidate(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if _, ok := a.Peek(1); ok {
			t.Fatal("the process that invalidated still has the value")
		}
		slowest = max(slowest, eventually(t, "the other process has the new value", func() bool { return get(t, b, 1, value(fresh)) == fresh }))
		if err := b.Invalidate(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("the slowest took %v", slowest)
	if slowest > time.Second { // a few milliseconds where the machine is not busy
		t.Errorf("it took %v", slowest)
	}
}

// What was loaded before an invalidation by another process stays in no level.
func TestLoadOvertakenByAnotherProcess(t *testing.T) {
	t.Parallel()
	db := testenv.Redis(t)
	a, b, c := process(t, db.Address, db.DB), process(t, db.Address, db.DB), process(t, db.Address, db.DB)
	v := get(t, b, 1, func(ctx context.Context, _ int64) (string, error) {
		return "old", a.Invalidate(ctx, 1)
	})
	if v != "old" {
		t.Errorf("the loader got %q", v)
	}
	if v := get(t, c, 1, value("new")); v != "new" {
		t.Errorf("Redis has %q", v)
	}
	if v := get(t, b, 1, noLoad); v != "new" {
		t.Errorf("the loader kept %q", v)
	}
}

// While Redis is lost everything is loaded, nothing is kept, and Invalidate says that it could not tell. A server that
// comes back with what it saved long ago is not believed.
func TestRedisLost(t *testing.T) {
	t.Parallel()
	server := testenv.RedisServer(t)
	a, b := process(t, server.Address(), 0), process(t, server.Address(), 0)
	get(t, a, 1, value("old"))
	get(t, b, 1, noLoad)
	server.Stop() // and it saves its data
	eventually(t, "the first level is forgotten", func() bool { _, ok := b.Peek(1); return !ok })
	if v := get(t, b, 1, value("during")); v != "during" {
		t.Errorf("while lost: %q", v)
	}
	if v := get(t, b, 1, value("during, again")); v != "during, again" {
		t.Errorf("something was kept while lost: %q", v)
	}
	if err := a.Invalidate(t.Context(), 1); errs.CodeOf(err) != errs.Unavailable {
		t.Errorf("Invalidate while lost: %v", err)
	}
	server.Start()
	eventually(t, "values are kept again", func() bool {
		if v := get(t, b, 1, value("new")); v != "new" {
			t.Fatalf("a value from before the loss: %q", v)
		}
		_, ok := b.Peek(1)
		return ok
	})
	if v := get(t, a, 1, value("newer")); v != "new" && v != "newer" {
		t.Errorf("the other process: %q", v)
	}
}

// Everybody is cut off, and Redis keeps everything: nobody reads from it before what is owed is done.
func TestOwedInvalidations(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	proxy := testenv.Proxy(t, server.Address)
	a, b := process(t, proxy.Address(), server.DB), process(t, proxy.Address(), server.DB)
	for key := range int64(100) {
		get(t, a, key, value("old"))
		get(t, b, key, noLoad)
	}
	proxy.Cut()
	var keys []int64
	for key := range int64(100) {
		keys = append(keys, key)
	}
	eventually(t, "the loss is noticed", func() bool { return errs.CodeOf(a.Invalidate(t.Context(), keys...)) == errs.Unavailable })
	eventually(t, "by the other one too", func() bool {
		return !slices.ContainsFunc(keys, func(key int64) bool { _, ok := b.Peek(key); return ok })
	})
	proxy.Restore()
	eventually(t, "values are kept again", func() bool {
		kept := 0
		for _, key := range keys {
			if v := get(t, b, key, value("new")); v != "new" {
				t.Fatalf("key %d has the value from before the change: %q", key, v)
			}
			if _, ok := b.Peek(key); ok {
				kept++
			}
		}
		return kept == len(keys)
	})
}

// Only the process that changes something is cut off: the other one is told when it is back.
func TestAloneCutOff(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	proxy := testenv.Proxy(t, server.Address)
	a, b := process(t, proxy.Address(), server.DB), process(t, server.Address, server.DB)
	get(t, a, 1, value("old"))
	get(t, b, 1, noLoad)
	proxy.Cut()
	eventually(t, "the loss is noticed", func() bool { return errs.CodeOf(a.Invalidate(t.Context(), 1)) == errs.Unavailable })
	if v := get(t, a, 1, value("new")); v != "new" {
		t.Errorf("the process that changed it has %q", v)
	}
	proxy.Restore()
	eventually(t, "the other process is told", func() bool { return get(t, b, 1, value("new")) == "new" })
}

// Nothing arrives any more and nobody says so.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	proxy := testenv.Proxy(t, server.Address)
	a, b := process(t, server.Address, server.DB), process(t, proxy.Address(), server.DB)
	get(t, a, 1, value("old"))
	get(t, b, 1, noLoad)
	proxy.Stall()
	if err := a.Invalidate(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	took := eventually(t, "the old value is forgotten", func() bool { _, ok := b.Peek(1); return !ok })
	if took > 4*time.Second { // 2 s, and what a busy machine adds
		t.Errorf("the old value was kept for %v", took)
	}
	if v := get(t, b, 1, value("new")); v != "new" {
		t.Errorf("half open: %q", v)
	}
	proxy.Resume()
	eventually(t, "values are kept again", func() bool {
		if v := get(t, b, 1, value("new")); v != "new" {
			t.Fatalf("the old value is back: %q", v)
		}
		_, ok := b.Peek(1)
		return ok
	})
}

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

func TestRedisCluster(t *testing.T) {
	t.Parallel()
	cachetest.Run(t, func(t *testing.T) cache.Cache[int64, string] { return process(t, testenv.RedisCluster(t), 0) })
}
