// Package cache keeps what is read often next to who reads it. Values are
// shared: nobody mutates one. Every implementation passes cachetest.
package cache

import "context"

// Cache is the contract of every implementation.
type Cache[K comparable, V any] interface {
	// Get returns the value of key, loading it on a miss. Concurrent misses of
	// one key share one load. A value whose key was invalidated while it was
	// being loaded is returned to the callers that waited but not kept. A
	// load's error is returned and not cached.
	Get(ctx context.Context, key K, load func(ctx context.Context, key K) (V, error)) (V, error)
	// GetMany is Get for many keys with one load for all misses; keys that the load leaves out are left out.
	GetMany(ctx context.Context, keys []K, load func(ctx context.Context, missing []K) (map[K]V, error)) (map[K]V, error)
	// Peek returns the value if it is cached. It never loads.
	Peek(key K) (V, bool)
	// Invalidate forgets keys in every process before it returns.
	Invalidate(ctx context.Context, keys ...K) error
	// Stats counts since the cache was made.
	Stats() Stats
}

// Stats are a cache's counters.
type Stats struct {
	Hits, Misses uint64
	Entries      int
}
