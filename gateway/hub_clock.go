package gateway

import "time"

// hubClock is the time of all that waits for a moment: unix milliseconds as of
// the hub's start, going on at a steady rate since. A wall clock that is set
// right after a boot, or back, must neither close every socket nor let those
// live on that should go.
type hubClock struct {
	started time.Time
	epoch   int64
}

func newHubClock() hubClock {
	now := time.Now()
	return hubClock{started: now, epoch: now.UnixMilli()}
}

func (c *hubClock) now() int64 { return c.epoch + time.Since(c.started).Milliseconds() }

// at is a moment in this clock's time: of the wall clock as it is now, when t says nothing better.
func (c *hubClock) at(t time.Time) int64 { return c.now() + time.Until(t).Milliseconds() }
