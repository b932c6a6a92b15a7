package limit

import (
	"context"
	"math"
	"time"
)

// embedded has the buckets of one process.
type embedded struct {
	cfg     Config
	now     func() time.Time
	buckets *table[Bucket]
}

// NewEmbedded returns a limiter of one process for at most maxKeys keys, rounded up to a multiple of 16.
func NewEmbedded(cfg Config, maxKeys int) Limiter {
	return NewWithClock(cfg, maxKeys, time.Now)
}

// NewWithClock is NewEmbedded with another clock, for tests.
func NewWithClock(cfg Config, maxKeys int, now func() time.Time) Limiter {
	return &embedded{cfg: cfg, now: now, buckets: newTable[Bucket](maxKeys)}
}

func (l *embedded) Allow(_ context.Context, key string) (ok bool, retryAfter time.Duration) {
	now := l.now()
	l.buckets.with(key, true, func(b *Bucket) { ok, retryAfter = b.Allow(l.cfg, now) })
	return ok, retryAfter
}

func (l *embedded) Check(_ context.Context, key string) (ok bool, retryAfter time.Duration) {
	now := l.now()
	ok = true
	l.buckets.with(key, false, func(b *Bucket) {
		probe := *b
		ok, retryAfter = probe.Allow(l.cfg, now)
	})
	return ok, retryAfter
}

func (l *embedded) Give(_ context.Context, key string) {
	l.buckets.with(key, false, func(b *Bucket) { b.used = math.Max(0, b.used-1) })
}

func (l *embedded) Reset(_ context.Context, key string) { l.buckets.drop(key) }
