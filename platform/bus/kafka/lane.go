package kafka

import (
	"context"
	"errors"

	"github.com/segmentio/kafka-go"

	"github.com/gochat-im/gochat/platform/errs"
)

// lane stores the records of one partition, one request after the other.
type lane struct {
	bus       *Bus
	topic     string
	partition int
	queue     chan *parcel
}

func (l *lane) put(ctx context.Context, p *parcel) error {
	select {
	case l.queue <- p:
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

// run stores whatever has queued, up to one request's size, until the bus stops.
func (l *lane) run() {
	ctx := l.bus.publishing
	var next *parcel // what did not fit into the last request
	for {
		batch, bytes := []*parcel(nil), 0
		if next == nil {
			select {
			case next = <-l.queue:
			case <-ctx.Done():
				return
			}
		}
		for next != nil && (len(batch) == 0 || bytes+next.bytes <= l.bus.cfg.RequestBytes) {
			batch, bytes = append(batch, next), bytes+next.bytes
			select {
			case next = <-l.queue:
			default:
				next = nil
			}
		}
		l.store(ctx, batch)
	}
}

// store repeats a request until its records are stored, refused for what they
// are, or nobody waits for them any more.
func (l *lane) store(ctx context.Context, batch []*parcel) {
	for tries := 0; ; tries++ {
		waiting := batch[:0:len(batch)]
		for _, p := range batch {
			if p.ctx.Err() == nil {
				waiting = append(waiting, p)
			}
		}
		if batch = waiting; len(batch) == 0 {
			return
		}
		err := l.produce(ctx, batch)
		if errors.Is(err, kafka.MessageSizeTooLarge) && len(batch) > 1 {
			for _, p := range batch { // together they exceed the broker's limit
				l.store(ctx, []*parcel{p})
			}
			return
		}
		if err == nil || errors.Is(err, kafka.MessageSizeTooLarge) {
			if err != nil {
				err = errs.Wrap(errs.TooLarge, err, "the record is too large").With("topic", l.topic)
			}
			for _, p := range batch {
				p.stored <- err
			}
			return
		}
		if ctx.Err() == nil {
			l.bus.health.bad(err)
		}
		l.bus.metrics.publishRetries.WithLabelValues(l.topic).Inc()
		if !l.bus.pause(ctx, tries) {
			return
		}
	}
}

func (l *lane) produce(ctx context.Context, batch []*parcel) error {
	var records []kafka.Record
	for _, p := range batch {
		for _, e := range p.entries { // a request uses its records up: every try has new ones
			records = append(records, kafka.Record{Time: e.at, Key: kafka.NewBytes(e.key), Value: kafka.NewBytes(e.value), Headers: e.headers})
		}
	}
	ctx, cancel := context.WithTimeout(ctx, l.bus.cfg.RequestTimeout)
	defer cancel()
	answer, err := l.bus.client.Produce(ctx, &kafka.ProduceRequest{
		Topic: l.bus.cfg.Prefix + l.topic, Partition: l.partition,
		RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(records...),
	})
	if err == nil {
		err = answer.Error
	}
	if err == nil {
		l.bus.health.good()
	}
	return err
}
