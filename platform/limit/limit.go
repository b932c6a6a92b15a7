// Package limit bounds how often something may happen: token buckets, one for
// each key (an address, a user) or one inside its owner (a connection). Those
// with keys are of one process, or of all that share a Redis; every
// implementation passes limittest.
package limit

import (
	"context"
	"fmt"
	"math"
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

// Limiter has a bucket for each key. Its answers never fail: what cannot be asked is answered by what this process alone
// has let pass.
type Limiter interface {
	// Allow takes a token of key's bucket, or tells how long to wait for one.
	Allow(ctx context.Context, key string) (ok bool, retryAfter time.Duration)
	// Check is Allow without taking the token: for limits that count failures only.
	Check(ctx context.Context, key string) (ok bool, retryAfter time.Duration)
	// Give puts back a token that Allow took.
	Give(ctx context.Context, key string)
	// Reset fills key's bucket.
	Reset(ctx context.Context, key string)
}

// Maker makes limiters. name is another one for each, and the same in every process. A process remembers at most maxKeys
// keys of it and forgets the one that was quiet longest: choose the bound so that a forgotten bucket had time to fill.
type Maker func(name string, cfg Config, maxKeys int) Limiter

// New makes a limiter; a nil Maker makes those of one process.
func (m Maker) New(name string, cfg Config, maxKeys int) Limiter {
	if m == nil {
		return NewEmbedded(cfg, maxKeys)
	}
	return m(name, cfg, maxKeys)
}
