package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
	from int64 // offset of the first record to work, or kafka.FirstOffset

	mu     sync.Mutex // guards what follows
	done   int64      // offset after the last record that is done; -1: not known yet
	end    int64      // offset after the last record that the broker has
	oldest time.Time  // of the batch in hand; zero: none
}

// fetched is a record as it came.
type fetched struct {
	offset     int64
	at         time.Time
	key, value []byte
	headers    []kafka.Header
}

// run fetches and works records until owned ends. A handler has working as its
// context, which ends a while after the partition was taken away.
func (p *partition) run(owned, working context.Context) {
	batches := make(chan []fetched, 1) // one is worked, one waits, one is on its way
	var fetcher sync.WaitGroup
	fetcher.Go(func() {
		defer close(batches)
		p.fetch(owned, batches)
	})
	defer fetcher.Wait()

	ctx, revoke := context.WithCancelCause(working)
	defer revoke(nil)
	grace := p.c.bus.cfg.SessionTimeout / 3
	stop := context.AfterFunc(owned, func() {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-timer.C:
			// A stop of the bus lets handlers work as long as its caller said; the group's own decision does not wait.
			if !p.c.bus.stops() {
				revoke(errRevoked)
			}
		case <-ctx.Done():
		}
	})
	defer stop()

	for {
		var batch []fetched
		select {
		case <-owned.Done():
			return
		case batch = <-batches:
		}
		for len(batch) > 0 {
			n := min(len(batch), p.c.worker.MaxBatch)
			if owned.Err() != nil || !p.work(ctx, owned, batch[:n]) {
				return
			}
			batch = batch[n:]
		}
	}
}

// work decodes a batch and brings it to its end, a record that cannot be
// decoded in its place. It returns false when ctx ended before.
func (p *partition) work(ctx, owned context.Context, batch []fetched) bool {
	p.began(batch[0].at)
	records := make([]bus.Record, 0, len(batch))
	for _, f := range batch {
		r, err := p.decode(f) //nolint:contextcheck // nothing is called under it
		if err == nil {
			records = append(records, r)
			continue
		}
		if len(records) > 0 && !p.c.worker.Do(ctx, owned, records) {
			return false
		}
		records = records[:0]
		if !p.c.worker.Bury(ctx, owned, r, err) {
			return false
		}
	}
	if len(records) > 0 && !p.c.worker.Do(ctx, owned, records) {
		return false
	}
	p.ended(batch[len(batch)-1].offset + 1)
	return true
}

// decode returns a record, or its bytes and what is wrong with them.
func (p *partition) decode(f fetched) (bus.Record, error) {
	key, err := decodeKey(f.key)
	if err == nil {
		m := p.c.worker.New()
		if err = proto.Unmarshal(f.value, m); err == nil {
			return bus.Record{Key: key, Message: m, Trace: traceOf(f.headers)}, nil
		}
	}
	raw := bus.Record{Key: key, Message: wrapperspb.Bytes(f.value[:min(len(f.value), maxRaw)])}
	return raw, errs.Wrap(errs.Invalid, fmt.Errorf("record %d of partition %d: %w", f.offset, p.id, err), "the record cannot be decoded")
}

// fetch sends what the broker has, as it comes, until ctx ends.
func (p *partition) fetch(ctx context.Context, batches chan<- []fetched) {
	offset := p.from
	for tries := 0; ctx.Err() == nil; {
		batch, next, err := p.request(ctx, offset)
		switch {
		case err == nil:
			tries, offset = 0, next
			p.c.bus.health.good()
		case errors.Is(err, kafka.OffsetOutOfRange):
			p.c.log.Error("the broker no longer has the records that come next: going on with its first one",
				slog.Int("partition", p.id), slog.Int64("offset", offset))
			offset = kafka.FirstOffset
		case ctx.Err() == nil:
			p.c.bus.health.bad(err)
			p.c.bus.pause(ctx, tries)
			tries++
		}
		if len(batch) == 0 {
			continue
		}
		select {
		case batches <- batch:
		case <-ctx.Done():
		}
	}
}

// request asks the broker once. next is the offset to ask for afterwards.
func (p *partition) request(ctx context.Context, offset int64) (batch []fetched, next int64, err error) {
	cfg := &p.c.bus.cfg
	ctx, cancel := context.WithTimeout(ctx, cfg.FetchWait+cfg.RequestTimeout)
	defer cancel()
	answer, err := p.c.bus.client.Fetch(ctx, &kafka.FetchRequest{
		Topic: p.c.name, Partition: p.id, Offset: offset,
		MinBytes: 1, MaxBytes: int64(cfg.FetchBytes), MaxWait: cfg.FetchWait,
	})
	if err != nil {
		return nil, offset, err
	}
	if answer.Error != nil {
		return nil, offset, answer.Error
	}
	next = offset
	for {
		r, err := answer.Records.ReadRecord()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, offset, fmt.Errorf("read records: %w", err)
		}
		f := fetched{offset: r.Offset, at: r.Time, headers: r.Headers}
		if f.key, err = readBytes(r.Key); err == nil {
			f.value, err = readBytes(r.Value)
		}
		if err != nil {
			return nil, offset, fmt.Errorf("read records: %w", err)
		}
		if r.Offset >= offset { // not of a stored batch that began before
			batch, next = append(batch, f), r.Offset+1
		}
	}
	p.saw(batch, answer.HighWatermark)
	return batch, next, nil
}

// readBytes copies a key or value and gives the library's page below it back,
// which has 64 KiB however little was stored at once.
func readBytes(b kafka.Bytes) ([]byte, error) {
	if b == nil {
		return nil, nil
	}
	defer b.Close()
	return kafka.ReadAll(b)
}

func (p *partition) saw(batch []fetched, end int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end = end
	if p.done < 0 && len(batch) > 0 {
		p.done = batch[0].offset
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
