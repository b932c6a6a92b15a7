package gateway

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
)

// position is how far a conversation's events went to the sockets here. Its
// lock is held while an event is queued, so that two callers that deliver
// neighbours queue them in the order of their seqs.
type position struct {
	refs atomic.Int32 // who works on it, and what it holds: it is not forgotten meanwhile

	mu   sync.Mutex // guards what follows
	last int64      // the highest seq that was delivered; 0: none
	mask uint64     // bit i: whether last-1-i was delivered
	from int64      // the first of the seqs that this position has followed
	at   time.Time  // when last moved
	held []*heldEvent
}

// heldEvent is an event that waits for those below it.
type heldEvent struct {
	delivery *gatewaypb.Delivery
	position *position
	seq      int64
	size     int
	due      time.Time

	prev, next *heldEvent // guarded by the order's lock
}

// outcome is what becomes of an event.
type outcome int

const (
	deliverNow outcome = iota
	deliverLate
	holdBack
	dropRepeated
)

// judge says what becomes of the event at seq. A position that has not moved
// for as long as stale is as good as none: here may have been nobody to deliver to.
func (p *position) judge(seq int64, now time.Time, stale time.Duration) outcome {
	switch {
	case p.last == 0 || seq == p.last+1:
		return deliverNow
	case seq > p.last:
		if len(p.held) == 0 && now.Sub(p.at) >= stale {
			return deliverNow
		}
		if _, held := p.find(seq); held {
			return dropRepeated
		}
		return holdBack
	case p.delivered(seq):
		return dropRepeated
	}
	return deliverLate
}

// delivered says whether the event at seq went out. Far below the last one it
// is taken for delivered: who misses it has pulled it long ago.
func (p *position) delivered(seq int64) bool {
	below := p.last - 1 - seq
	switch {
	case below < 0:
		return seq == p.last
	case below < 64:
		return p.mask>>below&1 == 1
	}
	return seq >= p.from
}

// note remembers that the event at seq went out.
func (p *position) note(seq int64, now time.Time) {
	switch {
	case p.last == 0:
		p.last, p.from, p.at = seq, seq, now
	case seq > p.last:
		ahead := seq - p.last
		p.mask = p.mask<<ahead | 1<<(ahead-1)
		p.last, p.at = seq, now
	default:
		if below := p.last - 1 - seq; below < 64 {
			p.mask |= 1 << below
		}
		if seq == p.from-1 {
			p.from = seq
		}
	}
}

// find returns where the event at seq is, or would be, among those held.
func (p *position) find(seq int64) (int, bool) {
	return slices.BinarySearchFunc(p.held, seq, func(h *heldEvent, seq int64) int { return int(h.seq - seq) })
}
