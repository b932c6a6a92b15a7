// Package limittest is the contract of platform/limit, to run on every implementation.
package limittest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gochat-im/gochat/platform/limit"
)

// Run holds an implementation to the contract. world returns a Maker whose buckets nobody else takes from.
func Run(t *testing.T, world func(t *testing.T) limit.Maker) {
	for name, test := range map[string]func(t *testing.T, m limit.Maker){
		"a burst, then the rate":         burstThenRate,
		"keys and limiters are apart":    apart,
		"a look takes nothing":           check,
		"what is given back can be used": give,
		"a reset fills the bucket":       reset,
		"many at once get no more":       many,
		"a large burst is all there":     large,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, world(t))
		})
	}
}

// never is a rate that fills nothing while a test runs.
const never = 1e-4

func take(t *testing.T, l limit.Limiter, key string, want bool) {
	t.Helper()
	if ok, retry := l.Allow(t.Context(), key); ok != want || ok == (retry > 0) {
		t.Errorf("Allow(%s) = %v, %v; want %v", key, ok, retry, want)
	}
}

func look(t *testing.T, l limit.Limiter, key string, want bool) {
	t.Helper()
	if ok, retry := l.Check(t.Context(), key); ok != want || ok == (retry > 0) {
		t.Errorf("Check(%s) = %v, %v; want %v", key, ok, retry, want)
	}
}

func burstThenRate(t *testing.T, m limit.Maker) {
	l := m.New("a", limit.Config{Rate: 2, Burst: 3}, 100)
	start := time.Now()
	allowed, told := 0, false
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for allowed < 7 { // four more than the burst: two seconds
		<-tick.C
		ok, retry := l.Allow(t.Context(), "k")
		switch {
		case ok:
			allowed++
		case retry <= 0 || retry > 500*time.Millisecond:
			t.Fatalf("refused, and told to wait %v", retry)
		default:
			told = true
		}
		if time.Since(start) > 30*time.Second {
			t.Fatalf("%d tokens in %v", allowed, time.Since(start))
		}
	}
	if took := time.Since(start); took < 1990*time.Millisecond || !told {
		t.Errorf("7 tokens in %v, refused: %v", took, told)
	}
}

func apart(t *testing.T, m limit.Maker) {
	a, b := m.New("a", limit.Config{Rate: never, Burst: 1}, 100), m.New("b", limit.Config{Rate: never, Burst: 1}, 100)
	take(t, a, "k", true)
	take(t, a, "k", false)
	take(t, a, "other", true)
	take(t, b, "k", true)
}

func check(t *testing.T, m limit.Maker) {
	l := m.New("a", limit.Config{Rate: never, Burst: 2}, 100)
	for range 5 {
		look(t, l, "k", true)
	}
	take(t, l, "k", true)
	look(t, l, "k", true)
	take(t, l, "k", true)
	look(t, l, "k", false)
	take(t, l, "k", false)
}

func give(t *testing.T, m limit.Maker) {
	l := m.New("a", limit.Config{Rate: never, Burst: 1}, 100)
	l.Give(t.Context(), "k") // a full bucket stays full
	take(t, l, "k", true)
	take(t, l, "k", false)
	l.Give(t.Context(), "k")
	look(t, l, "k", true)
	take(t, l, "k", true)
	take(t, l, "k", false)
}

func reset(t *testing.T, m limit.Maker) {
	l := m.New("a", limit.Config{Rate: never, Burst: 2}, 100)
	l.Reset(t.Context(), "never seen")
	for range 3 {
		take(t, l, "k", true)
		take(t, l, "k", true)
		take(t, l, "k", false)
		l.Reset(t.Context(), "k")
	}
}

func many(t *testing.T, m limit.Maker) {
	l := m.New("a", limit.Config{Rate: never, Burst: 200}, 100)
	var allowed atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 50 {
				if ok, _ := l.Allow(t.Context(), "k"); ok {
					allowed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := allowed.Load(); n != 200 {
		t.Errorf("%d of 1,000 were allowed with a burst of 200", n)
	}
}

func large(t *testing.T, m limit.Maker) {
	l := m.New("a", limit.Config{Rate: never, Burst: 2000}, 100)
	for range 2000 {
		take(t, l, "k", true)
	}
	take(t, l, "k", false)
	l.Give(t.Context(), "k")
	take(t, l, "k", true)
	take(t, l, "k", false)
}
