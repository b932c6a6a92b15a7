package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/rawproduce"
)

// produceMost bounds the records of one request to store, in bytes.
const produceMost = 16 << 20

// outlet stores the records of a topic that this process publishes to. Each
// leader gets one request at a time, with what has queued for all of its
// partitions: the more partitions, and the busier the leader, the larger the
// requests, and not the more of them.
type outlet struct {
	bus   *Bus
	name  string
	ready chan struct{} // closed when lanes are known
	lanes []*lane

	wake    chan struct{} // capacity 1: something was queued
	done    chan *outgoing
	leaders map[int]int  // of partitions; nil: to look up
	busy    map[int]bool // leaders that have a request
	first   int          // lane whose turn it is
}

// outgoing is one request to store records, and what became of it.
type outgoing struct {
	leader int
	lanes  []*lane // their attempts
	errs   []error // of lanes, at the same index
}

func newOutlet(b *Bus, name string) *outlet {
	return &outlet{
		bus: b, name: name, ready: make(chan struct{}),
		wake: make(chan struct{}, 1), done: make(chan *outgoing), busy: map[int]bool{},
	}
}

// open finds out the partitions of the topic, then stores until the bus stops.
func (o *outlet) open() {
	n, err := o.bus.partitions(o.bus.publishing, o.bus.cfg.Prefix+o.name)
	if err != nil {
		return // the bus has stopped
	}
	for i := range n {
		o.lanes = append(o.lanes, &lane{bus: o.bus, topic: o.name, partition: i, queue: make(chan *parcel, laneQueue), wake: o.wake})
	}
	close(o.ready)
	o.run(o.bus.publishing)
}

func (o *outlet) run(ctx context.Context) {
	retry := time.NewTimer(0)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.wake:
		case <-retry.C:
		case out := <-o.done:
			o.settle(out)
		}
		if again := o.dispatch(ctx); again > 0 {
			retry.Reset(again)
		}
	}
}

// dispatch sends what can be sent now, and returns after how long there is more
// for sure; 0: that is not known.
func (o *outlet) dispatch(ctx context.Context) (again time.Duration) {
	if o.leaders == nil {
		var err error
		if o.leaders, err = o.bus.leaders(ctx, o.bus.cfg.Prefix+o.name); err != nil && ctx.Err() == nil {
			o.bus.health.bad(err)
		}
	}
	now := time.Now()
	requests, sizes := map[int]*outgoing{}, map[int]int{}
	for i := range o.lanes {
		l := o.lanes[(o.first+i)%len(o.lanes)]
		leader, ok := o.leaders[l.partition]
		if !ok {
			leader = -1 // nobody, or unknown: the request will say so
		}
		if l.sending || o.busy[leader] || sizes[leader] > produceMost {
			continue
		}
		if wait := l.pause.Sub(now); wait > 0 {
			if again == 0 || wait < again {
				again = wait
			}
			continue
		}
		next := l.fill()
		if next == nil {
			continue
		}
		out := requests[leader]
		if out == nil {
			out = &outgoing{leader: leader}
			requests[leader] = out
		}
		l.sending = true
		out.lanes = append(out.lanes, l)
		for _, p := range next.parcels {
			sizes[leader] += p.bytes
		}
	}
	o.first = (o.first + 1) % len(o.lanes)
	for leader, out := range requests {
		o.busy[leader] = true
		o.bus.storing.Go(func() {
			o.produce(ctx, out)
			select {
			case o.done <- out:
			case <-ctx.Done():
			}
		})
	}
	return again
}

func (o *outlet) settle(out *outgoing) {
	delete(o.busy, out.leader)
	for i, l := range out.lanes {
		err := out.errs[i]
		if err != nil && !isTooLarge(err) && !errors.Is(err, kafka.DuplicateSequenceNumber) {
			o.leaders = nil // perhaps another one by now
			o.bus.health.bad(err)
			o.bus.metrics.publishRetries.WithLabelValues(o.name).Inc()
		}
		l.settle(err)
	}
}

// produce stores an outgoing request's records once and notes what became of each lane's.
func (o *outlet) produce(ctx context.Context, out *outgoing) {
	ctx, cancel := context.WithTimeout(ctx, o.bus.cfg.RequestTimeout)
	defer cancel()
	outcomes, err := o.request(ctx, out.lanes)
	out.errs = make([]error, len(out.lanes))
	for i, l := range out.lanes {
		outcome, told := outcomes[l.partition]
		switch {
		case err != nil:
			out.errs[i] = fmt.Errorf("store records: %w", err)
		case !told:
			out.errs[i] = fmt.Errorf("store records: the broker's answer is silent about partition %d", l.partition)
		default:
			out.errs[i] = outcome
		}
	}
}

// request sends the attempts of lanes and returns what the broker says of each partition.
func (o *outlet) request(ctx context.Context, lanes []*lane) (map[int]error, error) {
	topic := rawproduce.RequestTopic{Topic: o.bus.cfg.Prefix + o.name}
	var fresh *identity
	for _, l := range lanes {
		if l.identity == nil {
			if fresh == nil {
				i, err := o.bus.identify(ctx)
				if err != nil {
					return nil, err
				}
				fresh = &i
			}
			same := *fresh // it counts for each partition by itself
			l.identity = &same
		}
		if l.attempt.set == nil {
			if err := l.attempt.encode(l.identity); err != nil {
				return nil, err
			}
		}
		topic.Partitions = append(topic.Partitions, rawproduce.RequestPartition{
			Partition: int32(l.partition), RecordSet: protocol.RawRecordSet{Reader: bytes.NewReader(l.attempt.set)}, //nolint:gosec // as Kafka numbers them
		})
	}
	m, err := o.bus.transport.RoundTrip(ctx, o.bus.client.Addr, &rawproduce.Request{
		Acks: int16(kafka.RequireAll), Timeout: int32(o.bus.cfg.RequestTimeout.Milliseconds()), Topics: []rawproduce.RequestTopic{topic}, //nolint:gosec // validated
	})
	if err != nil {
		return nil, err
	}
	answer, ok := m.(*produce.Response)
	if !ok {
		return nil, fmt.Errorf("the broker answers with %T", m)
	}
	o.bus.health.good()
	outcomes := map[int]error{}
	for _, t := range answer.Topics {
		for i := range t.Partitions {
			outcomes[int(t.Partitions[i].Partition)] = produced(&t.Partitions[i])
		}
	}
	return outcomes, nil
}

func produced(p *produce.ResponsePartition) error {
	if p.ErrorCode == 0 {
		return nil
	}
	return fmt.Errorf("store records in partition %d: %w", p.Partition, kafka.Error(p.ErrorCode))
}
