package kafka

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/gochat-im/gochat/platform/errs"
)

// lane holds the records of one partition that wait to be stored. But for the
// queue it belongs to the topic's goroutine, and while sending to the request's.
type lane struct {
	bus       *Bus
	topic     string
	partition int
	queue     chan *parcel
	wake      chan<- struct{} // the topic's goroutine

	next     *parcel   // taken off the queue, did not fit
	batch    []*parcel // to store before what is queued
	singly   bool      // the batch goes parcel by parcel: together they exceed the broker's limit
	attempt  *attempt  // whose outcome is not known, or nil
	sending  bool      // it is on its way
	tries    int       // failures in a row
	pause    time.Time // until when nothing is sent after a failure
	identity *identity // nil: to ask for
}

// attempt is what a request stores in one partition. It is repeated as it is
// until its outcome is known, or nobody waits for that any more.
type attempt struct {
	parcels []*parcel // the first ones of the lane's batch
	records int
	set     []byte // the records as the request has them; nil: not encoded yet
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

// fill returns what to store next: the last attempt, or whatever has queued, up
// to one request's size; nil when there is nothing.
func (l *lane) fill() *attempt {
	if l.attempt != nil && !slices.ContainsFunc(l.attempt.parcels, (*parcel).awaited) {
		l.identity = nil // whether it was stored stays unknown: what follows must not be taken for it
		l.attempt, l.tries, l.pause = nil, 0, time.Time{}
	}
	if l.attempt != nil {
		return l.attempt
	}
	l.batch = slices.DeleteFunc(l.batch, func(p *parcel) bool { return !p.awaited() })
	if len(l.batch) == 0 {
		l.singly = false
		l.gather()
	}
	n := len(l.batch)
	if n == 0 {
		return nil
	}
	if l.singly {
		n = 1
	}
	l.attempt = &attempt{parcels: l.batch[:n:n]}
	return l.attempt
}

// gather makes a batch of what is queued and awaited.
func (l *lane) gather() {
	bytes := 0
	for p := l.pull(); p != nil; p = l.pull() {
		if len(l.batch) > 0 && bytes+p.bytes > l.bus.cfg.RequestBytes {
			l.next = p
			return
		}
		if p.awaited() {
			l.batch, bytes = append(l.batch, p), bytes+p.bytes
		}
	}
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

// settle takes the outcome of the attempt.
func (l *lane) settle(err error) {
	l.sending = false
	a := l.attempt
	tooLarge := isTooLarge(err)
	switch {
	case tooLarge && len(a.parcels) > 1:
		l.singly, l.attempt = true, nil
	case err == nil || tooLarge || errors.Is(err, kafka.DuplicateSequenceNumber): // it had arrived before
		if !tooLarge {
			err = nil
			l.identity.stored(a.records)
		} else {
			err = errs.Wrap(errs.TooLarge, err, "the record is too large").With("topic", l.topic)
		}
		for _, p := range a.parcels {
			p.stored <- err
		}
		l.batch = slices.Clone(l.batch[len(a.parcels):])
		l.attempt, l.tries, l.pause = nil, 0, time.Time{}
	default:
		if forgotten(err) {
			l.identity, a.set = nil, nil
		}
		l.pause = time.Now().Add(l.bus.delay(l.tries))
		l.tries++
	}
}

func isTooLarge(err error) bool { return errors.Is(err, kafka.MessageSizeTooLarge) }
