package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
	"google.golang.org/protobuf/proto"

	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/trace"
)

const (
	laneQueue      = 256 // calls of Publish that wait in a lane; more wait for room
	recordOverhead = 64  // bytes around a record's value in a request, at most
	headerOverhead = 10  // bytes around a header's name and value, at most

	// deadRoom is what only OnDead may use of a request's size, for what it adds to
	// a record: one that was taken can always be put aside.
	deadRoom = 8 << 10
)

// entry is an encoded record.
type entry struct {
	key, value []byte
	at         time.Time
	headers    []kafka.Header
}

// parcel is what one Publish has for one lane; small enough for one request.
type parcel struct {
	ctx     context.Context // of the publisher; its deadline is the parcel's
	entries []entry
	bytes   int
	stored  chan error // capacity 1
}

// awaited reports whether the publisher still waits for the outcome.
func (p *parcel) awaited() bool { return p.ctx.Err() == nil }

// Publish implements bus.Bus. The records of one partition are stored together
// or, when there are very many, in order; those of other partitions may have
// been stored when the answer is an error. Without a broker it waits until ctx
// or the setting publish_timeout ends.
func (b *Bus) Publish(ctx context.Context, topic string, records ...bus.Record) error {
	if !b.admits(ctx) {
		return errStopping(topic)
	}
	if len(records) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, b.cfg.PublishTimeout)
	defer cancel()
	begin := time.Now()
	o, err := b.outletOf(ctx, topic)
	if err == nil {
		err = o.publish(ctx, b.cfg.RequestBytes, b.largest(ctx), records)
	}
	b.metrics.published(topic, len(records), time.Since(begin), err)
	return err
}

// deadMark marks the context of OnDead.
type deadMark struct{}

// largest returns the size of the largest record that may be published.
func (b *Bus) largest(ctx context.Context) int {
	if ctx.Value(deadMark{}) == b {
		return b.cfg.RequestBytes
	}
	return b.cfg.RequestBytes - deadRoom
}

// outletOf returns a topic's outlet, waiting until its partitions are known.
func (b *Bus) outletOf(ctx context.Context, topic string) (*outlet, error) {
	b.mu.Lock()
	o := b.outlets[topic]
	if o == nil {
		o = newOutlet(b, topic)
		b.outlets[topic] = o
		b.storing.Go(o.open)
	}
	b.mu.Unlock()
	select {
	case <-o.ready:
		return o, nil
	case <-ctx.Done():
		return nil, errAway(topic, context.Cause(ctx))
	case <-b.publishing.Done():
		return nil, errStopping(topic)
	}
}

func (o *outlet) publish(ctx context.Context, limit, largest int, records []bus.Record) error {
	lanes := make(map[int][]*parcel, 1)
	now := time.Now()
	for _, r := range records {
		value, err := proto.Marshal(r.Message)
		if err != nil {
			return errs.Wrap(errs.Internal, fmt.Errorf("encode record of %s: %w", o.name, err), "internal error")
		}
		headers := headersOf(r) //nolint:contextcheck // nothing is called under it
		size := len(value) + recordOverhead
		for _, h := range headers {
			size += len(h.Key) + len(h.Value) + headerOverhead
		}
		if size > largest {
			return errs.New(errs.TooLarge, "a record of %d bytes is too large", len(value)).With("topic", o.name)
		}
		i := partitionOf(r.Key, len(o.lanes))
		list := lanes[i]
		if len(list) == 0 || list[len(list)-1].bytes+size > limit {
			list = append(list, &parcel{ctx: ctx, stored: make(chan error, 1)})
			lanes[i] = list
		}
		p := list[len(list)-1]
		p.entries = append(p.entries, entry{encodeKey(r.Key), value, now, headers})
		p.bytes += size
	}
	// One parcel of each lane at a time: the next one of a lane goes only after the one before is stored.
	for round := 0; len(lanes) > 0; round++ {
		for i, list := range lanes {
			if err := o.lanes[i].put(ctx, list[round]); err != nil {
				return err
			}
		}
		for i, list := range lanes {
			if err := o.lanes[i].await(ctx, list[round]); err != nil {
				return err
			}
			if round+1 == len(list) {
				delete(lanes, i)
			}
		}
	}
	return nil
}

// partitionOf is stable: it must never change, or the records of a key change
// their partition. Fibonacci hashing spreads ids that share their high bits.
func partitionOf(key int64, n int) int {
	return int(uint64(key) * 0x9E3779B97F4A7C15 >> 32 % uint64(n))
}

func encodeKey(key int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(key)) }

func decodeKey(b []byte) (int64, error) {
	if len(b) != 8 {
		return 0, errors.New("its key has not 8 bytes")
	}
	return int64(binary.BigEndian.Uint64(b)), nil
}

// headersOf returns where a record belongs, as W3C trace context.
func headersOf(r bus.Record) (headers []kafka.Header) {
	r.Trace.Write(func(name, value string) { headers = append(headers, kafka.Header{Key: name, Value: []byte(value)}) })
	return headers
}

// traceOf returns what headersOf wrote.
func traceOf(headers []kafka.Header) *trace.Ref {
	return trace.Read(func(name string) string {
		for _, h := range headers {
			if h.Key == name {
				return string(h.Value)
			}
		}
		return ""
	})
}

func errAway(topic string, cause error) error {
	return errs.Wrap(errs.Unavailable, cause, "the server is busy").With("topic", topic)
}
