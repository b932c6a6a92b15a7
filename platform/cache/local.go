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
)

// stripes share out the locks that order loads and invalidations.
const stripes = 64

// local keeps values in an otter cache. What otter does not promise, that a value loaded before an invalidation is
// not kept after it, is held by a generation in each stripe.
type local[K comparable, V any] struct {
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

// closed is the end of what is there already.
var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// newLocal makes a cache of at most maxEntries, which are forgotten after ttl unless that is 0.
func newLocal[K comparable, V any](maxEntries int, ttl time.Duration) *local[K, V] {
	opts := &otter.Options[K, V]{MaximumSize: max(1, maxEntries)}
	if ttl > 0 {
		opts.ExpiryCalculator = otter.ExpiryWriting[K, V](ttl)
	}
	c := &local[K, V]{values: otter.Must(opts), seed: maphash.MakeSeed()}
	for i := range c.stripes {
		c.stripes[i].loads = map[K]*load[V]{}
	}
	return c
}

// get is Cache.Get; fn also says whether the value may be kept.
func (c *local[K, V]) get(ctx context.Context, key K, fn func(ctx context.Context, key K) (v V, keep bool, err error)) (V, error) {
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
func (c *local[K, V]) join(key K) (l *load[V], generation uint64, leader bool) {
	s := c.stripe(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if running, ok := s.loads[key]; ok {
		return running, 0, false
	}
	if v, ok := c.Peek(key); ok { // loaded since the caller looked
		return &load[V]{done: closed, value: v}, 0, false
	}
	l = &load[V]{done: make(chan struct{}), err: errors.New("load panicked")}
	s.loads[key] = l
	return l, s.generation, true
}

func (c *local[K, V]) lead(ctx context.Context, key K, l *load[V], generation uint64, fn func(ctx context.Context, key K) (V, bool, error)) (V, error) {
	s, keep := c.stripe(key), false
	defer func() { // also when fn panics
		s.mu.Lock()
		defer s.mu.Unlock()
		if l.err == nil && keep && s.generation == generation {
			c.values.Set(key, l.value)
		}
		if s.loads[key] == l { // an invalidation lets later callers load anew
			delete(s.loads, key)
		}
		close(l.done)
	}()
	l.value, keep, l.err = fn(ctx, key)
	return l.value, l.err
}

// getMany is Cache.GetMany; fn also says which values may be kept.
func (c *local[K, V]) getMany(ctx context.Context, keys []K, fn func(ctx context.Context, missing []K) (values map[K]V, keep func(K) bool, err error)) (map[K]V, error) {
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
	loaded, keep, err := fn(ctx, missing)
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
		if s.generation == generations[key] && keep(key) {
			c.values.Set(key, v)
		}
		s.mu.Unlock()
	}
	return found, nil
}

// Peek implements Cache.
func (c *local[K, V]) Peek(key K) (V, bool) { return c.values.GetIfPresent(key) }

// forget drops keys and what is being loaded of them.
func (c *local[K, V]) forget(keys ...K) {
	for _, key := range keys {
		s := c.stripe(key)
		s.mu.Lock()
		s.generation++
		delete(s.loads, key) // who asks from now on must not get what is being loaded
		c.values.Invalidate(key)
		s.mu.Unlock()
	}
}

// forgetAll drops everything and what is being loaded.
func (c *local[K, V]) forgetAll() {
	for i := range c.stripes {
		s := &c.stripes[i]
		s.mu.Lock()
		s.generation++
		clear(s.loads)
		s.mu.Unlock()
	}
	c.values.InvalidateAll()
}

// Stats implements Cache.
func (c *local[K, V]) Stats() Stats {
	return Stats{Hits: c.hits.Load(), Misses: c.misses.Load(), Entries: c.values.EstimatedSize()}
}

func (c *local[K, V]) stripe(key K) *stripe[K, V] {
	return &c.stripes[maphash.Comparable(c.seed, key)%stripes]
}
