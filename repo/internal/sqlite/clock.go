package sqlite

import (
	"sync"
	"time"
)

// clock gives every transaction its time, the created_at of its events: the
// wall clock, but never before an earlier transaction and always after every
// sync cursor that was issued.
type clock struct {
	mu      sync.Mutex
	last    int64 // of the newest commit
	issued  int64 // the highest cursor
	running int64 // of the transaction under way, 0 without one
}

func (c *clock) begin() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = max(time.Now().UnixMilli(), c.last, c.issued+1)
	return c.running
}

func (c *clock) end(committed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if committed {
		c.last = c.running
	}
	c.running = 0
}

// cursor returns a time up to which everything is committed and after which
// every later transaction lies.
func (c *clock) cursor() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.last
	if c.running != 0 {
		t = min(t, c.running-1)
	}
	c.issued = max(c.issued, t)
	return t
}
