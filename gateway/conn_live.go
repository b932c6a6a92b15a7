package gateway

import "slices"

// seenSeqs remembers what a socket got before its first sync, so that the sync
// does not send it again. It is bounded: what does not fit may come twice, which
// a client ignores.
type seenSeqs struct {
	ranges map[int64][]seqRange
	count  int
}

type seqRange struct{ from, to int64 }

const maxSeen = 4096

func (s *seenSeqs) add(conversation, seq int64) {
	list := s.ranges[conversation]
	if n := len(list); n > 0 && list[n-1].to+1 == seq {
		list[n-1].to = seq
		return
	}
	if s.count >= maxSeen {
		return
	}
	if s.ranges == nil {
		s.ranges = map[int64][]seqRange{}
	}
	s.count++
	s.ranges[conversation] = append(list, seqRange{seq, seq})
}

func (s *seenSeqs) has(conversation, seq int64) bool {
	if s == nil {
		return false
	}
	return slices.ContainsFunc(s.ranges[conversation], func(r seqRange) bool { return r.from <= seq && seq <= r.to })
}

// liveHold keeps live events back while a sync runs. Guarded by conn.mu.
type liveHold struct {
	frames     []*outFrame
	bytes      int
	overflowed bool          // some were forgotten: the sync must look again
	drained    chan struct{} // gets a token when the queue is empty or the socket closes
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
