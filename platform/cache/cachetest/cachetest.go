// Package cachetest is the contract of platform/cache, to run on every implementation.
package cachetest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gochat-im/gochat/platform/cache"
)

// Run holds an implementation to the contract. open returns a new, empty cache with room for at least 1,000 entries.
func Run(t *testing.T, open func(t *testing.T) cache.Cache[int64, string]) {
	for name, test := range map[string]func(t *testing.T, c cache.Cache[int64, string]){
		"loads once":                         loadsOnce,
		"errors are not kept":                errorsAreNotKept,
		"concurrent misses share a load":     sharedLoad,
		"a stale load is not kept":           staleLoad,
		"no stale read after an invalidate":  noStaleJoin,
		"a leader's end is not the others'":  leaderEnds,
		"many":                               many,
		"never stale under load":             neverStale,
		"a waiter's own deadline is its own": waiterEnds,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func value(v string) func(context.Context, int64) (string, error) {
	return func(context.Context, int64) (string, error) { return v, nil }
}

func want(t *testing.T, c cache.Cache[int64, string], key int64, load func(context.Context, int64) (string, error), expected string) {
	t.Helper()
	if v, err := c.Get(t.Context(), key, load); v != expected || err != nil {
		t.Errorf("Get(%d) = %q, %v; want %q", key, v, err, expected)
	}
}

func loadsOnce(t *testing.T, c cache.Cache[int64, string]) {
	if _, ok := c.Peek(1); ok {
		t.Error("an empty cache has a value")
	}
	want(t, c, 1, value("a"), "a")
	want(t, c, 1, value("b"), "a")
	if v, ok := c.Peek(1); !ok || v != "a" {
		t.Errorf("Peek = %q, %v", v, ok)
	}
	if err := c.Invalidate(t.Context(), 1, 2); err != nil {
		t.Fatal(err)
	}
	want(t, c, 1, value("c"), "c")
	if s := c.Stats(); s.Hits != 1 || s.Misses != 2 || s.Entries != 1 {
		t.Errorf("Stats = %+v", s)
	}
}

func errorsAreNotKept(t *testing.T, c cache.Cache[int64, string]) {
	broken := errors.New("broken")
	if _, err := c.Get(t.Context(), 1, func(context.Context, int64) (string, error) { return "", broken }); !errors.Is(err, broken) {
		t.Errorf("Get: %v", err)
	}
	want(t, c, 1, value("a"), "a")
	if _, err := c.GetMany(t.Context(), []int64{1, 2}, func(context.Context, []int64) (map[int64]string, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("GetMany: %v", err)
	}
}

func sharedLoad(t *testing.T, c cache.Cache[int64, string]) {
	var loads atomic.Int32
	release := make(chan struct{})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			want(t, c, 1, func(context.Context, int64) (string, error) {
				loads.Add(1)
				<-release
				return "a", nil
			}, "a")
		})
	}
	close(release)
	wg.Wait()
	// Callers that came after the load found the value; none loaded a second time.
	if n := loads.Load(); n != 1 {
		t.Errorf("%d loads", n)
	}
}

func staleLoad(t *testing.T, c cache.Cache[int64, string]) {
	want(t, c, 1, func(ctx context.Context, _ int64) (string, error) {
		return "old", c.Invalidate(ctx, 1)
	}, "old")
	want(t, c, 1, value("new"), "new")
	got, err := c.GetMany(t.Context(), []int64{2}, func(ctx context.Context, _ []int64) (map[int64]string, error) {
		return map[int64]string{2: "old"}, c.Invalidate(ctx, 2)
	})
	if err != nil || got[2] != "old" {
		t.Errorf("GetMany = %v, %v", got, err)
	}
	want(t, c, 2, value("new"), "new")
}

// Who asks after an invalidation must not get what was being loaded before it.
func noStaleJoin(t *testing.T, c cache.Cache[int64, string]) {
	loading, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		want(t, c, 1, func(context.Context, int64) (string, error) {
			close(loading)
			<-release
			return "old", nil
		}, "old")
	})
	<-loading
	if err := c.Invalidate(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	want(t, c, 1, value("new"), "new")
	close(release)
	wg.Wait()
	want(t, c, 1, value("newer"), "new")
}

func leaderEnds(t *testing.T, c cache.Cache[int64, string]) {
	ctx, cancel := context.WithCancel(t.Context())
	loading := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := c.Get(ctx, 1, func(ctx context.Context, _ int64) (string, error) {
			close(loading)
			<-ctx.Done()
			return "", ctx.Err()
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the leader: %v", err)
		}
	})
	<-loading
	wg.Go(func() { want(t, c, 1, value("a"), "a") })
	cancel()
	wg.Wait()
}

func waiterEnds(t *testing.T, c cache.Cache[int64, string]) {
	loading, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		want(t, c, 1, func(context.Context, int64) (string, error) {
			close(loading)
			<-release
			return "a", nil
		}, "a")
	})
	<-loading
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Get(ended, 1, value("b")); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended waiter: %v", err)
	}
	close(release)
	wg.Wait()
}

func many(t *testing.T, c cache.Cache[int64, string]) {
	want(t, c, 1, value("one"), "one")
	got, err := c.GetMany(t.Context(), []int64{1, 2, 3, 2, 4}, func(_ context.Context, missing []int64) (map[int64]string, error) {
		if !slices.Equal(missing, []int64{2, 3, 4}) {
			t.Errorf("asked to load %v", missing)
		}
		return map[int64]string{2: "two", 3: "three"}, nil
	})
	if err != nil || !maps.Equal(got, map[int64]string{1: "one", 2: "two", 3: "three"}) {
		t.Errorf("GetMany = %v, %v", got, err)
	}
	want(t, c, 2, value("other"), "two")
	want(t, c, 4, value("four"), "four")
	if got, err := c.GetMany(t.Context(), []int64{1, 2}, nil); err != nil || len(got) != 2 {
		t.Errorf("GetMany of hits = %v, %v", got, err)
	}
}

// One writer raises a number and invalidates before it tells; no reader may then see less than what was told.
func neverStale(t *testing.T, c cache.Cache[int64, string]) {
	var stored, told atomic.Int64
	load := func(context.Context, int64) (string, error) { return string(rune(stored.Load())), nil }
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				atLeast := told.Load()
				v, err := c.Get(t.Context(), 1, load)
				if err != nil || int64([]rune(v)[0]) < atLeast {
					t.Errorf("read %q, %v after %d was told", v, err, atLeast)
					return
				}
			}
		})
	}
	for i := range int64(20_000) {
		stored.Store(i)
		if err := c.Invalidate(t.Context(), 1); err != nil {
			t.Error(err)
		}
		told.Store(i)
	}
	close(done)
	wg.Wait()
}
