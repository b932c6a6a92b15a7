package gateway

import (
	"sync"
	"sync/atomic"
	"time"
)

// tombstones remember who has just left what, so that an event that was under
// way at that moment does not reach them after the call that removed them has
// returned. A minute is far longer than anything stays under way.
type tombstones struct {
	count atomic.Int64

	mu    sync.RWMutex // guards what follows
	until map[tomb]time.Time
	order []tombEnd
}

type tomb struct{ userID, conversation int64 }

type tombEnd struct {
	tomb
	at time.Time
}

const (
	tombstoneFor  = time.Minute
	maxTombstones = 1 << 18
)

func (t *tombstones) add(userID, conversation int64, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep(now)
	if t.until == nil {
		t.until = map[tomb]time.Time{}
	}
	k := tomb{userID, conversation}
	end := now.Add(tombstoneFor)
	t.until[k] = end
	t.order = append(t.order, tombEnd{k, end})
	t.count.Store(int64(len(t.until)))
}

// sweep forgets the expired ones, and the oldest when there are too many.
func (t *tombstones) sweep(now time.Time) {
	n := 0
	for n < len(t.order) && (len(t.order)-n >= maxTombstones || !t.order[n].at.After(now)) {
		if e := t.order[n]; t.until[e.tomb].Equal(e.at) {
			delete(t.until, e.tomb)
		}
		n++
	}
	if n > 0 {
		t.order = append([]tombEnd(nil), t.order[n:]...)
	}
}

func (t *tombstones) remove(userID, conversation int64) {
	if t.count.Load() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.until, tomb{userID, conversation})
	t.count.Store(int64(len(t.until)))
}

func (t *tombstones) has(userID, conversation int64, now time.Time) bool {
	if t.count.Load() == 0 {
		return false
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	end, ok := t.until[tomb{userID, conversation}]
	return ok && end.After(now)
}
