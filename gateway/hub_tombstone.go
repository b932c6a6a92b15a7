package gateway

import (
	"sync"
	"sync/atomic"
	"time"
)

// tombstones remember for a while who left or joined what, and at which seq. An
// event that was under way when somebody left does not reach them after the
// call that removed them has returned, and of two changes the later seq
// counts, in whatever order they arrive. A minute is far longer than anything
// stays under way.
type tombstones struct {
	left atomic.Int64 // those that keep events away: without any, has costs nothing

	mu    sync.RWMutex // guards what follows
	known map[tomb]standing
	order []tombEnd
}

type tomb struct{ userID, conversation int64 }

// standing is the latest that is known of a user in a conversation.
type standing struct {
	seq  int64
	left bool
	end  time.Time
}

type tombEnd struct {
	tomb
	at time.Time
}

const (
	tombstoneFor  = time.Minute
	maxTombstones = 1 << 18
)

// leave notes that a user left at seq. It is false when they joined again since.
func (t *tombstones) leave(userID, conversation, seq int64, now time.Time) bool {
	return t.note(tomb{userID, conversation}, standing{seq: seq, left: true, end: now.Add(tombstoneFor)}, now)
}

// join notes that a user joined at seq. It is false when they left since.
func (t *tombstones) join(userID, conversation, seq int64, now time.Time) bool {
	return t.note(tomb{userID, conversation}, standing{seq: seq, end: now.Add(tombstoneFor)}, now)
}

func (t *tombstones) note(k tomb, s standing, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep(now)
	if t.known == nil {
		t.known = map[tomb]standing{}
	}
	was, ok := t.known[k]
	if ok && was.seq > s.seq {
		return false
	}
	t.count(was, -1)
	t.count(s, 1)
	t.known[k] = s
	t.order = append(t.order, tombEnd{k, s.end})
	return true
}

func (t *tombstones) count(s standing, by int64) {
	if s.left {
		t.left.Add(by)
	}
}

// sweep forgets the expired ones, and the oldest when there are too many.
func (t *tombstones) sweep(now time.Time) {
	n := 0
	for n < len(t.order) && (len(t.order)-n >= maxTombstones || !t.order[n].at.After(now)) {
		if e := t.order[n]; t.known[e.tomb].end.Equal(e.at) {
			t.count(t.known[e.tomb], -1)
			delete(t.known, e.tomb)
		}
		n++
	}
	if n > 0 {
		t.order = append([]tombEnd(nil), t.order[n:]...)
	}
}

// has reports whether a user left a conversation just now.
func (t *tombstones) has(userID, conversation int64, now time.Time) bool {
	if t.left.Load() == 0 {
		return false
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	s, ok := t.known[tomb{userID, conversation}]
	return ok && s.left && s.end.After(now)
}
