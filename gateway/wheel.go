package gateway

import (
	"sync"
	"time"
)

// wheel is the one timer of all connections: a connection sits in the slot of
// the next moment at which it wants to be looked at. Activity moves nothing;
// when its moment comes the connection says when to look again. The goroutine
// exists only while there are connections.
type wheel struct {
	fire func(c *conn, now int64) (next int64)
	now  func() int64 // milliseconds that never jump
	wg   sync.WaitGroup

	mu      sync.Mutex // guards what follows
	slots   [wheelSlots]*conn
	at      int64 // tick that was handled last
	conns   int
	running bool
}

const (
	wheelTick  = 200 * time.Millisecond
	wheelSlots = 512
	noSlot     = -1
)

// add puts a new connection on the wheel, to be looked at by due.
func (w *wheel) add(c *conn, due int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns++
	if !w.running {
		w.running = true
		w.at = w.now() / wheelTick.Milliseconds()
		w.wg.Go(w.run)
	}
	w.link(c, due)
}

// schedule moves a connection to an earlier moment.
func (w *wheel) schedule(c *conn, due int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.wheelDone {
		return
	}
	w.unlink(c)
	w.link(c, due)
}

// remove takes a connection off for good.
func (w *wheel) remove(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.wheelDone {
		return
	}
	w.unlink(c)
	c.wheelDone = true
	w.conns--
}

func (w *wheel) link(c *conn, due int64) {
	tick := due/wheelTick.Milliseconds() + 1
	tick = min(max(tick, w.at+1), w.at+wheelSlots-1)
	slot := tick % wheelSlots
	c.wheelSlot = int32(slot) //nolint:gosec // below wheelSlots
	c.wheelPrev = nil
	if c.wheelNext = w.slots[slot]; c.wheelNext != nil {
		c.wheelNext.wheelPrev = c
	}
	w.slots[slot] = c
}

func (w *wheel) unlink(c *conn) {
	if c.wheelSlot == noSlot {
		return
	}
	if c.wheelPrev != nil {
		c.wheelPrev.wheelNext = c.wheelNext
	} else {
		w.slots[c.wheelSlot] = c.wheelNext
	}
	if c.wheelNext != nil {
		c.wheelNext.wheelPrev = c.wheelPrev
	}
	c.wheelNext, c.wheelPrev, c.wheelSlot = nil, nil, noSlot
}

func (w *wheel) run() {
	ticker := time.NewTicker(wheelTick)
	defer ticker.Stop()
	for {
		now := w.now()
		due, more := w.advance(now / wheelTick.Milliseconds())
		if !more {
			return
		}
		for _, c := range due {
			next := w.fire(c, now)
			w.mu.Lock()
			if !c.wheelDone && c.wheelSlot == noSlot {
				w.link(c, next)
			}
			w.mu.Unlock()
		}
		<-ticker.C
	}
}

// advance empties the slots up to tick.
func (w *wheel) advance(tick int64) (due []*conn, more bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conns == 0 {
		w.running = false
		return nil, false
	}
	for w.at < tick {
		w.at++
		for c := w.slots[w.at%wheelSlots]; c != nil; c = w.slots[w.at%wheelSlots] {
			w.unlink(c)
			due = append(due, c)
		}
	}
	return due, true
}
