package cache

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// EmbeddedConfig describes one in-process cache.
type EmbeddedConfig struct {
	Name       string // label of its metrics
	MaxEntries int
	TTL        time.Duration // since the value was loaded; 0: until it is invalidated or evicted
}

// stripes share out the locks that order loads and invalidations.
const stripes = 64

// embedded keeps values in an otter cache. What otter does not promise, that a value loaded before an invalidation is
// not kept after it, is held by a generation in each stripe.
type embedded[K comparable, V any] struct {
	values       *otter.Cache[K, V]
	seed         maphash.Seed
	stripes      [stripes]stripe[K, V]
	hits, misses atomic.Uint64
}

type stripe[K comparable, V any] struct {
	mu         sync.Mutex // guards what follows, and the order of values' changes of this stripe's keys
	generation uint64
	loads      map[K]*load[V]
}

// load is one running load of one key.
type load[V any] struct {
	done  chan struct{}
	value V
	err   error
}

// NewEmbedded returns an in-process cache. reg may be nil.
func NewEmbedded[K comparable, V any](cfg EmbeddedConfig, reg prometheus.Registerer) Cache[K, V] {
	opts := &otter.Options[K, V]{MaximumSize: max(1, cfg.MaxEntries)}
	if cfg.TTL > 0 {
		opts.ExpiryCalculator = otter.ExpiryWriting[K, V](cfg.TTL)
	}
	c := &embedded[K, V]{values: otter.Must(opts), seed: maphash.MakeSeed()}
	for i := range c.stripes {
		c.stripes[i].loads = map[K]*load[V]{}
	}
	registerMetrics(cfg.Name, c.Stats, reg)
	return c
}

func (c *embedded[K, V]) Get(ctx context.Context, key K, fn func(ctx context.Context, key K) (V, error)) (V, error) {
	if v, ok := c.Peek(key); ok {
		c.hits.Add(1)
		return v, nil
	}
	c.misses.Add(1)
	for {
		l, generation, leader := c.join(key)
		if leader {
			return c.lead(ctx, key, l, generation, fn)
		}
		select {
		case <-l.done:
		case <-ctx.Done():
			var none V
			return none, fmt.Errorf("wait for a load: %w", ctx.Err())
		}
		// Another caller's end is not ours.
		if l.err == nil || !errors.Is(l.err, context.Canceled) && !errors.Is(l.err, context.DeadlineExceeded) {
			return l.value, l.err
		}
		if err := ctx.Err(); err != nil {
			var none V
			return none, fmt.Errorf("wait for a load: %w", err)
		}
	}
}

// join returns the running load of key, or a new one that the caller leads.
func (c *embedded[K, V]) join(key K) (l *load[V], generation uint64, leader bool) {
	s := c.stripe(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if running, ok := s.loads[key]; ok {
		return running, 0, false
	}
	l = &load[V]{done: make(chan struct{}), err: errors.New("load panicked")}
	s.loads[key] = l
	return l, s.generation, true
}

func (c *embedded[K, V]) lead(ctx context.Context, key K, l *load[V], generation uint64, fn func(ctx context.Context, key K) (V, error)) (V, error) {
	s := c.stripe(key)
	defer func() { // also when fn panics
		s.mu.Lock()
		defer s.mu.Unlock()
		if l.err == nil && s.generation == generation {
			c.values.Set(key, l.value)
		}
		if s.loads[key] == l { // an invalidation lets later callers load anew
			delete(s.loads, key)
		}
		close(l.done)
	}()
	l.value, l.err = fn(ctx, key)
	return l.value, l.err
}

func (c *embedded[K, V]) GetMany(ctx context.Context, keys []K, fn func(ctx context.Context, missing []K) (map[K]V, error)) (map[K]V, error) {
	found := make(map[K]V, len(keys))
	var missing []K
	generations := map[K]uint64(nil)
	for _, key := range keys {
		if _, ok := found[key]; ok {
			continue
		}
		if v, ok := c.Peek(key); ok {
			found[key] = v
			continue
		}
		if generations == nil {
			generations = map[K]uint64{}
		}
		if _, ok := generations[key]; ok {
			continue
		}
		s := c.stripe(key)
		s.mu.Lock()
		generations[key] = s.generation
		s.mu.Unlock()
		missing = append(missing, key)
	}
	c.hits.Add(uint64(len(found)))
	if len(missing) == 0 {
		return found, nil
	}
	c.misses.Add(uint64(len(missing)))
	loaded, err := fn(ctx, missing)
	if err != nil {
		return nil, err
	}
	for _, key := range missing {
		v, ok := loaded[key]
		if !ok {
			continue
		}
		found[key] = v
		s := c.stripe(key)
		s.mu.Lock()
		if s.generation == generations[key] {
			c.values.Set(key, v)
		}
		s.mu.Unlock()
	}
	return found, nil
}

func (c *embedded[K, V]) Peek(key K) (V, bool) { return c.values.GetIfPresent(key) }

func (c *embedded[K, V]) Invalidate(_ context.Context, keys ...K) error {
	for _, key := range keys {
		s := c.stripe(key)
		s.mu.Lock()
		s.generation++
		delete(s.loads, key) // who asks from now on must not get what is being loaded
		c.values.Invalidate(key)
		s.mu.Unlock()
	}
	return nil
}

func (c *embedded[K, V]) Stats() Stats {
	return Stats{Hits: c.hits.Load(), Misses: c.misses.Load(), Entries: c.values.EstimatedSize()}
}

func (c *embedded[K, V]) stripe(key K) *stripe[K, V] {
	return &c.stripes[maphash.Comparable(c.seed, key)%stripes]
}

// registerMetrics publishes a cache's counters under its name.
func registerMetrics(name string, stats func() Stats, reg prometheus.Registerer) {
	if reg == nil {
		return
	}
	labels := prometheus.Labels{"cache": name}
	reg.MustRegister(
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "gochat_cache_hits_total", Help: "Reads that a cache answered.", ConstLabels: labels},
			func() float64 { return float64(stats().Hits) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "gochat_cache_misses_total", Help: "Reads that had to load.", ConstLabels: labels},
			func() float64 { return float64(stats().Misses) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gochat_cache_entries", Help: "Values in a cache.", ConstLabels: labels},
			func() float64 { return float64(stats().Entries) }),
	)
}
