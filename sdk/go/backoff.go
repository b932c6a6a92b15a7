package gochat

import (
	"math/rand/v2"
	"time"
)

const (
	firstDelay = 100 * time.Millisecond
	maxDelay   = 30 * time.Second
)

// backoff returns how long to wait before the n-th try in a row, from 0: a
// random time up to a bound that doubles, so that clients that lost the same
// server do not come back at the same moment.
func backoff(n int) time.Duration {
	bound := maxDelay
	if n < 9 { // 100 ms << 9 is over the maximum
		bound = min(firstDelay<<n, maxDelay)
	}
	return bound/4 + rand.N(bound-bound/4)
}
