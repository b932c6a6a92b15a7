// Package limit bounds how often something may happen: token buckets, one for
// each key (an address, a user) or one inside its owner (a connection).
package limit

import (
	"container/list"
	"fmt"
	"math"
	"sync"
	"time"
)

// Config is the rate of a bucket and its size.
type Config struct {
	Rate  float64 `koanf:"rate"`  // a second
	Burst int     `koanf:"burst"` // at once
}

// Validate reports the first setting that cannot work.
func (c Config) Validate() error {
	if !(c.Rate > 0) || c.Rate > 1e9 {
		return fmt.Errorf("rate: must be more than 0 and at most 1,000,000,000")
	}
	if c.Burst < 1 || c.Burst > 1e9 {
		return fmt.Errorf("burst: must be 1 to 1,000,000,000")
	}
	return nil
}

// Bucket is one token bucket, kept in its owner and guarded by it. The zero value is a full bucket.
type Bucket struct {
	used float64 // tokens that are missing from a full bucket
	at   int64   // unix nanoseconds of the last change
}

// Take takes n tokens, or tells how long to wait until they are there. More than the burst never fits: it is then
// treated as a full bucket.
func (b *Bucket) Take(c Config, now time.Time, n float64) (ok bool, retryAfter time.Duration) {
	t := now.UnixNano()
	if elapsed := t - b.at; elapsed > 0 {
		b.used = math.Max(0, b.used-float64(elapsed)/1e9*c.Rate)
		b.at = t
	}
	n = math.Min(n, float64(c.Burst))
	if over := b.used + n - float64(c.Burst); over > 1e-9 {
		return false, time.Duration(math.Ceil(over / c.Rate * 1e9))
	}
	b.used += n
	return true, 0
}

// Allow takes one token.
func (b *Bucket) Allow(c Config, now time.Time) (ok bool, retryAfter time.Duration) {
	return b.Take(c, now, 1)
}

// shards keep unrelated keys from waiting for each other.
const shards = 16

// Limiter has a bucket for each key. It remembers a bounded number of keys and forgets the one that was quiet longest,
// which is then as good as new: choose the bound so that a forgotten bucket had time to fill.
type Limiter struct {
	cfg    Config
	now    func() time.Time
	shards [shards]shard
}

type shard struct {
	mu      sync.Mutex // guards what follows
	max     int
	order   *list.List // of *entry, the quietest last
	buckets map[string]*list.Element
}

type entry struct {
	key    string
	bucket Bucket
}

// New returns a limiter for at most maxKeys keys (rounded up to a multiple of 16).
func New(cfg Config, maxKeys int) *Limiter { return NewWithClock(cfg, maxKeys, time.Now) }

// NewWithClock is New with another clock, for tests.
func NewWithClock(cfg Config, maxKeys int, now func() time.Time) *Limiter {
	l := &Limiter{cfg: cfg, now: now}
	for i := range l.shards {
		l.shards[i] = shard{max: max(1, (maxKeys+shards-1)/shards), order: list.New(), buckets: map[string]*list.Element{}}
	}
	return l
}

// Allow takes a token of key's bucket, or tells how long to wait for one.
func (l *Limiter) Allow(key string) (ok bool, retryAfter time.Duration) { return l.take(key, 1) }

// Check is Allow without taking the token: for limits that count failures only.
func (l *Limiter) Check(key string) (ok bool, retryAfter time.Duration) { return l.take(key, 0) }

// Give puts back a token that Allow took.
func (l *Limiter) Give(key string) {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.buckets[key]; ok {
		bucket := &e.Value.(*entry).bucket
		bucket.used = math.Max(0, bucket.used-1)
	}
}

// Reset fills key's bucket.
func (l *Limiter) Reset(key string) {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.buckets[key]; ok {
		s.order.Remove(e)
		delete(s.buckets, key)
	}
}

func (l *Limiter) take(key string, n float64) (bool, time.Duration) {
	s := l.shard(key)
	now := l.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.buckets[key]
	switch {
	case ok:
		s.order.MoveToFront(e)
	case n == 0:
		return true, 0
	default:
		if s.order.Len() >= s.max {
			oldest := s.order.Back()
			delete(s.buckets, oldest.Value.(*entry).key)
			s.order.Remove(oldest)
		}
		e = s.order.PushFront(&entry{key: key})
		s.buckets[key] = e
	}
	bucket := &e.Value.(*entry).bucket
	if n > 0 {
		return bucket.Take(l.cfg, now, n)
	}
	// Would one token be there?
	probe := *bucket
	return probe.Take(l.cfg, now, 1)
}

// shard picks by FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/.
func (l *Limiter) shard(key string) *shard {
	h := uint32(2166136261)
	for i := range len(key) {
		h = (h ^ uint32(key[i])) * 16777619
	}
	return &l.shards[h%shards]
}
