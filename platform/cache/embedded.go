package cache

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// EmbeddedConfig describes one in-process cache.
type EmbeddedConfig struct {
	Name       string // label of its metrics
	MaxEntries int
	TTL        time.Duration // since the value was loaded; 0: until it is invalidated or evicted
}

// embedded is the cache of a single process.
type embedded[K comparable, V any] struct{ *local[K, V] }

// NewEmbedded returns an in-process cache. reg may be nil.
func NewEmbedded[K comparable, V any](cfg EmbeddedConfig, reg prometheus.Registerer) Cache[K, V] {
	c := embedded[K, V]{newLocal[K, V](cfg.MaxEntries, cfg.TTL)}
	registerMetrics(cfg.Name, c.Stats, reg)
	return c
}

func (c embedded[K, V]) Get(ctx context.Context, key K, load func(ctx context.Context, key K) (V, error)) (V, error) {
	return c.get(ctx, key, func(ctx context.Context, key K) (V, bool, error) {
		v, err := load(ctx, key)
		return v, true, err
	})
}

func (c embedded[K, V]) GetMany(ctx context.Context, keys []K, load func(ctx context.Context, missing []K) (map[K]V, error)) (map[K]V, error) {
	return c.getMany(ctx, keys, func(ctx context.Context, missing []K) (map[K]V, func(K) bool, error) {
		values, err := load(ctx, missing)
		return values, func(K) bool { return true }, err
	})
}

func (c embedded[K, V]) Invalidate(_ context.Context, keys ...K) error {
	c.forget(keys...)
	return nil
}
