package embedded

import (
	"context"
	"sync"

	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/errs"
)

const maxLanes = 256

// Publish implements bus.Bus. The records of one lane are taken together or
// not at all; when the answer is Unavailable, those of other lanes may have
// been taken. Before Start records queue.
func (b *Bus) Publish(ctx context.Context, topic string, records ...bus.Record) error {
	t := (*b.topics.Load())[topic]
	if t == nil {
		return errs.New(errs.Internal, "nothing handles topic %s in this process", topic)
	}
	switch {
	case len(records) == 0:
		return nil
	case len(records) == 1 || len(t.lanes) == 1:
		return t.lanes[t.laneOf(records[0].Key)].put(ctx, records)
	}
	return t.scatter(ctx, records)
}

var groups = sync.Pool{New: func() any { return new([]bus.Record) }}

// scatter sorts records by lane, keeping their order within one, so that each
// lane is locked once.
func (t *topic) scatter(ctx context.Context, records []bus.Record) error {
	var end [maxLanes]int
	for _, r := range records {
		end[t.laneOf(r.Key)]++
	}
	sum := 0
	for i := range t.lanes {
		end[i], sum = sum, sum+end[i]
	}
	buf := groups.Get().(*[]bus.Record)
	if cap(*buf) < len(records) {
		*buf = make([]bus.Record, len(records))
	}
	sorted := (*buf)[:len(records)]
	defer func() {
		clear(sorted)
		groups.Put(buf)
	}()
	for _, r := range records {
		i := t.laneOf(r.Key)
		sorted[end[i]] = r
		end[i]++
	}
	start := 0
	for i := range t.lanes {
		if end[i] > start {
			if err := t.lanes[i].put(ctx, sorted[start:end[i]]); err != nil {
				return err
			}
		}
		start = end[i]
	}
	return nil
}

// laneOf spreads keys by Fibonacci hashing: ids share their high bits, and
// small keys in tests their low ones.
func (t *topic) laneOf(key int64) int {
	return int(uint64(key) * 0x9E3779B97F4A7C15 >> 32 % uint64(len(t.lanes)))
}
