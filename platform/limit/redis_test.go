package limit_test

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gochat-im/gochat/platform/limit"
	"github.com/gochat-im/gochat/platform/limit/limittest"
	"github.com/gochat-im/gochat/platform/redis"
	"github.com/gochat-im/gochat/platform/testenv"
)

// process returns the Maker of a process of its own, and its metrics.
func process(t testing.TB, address string, db int) (limit.Maker, *prometheus.Registry) {
	t.Helper()
	cfg := redis.DefaultConfig()
	cfg.Addresses, cfg.DB, cfg.DialTimeout = []string{address}, db, 500*time.Millisecond
	reg := prometheus.NewRegistry()
	client, err := redis.Open(t.Context(), cfg, redis.Options{Name: "test"}, slog.New(slog.DiscardHandler), reg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return limit.NewRedis(client, slog.New(slog.DiscardHandler), reg), reg
}

// counted reads a counter.
func counted(t testing.TB, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

func TestRedis(t *testing.T) {
	t.Parallel()
	limittest.Run(t, func(t *testing.T) limit.Maker {
		db := testenv.Redis(t)
		m, _ := process(t, db.Address, db.DB)
		return m
	})
}

// However many processes take, together they let pass no more than the limit says.
func TestSumOverProcesses(t *testing.T) {
	t.Parallel()
	db := testenv.Redis(t)
	for _, c := range []struct {
		name string
		cfg  limit.Config
	}{
		{"small", limit.Config{Rate: 1e-4, Burst: 10}},
		{"large", limit.Config{Rate: 1e-4, Burst: 2000}},
		{"refilled", limit.Config{Rate: 500, Burst: 100}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			const processes = 4
			var allowed atomic.Int64
			var calls float64
			var wg sync.WaitGroup
			start := time.Now()
			var regs []*prometheus.Registry
			for range processes {
				m, reg := process(t, db.Address, db.DB)
				regs = append(regs, reg)
				l := m.New(c.name, c.cfg, 100)
				for range 3 {
					wg.Go(func() {
						for range 1000 {
							if ok, _ := l.Allow(t.Context(), "k"); ok {
								allowed.Add(1)
							}
						}
					})
				}
			}
			wg.Wait()
			took := time.Since(start)
			for _, reg := range regs {
				calls += counted(t, reg, "gochat_limit_redis_calls_total")
				if n := counted(t, reg, "gochat_limit_fallbacks_total"); n != 0 {
					t.Errorf("%v were decided without Redis", n)
				}
			}
			n, most := allowed.Load(), float64(c.cfg.Burst)+c.cfg.Rate*took.Seconds()
			if float64(n) > most+1e-6 { // all leases were taken within the time, so nothing is added for them
				t.Errorf("%d were allowed in %v, at most %v are right", n, took, most)
			}
			// What is left in leases when everybody has stopped is lost: at most a lease for each process.
			if least := float64(c.cfg.Burst) - processes*float64(max(1, c.cfg.Burst/32)); float64(n) < least {
				t.Errorf("%d were allowed, at least %v are right", n, least)
			}
			t.Logf("%d of 12,000 allowed with %v calls in %v", n, calls, took)
			if c.name == "large" && calls > 400 {
				t.Errorf("%v calls for %d tokens", calls, n)
			}
		})
	}
}

// A login that fails at one process counts at all of them.
func TestSmallLimitsAreExact(t *testing.T) {
	t.Parallel()
	db := testenv.Redis(t)
	ma, _ := process(t, db.Address, db.DB)
	mb, _ := process(t, db.Address, db.DB)
	cfg := limit.Config{Rate: 1e-4, Burst: 4}
	a, b := ma.New("login", cfg, 100), mb.New("login", cfg, 100)
	for i := range 4 {
		l := a
		if i%2 == 1 {
			l = b
		}
		if ok, _ := l.Allow(t.Context(), "alice"); !ok {
			t.Fatalf("try %d is refused", i)
		}
	}
	for _, l := range []limit.Limiter{a, b} {
		if ok, _ := l.Allow(t.Context(), "alice"); ok {
			t.Error("a fifth try is allowed")
		}
	}
	a.Reset(t.Context(), "alice")
	if ok, _ := a.Allow(t.Context(), "alice"); !ok {
		t.Error("refused after the reset, where it was done")
	}
	start := time.Now()
	for {
		if ok, _ := b.Allow(t.Context(), "alice"); ok {
			break
		}
		if time.Since(start) > 10*time.Second {
			t.Fatal("the other process does not see the reset")
		}
	}
}

// Without Redis each process limits by itself: nobody is blocked, nothing is unlimited. With it back they share again.
func TestLost(t *testing.T) {
	t.Parallel()
	server := testenv.RedisServer(t)
	m, reg := process(t, server.Address(), 0)
	cfg := limit.Config{Rate: 1e-4, Burst: 10}
	l := m.New("a", cfg, 100)
	if ok, _ := l.Allow(t.Context(), "k"); !ok {
		t.Error("refused")
	}
	server.Kill()
	allowed := 0
	for range 100 {
		if ok, _ := l.Allow(t.Context(), "k"); ok {
			allowed++
		}
	}
	if allowed < 10 || allowed > 20 { // its own burst, and some that Redis granted before it was gone
		t.Errorf("%d of 100 were allowed while lost, with a burst of 10", allowed)
	}
	if counted(t, reg, "gochat_limit_fallbacks_total") == 0 {
		t.Error("no fallback is counted")
	}
	server.Start()
	start := time.Now()
	for before := counted(t, reg, "gochat_limit_redis_calls_total"); counted(t, reg, "gochat_limit_redis_calls_total") == before; {
		l.Allow(t.Context(), "other")
		if time.Since(start) > 20*time.Second {
			t.Fatal("Redis is not asked again")
		}
	}
}

func TestHalfOpen(t *testing.T) {
	t.Parallel()
	db := testenv.Redis(t)
	proxy := testenv.Proxy(t, db.Address)
	m, _ := process(t, proxy.Address(), db.DB)
	l := m.New("a", limit.Config{Rate: 1e-4, Burst: 5}, 100)
	if ok, _ := l.Allow(t.Context(), "k"); !ok {
		t.Error("refused")
	}
	proxy.Stall()
	start := time.Now()
	if ok, _ := l.Allow(t.Context(), "k"); !ok {
		t.Error("blocked by a half-open connection")
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestMetricsAreThere(t *testing.T) {
	t.Parallel()
	db := testenv.Redis(t)
	_, reg := process(t, db.Address, db.DB)
	if n, err := testutil.GatherAndCount(reg, "gochat_redis_up", "gochat_redis_losses_total", "gochat_limit_redis_calls_total", "gochat_limit_fallbacks_total"); n != 4 || err != nil {
		t.Errorf("%d metrics, %v", n, err)
	}
}

func BenchmarkRedisTake(b *testing.B) {
	db := testenv.Redis(b)
	for name, cfg := range map[string]limit.Config{
		"lease": {Rate: 1e8, Burst: 2000},
		"exact": {Rate: 1e8, Burst: 20},
	} {
		b.Run(name, func(b *testing.B) {
			m, _ := process(b, db.Address, db.DB)
			l := m.New(name, cfg, 100)
			for b.Loop() {
				if ok, _ := l.Allow(b.Context(), "k"); !ok {
					b.Fatal("refused")
				}
			}
		})
	}
}

func TestRedisCluster(t *testing.T) {
	t.Parallel()
	limittest.Run(t, func(t *testing.T) limit.Maker {
		m, _ := process(t, testenv.RedisCluster(t), 0)
		return m
	})
}
