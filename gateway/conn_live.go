package gateway

import (
	"maps"
	"slices"
	"time"
)

// seenSeqs remembers which entries a socket got live, so that a sync does not
// send them again, and the other way round. What comes in order costs one
// range a conversation. It is bounded: what is forgotten may come twice, which
// a client ignores.
type seenSeqs struct {
	conversation int64 // of the last entry…
	last         *seqRange
	ranges       map[int64][]*seqRange
	count        int

	synced map[int64]int64 // by conversation: up to which seq a sync sent what may come live still
	until  int64           // when nothing of that comes any more, in the hub's time
}

// An entry is delivered live at most so long after it was stored, and
// therefore after a sync sent it: by another process, that was late.
const lateLive = time.Minute

type seqRange struct{ from, to int64 }

const maxSeen = 512

func (s *seenSeqs) add(conversation, seq int64) {
	if s.last != nil && s.conversation == conversation && s.last.to+1 == seq {
		s.last.to = seq
		return
	}
	list := s.ranges[conversation]
	if n := len(list); n > 0 && list[n-1].to+1 == seq {
		list[n-1].to = seq
		s.conversation, s.last = conversation, list[n-1]
		return
	}
	if s.count >= maxSeen {
		s.forgetOne()
		list = s.ranges[conversation]
	}
	if s.ranges == nil {
		s.ranges = map[int64][]*seqRange{}
	}
	s.count++
	s.conversation, s.last = conversation, &seqRange{seq, seq}
	s.ranges[conversation] = append(list, s.last)
}

// forgetOne makes room, at the cost of any conversation.
func (s *seenSeqs) forgetOne() {
	for conversation, list := range s.ranges {
		s.count -= len(list)
		delete(s.ranges, conversation)
		s.last = nil
		return
	}
}

func (s *seenSeqs) has(conversation, seq int64) bool {
	if s == nil {
		return false
	}
	return slices.ContainsFunc(s.ranges[conversation], func(r *seqRange) bool { return r.from <= seq && seq <= r.to })
}

// addSynced takes note of what a sync sent.
func (s *seenSeqs) addSynced(upTo map[int64]int64, now int64) {
	if s.synced == nil {
		s.synced = upTo
	} else {
		maps.Copy(s.synced, upTo)
	}
	s.until = now + lateLive.Milliseconds()
}

// bySync says whether a sync sent an entry that comes live.
func (s *seenSeqs) bySync(conversation, seq, now int64) bool {
	if s == nil || s.synced == nil {
		return false
	}
	if now > s.until {
		s.synced = nil
	}
	return seq <= s.synced[conversation]
}

// liveHold keeps live events back while a sync runs. Guarded by conn.mu.
type liveHold struct {
	frames     []*outFrame
	bytes      int
	overflowed bool          // some were forgotten: the sync must look again
	drained    chan struct{} // gets a token when the queue is empty or the socket closes
	next       []*syncAsk    // the syncs that wait for this one's end
}

func (h *liveHold) hold(f *outFrame, limit int) {
	if h.bytes+len(f.wire) > limit {
		h.frames, h.bytes, h.overflowed = nil, 0, true
		return
	}
	h.frames = append(h.frames, f)
	h.bytes += len(f.wire)
}

func (h *liveHold) forget(conversation, keepSeq int64) {
	h.frames = slices.DeleteFunc(h.frames, func(f *outFrame) bool {
		return f.conversation == conversation && f.seq != keepSeq
	})
}

func (h *liveHold) wake() {
	select {
	case h.drained <- struct{}{}:
	default:
	}
}
