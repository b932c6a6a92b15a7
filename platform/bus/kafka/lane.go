package kafka

import (
	"context"
	"slices"
	"time"

	"github.com/gochat-im/gochat/platform/errs"
)

// lane holds the records of one partition that wait to be stored. But for the
// queue it belongs to the topic's goroutine.
type lane struct {
	bus       *Bus
	topic     string
	partition int
	queue     chan *parcel
	wake      chan<- struct{} // the topic's goroutine

	next    *parcel   // taken off the queue, did not fit
	batch   []*parcel // to store before what is queued
	singly  bool      // the batch goes parcel by parcel: together they exceed the broker's limit
	sending bool      // a part of the batch is on its way
	tries   int       // failures in a row
	pause   time.Time // until when nothing is sent after a failure
}

func (l *lane) put(ctx context.Context, p *parcel) error {
	select {
	case l.queue <- p:
		select {
		case l.wake <- struct{}{}:
		default:
		}
		return nil
	case <-ctx.Done():
		return errAway(l.topic, context.Cause(ctx))
	case <-l.bus.publishing.Done():
		return errStopping(l.topic)
	}
}

func (l *lane) await(ctx context.Context, p *parcel) error {
	select {
	case err := <-p.stored:
		return err
	case <-ctx.Done():
		return errAway(l.topic, context.Cause(ctx))
	case <-l.bus.publishing.Done():
		return errStopping(l.topic)
	}
}

// fill returns what to store next: whatever has queued, up to one request's
// size, unless some of it was tried before. Nobody waits for a parcel whose
// publisher has gone.
func (l *lane) fill() []*parcel {
	l.batch = slices.DeleteFunc(l.batch, func(p *parcel) bool { return p.ctx.Err() != nil })
	if len(l.batch) == 0 {
		l.singly, l.tries, l.pause = false, 0, time.Time{}
		bytes := 0
		for p := l.pull(); p != nil; p = l.pull() {
			if len(l.batch) > 0 && bytes+p.bytes > l.bus.cfg.RequestBytes {
				l.next = p
				break
			}
			if p.ctx.Err() == nil {
				l.batch, bytes = append(l.batch, p), bytes+p.bytes
			}
		}
	}
	if l.singly && len(l.batch) > 1 {
		return l.batch[:1]
	}
	return l.batch
}

func (l *lane) pull() *parcel {
	if p := l.next; p != nil {
		l.next = nil
		return p
	}
	select {
	case p := <-l.queue:
		return p
	default:
		return nil
	}
}

// settle takes the outcome of what fill returned, n parcels.
func (l *lane) settle(n int, err error) {
	l.sending = false
	tooLarge := isTooLarge(err)
	switch {
	case tooLarge && n > 1:
		l.singly = true
	case err == nil || tooLarge:
		if tooLarge {
			err = errs.Wrap(errs.TooLarge, err, "the record is too large").With("topic", l.topic)
		}
		for _, p := range l.batch[:n] {
			p.stored <- err
		}
		l.batch, l.tries, l.pause = slices.Delete(l.batch, 0, n), 0, time.Time{}
	default:
		l.pause = time.Now().Add(l.bus.delay(l.tries))
		l.tries++
	}
}
