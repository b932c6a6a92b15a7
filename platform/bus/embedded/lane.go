package embedded

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/errs"
)

// entry is a queued record and when it was taken, since the bus was made.
type entry struct {
	record bus.Record
	at     time.Duration
}

// waiter is a publisher that waits for room in a lane, with its records.
type waiter struct {
	records []bus.Record
	inner   bool       // publishes for a handler of this bus
	settled chan error // capacity 1; nil when the records were taken
}

// lane is one ordered queue of a topic and its worker.
type lane struct {
	bus   *Bus
	topic *topic

	mu      sync.Mutex // guards what follows
	work    sync.Cond  // on mu: records came or the lane closed
	idle    bool       // the worker waits for work
	ring    []entry    // queued records from head on, wrapping; grows up to the bound
	head    int
	queued  int
	busy    int           // records that the handler has
	busyAt  time.Duration // when the oldest of those was taken
	waiters list.List     // of *waiter, first come first served
	closed  bool
}

// put queues records together, waiting for room until ctx ends.
func (l *lane) put(ctx context.Context, records []bus.Record) error {
	l.mu.Lock()
	if !l.bus.admits(ctx) {
		l.mu.Unlock()
		return errStopping(l.topic.Name)
	}
	if l.waiters.Len() == 0 && l.fits(len(records)) {
		l.push(records)
		l.mu.Unlock()
		return nil
	}
	if ctx.Err() != nil {
		l.mu.Unlock()
		return l.errFull(ctx)
	}
	w := &waiter{
		records: append([]bus.Record(nil), records...),
		inner:   ctx.Value(handlerMark{}) == l.bus,
		settled: make(chan error, 1),
	}
	place := l.waiters.PushBack(w)
	l.mu.Unlock()

	select {
	case err := <-w.settled:
		return err
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case err := <-w.settled: // in the same moment
		return err
	default:
	}
	l.waiters.Remove(place)
	l.admitWaiters() // a smaller one behind it may fit
	return l.errFull(ctx)
}

func (l *lane) errFull(ctx context.Context) error {
	return errs.Wrap(errs.Unavailable, context.Cause(ctx), "the server is busy").With("topic", l.topic.Name)
}

// fits reports whether n more records keep the bound. More than the bound at
// once fit an empty lane only.
func (l *lane) fits(n int) bool {
	depth := l.queued + l.busy
	return depth == 0 || depth+n <= l.bus.cfg.QueueRecords
}

func (l *lane) push(records []bus.Record) {
	if need := l.queued + len(records); need > len(l.ring) {
		l.grow(need)
	}
	at := l.bus.now()
	tail := l.head + l.queued
	for _, r := range records {
		if tail >= len(l.ring) {
			tail -= len(l.ring)
		}
		l.ring[tail] = entry{record: r, at: at}
		tail++
	}
	l.queued += len(records)
	l.bus.pending.Add(int64(len(records)))
	if l.idle {
		l.idle = false
		l.work.Signal()
	}
}

func (l *lane) grow(need int) {
	size := max(16, len(l.ring))
	for size < need {
		size *= 2
	}
	ring := make([]entry, size)
	n := copy(ring, l.ring[l.head:min(l.head+l.queued, len(l.ring))])
	copy(ring[n:], l.ring[:l.queued-n])
	l.ring, l.head = ring, 0
}

// take moves the next records to batch, waiting for some. It returns none
// when the lane has closed.
func (l *lane) take(batch []bus.Record) []bus.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.queued == 0 && !l.closed {
		l.idle = true
		l.work.Wait()
	}
	if l.closed {
		return batch
	}
	n := min(l.queued, l.topic.MaxBatch)
	l.busy, l.busyAt = n, l.ring[l.head].at
	for range n {
		batch = append(batch, l.ring[l.head].record)
		l.ring[l.head] = entry{}
		if l.head++; l.head == len(l.ring) {
			l.head = 0
		}
	}
	l.queued -= n
	return batch
}

// done ends the batch that take returned.
func (l *lane) done() {
	l.mu.Lock()
	n := l.busy
	l.busy = 0
	l.admitWaiters()
	l.mu.Unlock()
	l.bus.settle(n)
}

func (l *lane) admitWaiters() {
	for e := l.waiters.Front(); e != nil; e = l.waiters.Front() {
		w := e.Value.(*waiter)
		if !l.fits(len(w.records)) {
			return
		}
		l.waiters.Remove(e)
		l.push(w.records)
		w.settled <- nil
	}
}

// phaseChanged turns waiting publishers away and, once stopped, closes the lane.
func (l *lane) phaseChanged(p phase) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for e := l.waiters.Front(); e != nil; {
		next := e.Next()
		if w := e.Value.(*waiter); p == stopped || !w.inner {
			l.waiters.Remove(e)
			w.settled <- errStopping(l.topic.Name)
		}
		e = next
	}
	if p == stopped {
		l.closed = true
		l.work.Broadcast()
	}
}

// backlog returns the records taken and not done, and when the oldest was taken.
func (l *lane) backlog() (depth int, oldest time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.busy > 0:
		oldest = l.busyAt
	case l.queued > 0:
		oldest = l.ring[l.head].at
	}
	return l.queued + l.busy, oldest
}
