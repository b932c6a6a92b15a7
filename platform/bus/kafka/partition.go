package kafka

import (
	"fmt"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/bus/internal/work"
	"github.com/gochat-im/gochat/platform/errs"
)

// maxRaw bounds what OnDead gets of a record that cannot be decoded.
const maxRaw = 256 << 10

// partition is one that this process owns for a generation of its group.
type partition struct {
	c    *consumer
	id   int
	next int64 // offset to ask for, or kafka.FirstOffset; of whoever fetches
	// again is the first offset that no process can have had in hand before this
	// one; -1: not known yet. It is set before the first record is put.
	again int64
	torn  bool // a batch was left undone; of the worker

	fetched []fetched // that wait to be worked; guarded by the share
	bytes   int       // of those

	mu     sync.Mutex // guards what follows
	done   int64      // offset after the last record that is done; -1: not known yet
	end    int64      // offset after the last record that the broker has
	oldest time.Time  // of those in hand; zero: none
}

// fetched is a record as it came.
type fetched struct {
	from       *partition
	offset     int64
	at         time.Time
	key, value []byte
	headers    []kafka.Header
}

// size is what a record counts of the room for those that wait.
func (f *fetched) size() int { return len(f.value) + recordOverhead }

// decode returns a record, or its bytes and what is wrong with them.
func (f *fetched) decode() (bus.Record, error) {
	key, err := decodeKey(f.key)
	if err == nil {
		m := f.from.c.worker.New()
		if err = proto.Unmarshal(f.value, m); err == nil {
			return bus.Record{Key: key, Message: m, Trace: traceOf(f.headers), Again: f.offset < f.from.again}, nil
		}
	}
	raw := bus.Record{Key: key, Message: wrapperspb.Bytes(f.value[:min(len(f.value), maxRaw)])}
	return raw, errs.Wrap(errs.Invalid, fmt.Errorf("record %d of partition %d: %w", f.offset, f.from.id, err), "the record cannot be decoded")
}

// put adds records that came.
func (p *partition) put(records []fetched) {
	p.fetched = append(p.fetched, records...)
	for i := range records {
		p.bytes += records[i].size()
	}
}

// pick takes at most so many records away.
func (p *partition) pick(most int) []fetched {
	n := min(len(p.fetched), most)
	records := p.fetched[:n:n]
	if p.fetched = p.fetched[n:]; len(p.fetched) == 0 {
		p.fetched = nil
	}
	for i := range records {
		p.bytes -= records[i].size()
	}
	return records
}

// saw notes where the broker's records end.
func (p *partition) saw(end int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end = end
}

// starts notes where the partition begins when nothing of it was done yet.
func (p *partition) starts(offset int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done < 0 {
		p.done = offset
	}
}

func (p *partition) began(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.oldest = at
}

func (p *partition) ended(next int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done, p.oldest = next, time.Time{}
}

// finished returns the offset after the last record that is done; -1: not known yet.
func (p *partition) finished() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done
}

// backlog returns the records that are stored and not done, and the age of the oldest in hand.
func (p *partition) backlog() work.Backlog {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b work.Backlog
	if p.done >= 0 {
		b.Records = int(max(0, p.end-p.done))
	}
	if !p.oldest.IsZero() {
		b.Oldest = time.Since(p.oldest)
	}
	return b
}
