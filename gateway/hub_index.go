package gateway

import (
	"slices"
	"sync"
	"time"
)

// indexShard holds, for some of the large groups, the connections here that
// get its events: what a message costs depends on them, not on the members.
type indexShard struct {
	mu       sync.RWMutex
	audience map[int64]map[*conn]struct{} // by conversation
}

// addToIndex gives a connection the events of large groups, unless it has left one meanwhile.
func (h *Hub) addToIndex(c *conn, conversations ...int64) {
	for _, conversation := range conversations {
		c.mu.Lock()
		if c.gone || slices.Contains(c.indexed, conversation) {
			c.mu.Unlock()
			continue
		}
		c.indexed = append(c.indexed, conversation)
		userID := c.userID
		c.mu.Unlock()

		s := &h.index[shardOf(conversation)]
		s.mu.Lock()
		a := s.audience[conversation]
		if a == nil {
			a = map[*conn]struct{}{}
			s.audience[conversation] = a
		}
		_, had := a[c]
		a[c] = struct{}{}
		s.mu.Unlock()
		if !had {
			h.announce.Load().hold(spaceConversations, conversation)
		}

		// What happened between the two looks has to be undone.
		c.mu.Lock()
		gone := c.gone
		c.mu.Unlock()
		if gone || h.tombs.has(userID, conversation, time.Now()) {
			h.removeFromIndex(c, conversation)
		}
	}
}

func (h *Hub) removeFromIndex(c *conn, conversation int64) {
	c.mu.Lock()
	c.indexed = without(c.indexed, conversation)
	c.mu.Unlock()
	h.unindex(c, conversation)
}

func (h *Hub) unindex(c *conn, conversation int64) {
	s := &h.index[shardOf(conversation)]
	s.mu.Lock()
	a := s.audience[conversation]
	_, had := a[c]
	if delete(a, c); len(a) == 0 {
		delete(s.audience, conversation)
	}
	s.mu.Unlock()
	if had {
		h.announce.Load().release(spaceConversations, conversation)
	}
}
