// Package latency counts durations in buckets of about 1.5 %, so that
// percentiles of millions of samples cost a few kilobytes.
package latency

import (
	"math"
	"math/bits"
	"time"
)

const (
	subBits = 6 // 64 buckets for each power of two
	buckets = (64 - subBits) << subBits
)

// Histogram counts durations. It is not safe for concurrent use: keep one for
// each goroutine and Merge them.
type Histogram struct {
	counts [buckets]uint64
	total  uint64
	max    time.Duration
}

// Add counts one duration; a negative one counts as 0.
func (h *Histogram) Add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucket(uint64(d))]++
	h.total++
	h.max = max(h.max, d)
}

// bucket keeps the highest bits of v: exact below 64, then 64 steps for each
// power of two.
func bucket(v uint64) int {
	if v < 1<<subBits {
		return int(v)
	}
	shift := bits.Len64(v) - subBits - 1
	return (shift+1)<<subBits | int(v>>shift)&(1<<subBits-1)
}

// upper is the highest value that falls into bucket i.
func upper(i int) uint64 {
	if i < 1<<subBits {
		return uint64(i)
	}
	shift := i>>subBits - 1
	return (uint64(i&(1<<subBits-1)|1<<subBits)+1)<<shift - 1
}

// Merge adds what other counted.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
	h.max = max(h.max, other.max)
}

// Count returns how many were counted.
func (h *Histogram) Count() uint64 { return h.total }

// Max returns the longest.
func (h *Histogram) Max() time.Duration { return h.max }

// Percentile returns the duration that p (0 to 100) percent do not exceed.
func (h *Histogram) Percentile(p float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	// Rounded up, so that of a few samples the highest percentiles are the worst one.
	rank := uint64(math.Ceil(p * float64(h.total) / 100))
	rank = min(max(rank, 1), h.total)
	var seen uint64
	for i, n := range h.counts {
		seen += n
		if seen >= rank {
			return min(time.Duration(upper(i)), h.max)
		}
	}
	return h.max
}
