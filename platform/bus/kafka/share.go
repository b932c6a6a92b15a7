package kafka

import (
	"context"
	"sync"
	"time"

	"github.com/gochat-im/gochat/platform/bus"
)

// share is what one goroutine works: some of the partitions that this process
// owns for a generation of its group. Whatever has come for all of them goes to
// the handler in one batch: the more partitions, and the busier the handler, the
// larger the batches, and not the more of them.
type share struct {
	c        *consumer
	commits  *committer
	owned    []*partition
	fetchers sync.WaitGroup

	mu    sync.Mutex    // guards the partitions' records, and what follows
	first int           // whose turn it is
	room  chan struct{} // closed when records were taken
	ready chan struct{} // capacity 1: records have come
}

func newShare(c *consumer, commits *committer) *share {
	return &share{c: c, commits: commits, room: make(chan struct{}), ready: make(chan struct{}, 1)}
}

// run fetches and works records until owned ends. A handler has working as its
// context, which ends a while after the partitions were taken away.
func (s *share) run(owned, working context.Context) {
	s.fetchers.Go(func() { s.fetch(owned, s.owned) })
	defer s.fetchers.Wait()

	ctx, revoke := context.WithCancelCause(working)
	defer revoke(nil)
	grace := s.c.bus.cfg.SessionTimeout / 3
	stop := context.AfterFunc(owned, func() {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-timer.C:
			// A stop of the bus lets handlers work as long as its caller said; the group's own decision does not wait.
			if !s.c.bus.stops() {
				revoke(errRevoked)
			}
		case <-ctx.Done():
		}
	})
	defer stop()

	for owned.Err() == nil {
		batch := s.take()
		if len(batch) == 0 {
			select {
			case <-owned.Done():
			case <-s.ready:
			}
			continue
		}
		if !s.work(ctx, owned, batch) {
			for i := range batch {
				batch[i].from.torn = true
			}
			return
		}
	}
}

// take returns what waits, as much as goes into a batch: the records of a
// partition stand together, and another one is the first each time.
func (s *share) take() (batch []fetched) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range s.owned {
		p := s.owned[s.first]
		s.first = (s.first + 1) % len(s.owned)
		batch = append(batch, p.pick(s.c.worker.MaxBatch-len(batch))...)
		if len(batch) == s.c.worker.MaxBatch {
			break
		}
	}
	if len(batch) > 0 {
		close(s.room)
		s.room = make(chan struct{})
	}
	return batch
}

// add takes what came for a partition.
func (s *share) add(p *partition, records []fetched) {
	s.mu.Lock()
	p.put(records)
	s.mu.Unlock()
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// withRoom returns those of some partitions that have room for more records, and
// what tells when others may have it.
func (s *share) withRoom(parts []*partition) (some []*partition, room <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range parts {
		if len(p.fetched) < 2*s.c.worker.MaxBatch && p.bytes < s.c.bus.cfg.FetchBytes {
			some = append(some, p)
		}
	}
	return some, s.room
}

// work decodes a batch and brings it to its end, a record that cannot be
// decoded in its place. It returns false when ctx ended before.
func (s *share) work(ctx, owned context.Context, batch []fetched) bool {
	ctx, after := bus.CollectAfter(ctx)
	records := make([]bus.Record, 0, len(batch))
	for i := range batch {
		f := &batch[i]
		if i == 0 || batch[i-1].from != f.from {
			f.from.began(f.at)
		}
		r, err := f.decode() //nolint:contextcheck // nothing is called under it
		if err == nil {
			records = append(records, r)
			continue
		}
		if len(records) > 0 && !s.c.worker.Do(ctx, owned, records) {
			return false
		}
		records = records[:0]
		if !s.c.worker.Bury(ctx, owned, r, err) {
			return false
		}
	}
	if len(records) > 0 && !s.c.worker.Do(ctx, owned, records) {
		return false
	}
	for i := range batch {
		if i+1 == len(batch) || batch[i+1].from != batch[i].from {
			batch[i].from.ended(batch[i].offset + 1)
		}
	}
	s.commits.add(after)
	return true
}
