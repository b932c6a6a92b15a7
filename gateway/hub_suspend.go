package gateway

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
)

// suspensions are the removals that are under way: until it is known whether a
// user still is a member, the conversation's events wait on the user's
// connections. What was queued before a suspension was stored before the
// removal, so what is stored after it reaches nobody who was removed.
type suspensions struct {
	any atomic.Int64 // how many there are: without any, they cost nothing

	mu    sync.Mutex // guards what follows; taken after a user shard's
	known map[tomb]*suspension
}

type suspension struct {
	removals int
	until    time.Time
}

// How long a removal may be under way: longer than any call.
const suspendFor = 20 * time.Second

var gapSeen = closing{code: codeGap, reason: "events were left out", purge: true}

// add counts a removal that begins.
func (s *suspensions) add(k tomb, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[tomb]*suspension{}
	}
	for k, v := range s.known {
		if !v.until.After(now) { // nobody ended it; the connections were closed
			delete(s.known, k)
			s.any.Add(-1)
		}
	}
	v := s.known[k]
	if v == nil {
		v = &suspension{}
		s.known[k] = v
		s.any.Add(1)
	}
	v.removals++
	v.until = now.Add(suspendFor)
}

// end counts a removal that ended, and reports whether it was the last one.
func (s *suspensions) end(k tomb) bool {
	if s.any.Load() == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.known[k]
	if v == nil {
		return false
	}
	if v.removals--; v.removals > 0 {
		return false
	}
	delete(s.known, k)
	s.any.Add(-1)
	return true
}

// apply suspends on a new connection what is suspended for its user.
func (s *suspensions) apply(c *conn, userID int64) {
	if s.any.Load() == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, v := range s.known {
		if k.userID == userID {
			c.suspend(k.conversation, v.until)
		}
	}
}

// suspend begins or ends the suspension of a conversation for some users.
func (d *delivering) suspend(userIDs []int64, v *gatewaypb.Suspension) {
	if v.GetEnded() {
		d.endSuspension(userIDs, v.GetConversationId())
		return
	}
	for _, userID := range userIDs {
		d.h.suspensions.add(tomb{userID, v.GetConversationId()}, d.now)
		for _, c := range d.h.ofUser(userID) {
			c.suspend(v.GetConversationId(), d.now.Add(suspendFor))
		}
	}
}

// endSuspension lets out what was kept for the users, unless another removal is under way.
func (d *delivering) endSuspension(userIDs []int64, conversation int64) {
	for _, userID := range userIDs {
		if !d.h.suspensions.end(tomb{userID, conversation}) {
			continue
		}
		for _, c := range d.h.ofUser(userID) {
			if c.resume(conversation) {
				d.dirty = append(d.dirty, c)
			}
		}
	}
}

// suspend keeps a conversation's events from the client until it is resumed.
func (c *conn) suspend(conversation int64, until time.Time) {
	c.mu.Lock()
	if c.suspended == nil {
		c.suspended = map[int64]*liveHold{}
	}
	if c.suspended[conversation] == nil {
		c.suspended[conversation] = &liveHold{}
	}
	c.decidedBy = max(c.decidedBy, c.hub.clock.at(until))
	c.mu.Unlock()
	c.hub.wheel.schedule(c, c.hub.clock.now()) // it says when to come again
}

// resume lets out what was kept of a conversation, and reports whether the
// caller must hand the connection to the flusher.
func (c *conn) resume(conversation int64) (flush bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.suspended[conversation]
	if s == nil {
		return false
	}
	if delete(c.suspended, conversation); len(c.suspended) == 0 {
		c.suspended, c.decidedBy = nil, 0
	}
	for _, f := range s.frames {
		flush = c.enqueueLocked(f) || flush
	}
	return flush
}

// suspendLocked keeps f. A client for whom there is no room resumes on a new connection.
func (c *conn) suspendLocked(s *liveHold, f *outFrame) bool {
	if s.hold(f, c.hub.cfg.WebSocket.QueueBodyBytes); !s.overflowed {
		return false
	}
	return c.closeLocked(gapSeen)
}
