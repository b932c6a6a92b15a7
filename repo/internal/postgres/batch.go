package postgres

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

// maxMessages bounds what one transaction of the batcher stores.
const maxMessages = 2000

var errClosed = errs.New(errs.Unavailable, "the store is closed")

// batcher gathers the message batches that callers bring at the same time into
// one transaction: its round trips and its commit are shared. A few
// transactions run side by side, so that one waits for the disk while another
// is prepared; those of the same conversation wait for its lock.
type batcher struct {
	s     *Store
	queue chan *batchRequest
	wg    sync.WaitGroup

	mu     sync.RWMutex // guards closed against a send on the closed queue
	closed bool
}

// batchRequest is one caller's batch.
type batchRequest struct {
	ctx    context.Context //nolint:containedctx // it travels to the goroutine that decides whether to begin
	r      *repopb.CreateMessagesRequest
	taken  atomic.Bool // by the batcher, or by its caller who went away
	resp   *repopb.CreateMessagesResponse
	err    error
	answer chan struct{}
}

func startBatcher(s *Store) *batcher {
	b := &batcher{s: s, queue: make(chan *batchRequest, s.opt.QueueSize)}
	for range s.opt.Writers {
		b.wg.Go(b.run)
	}
	return b
}

func (b *batcher) stop() {
	b.mu.Lock()
	b.closed = true
	close(b.queue)
	b.mu.Unlock()
	b.wg.Wait()
}

// CreateMessages implements repo.Store.
func (s *Store) CreateMessages(ctx context.Context, r *repopb.CreateMessagesRequest) (*repopb.CreateMessagesResponse, error) {
	q := &batchRequest{ctx: ctx, r: r, answer: make(chan struct{})}
	if err := s.batches.enqueue(ctx, q); err != nil {
		return nil, err
	}
	select {
	case <-q.answer:
	case <-ctx.Done():
		if q.taken.CompareAndSwap(false, true) {
			return nil, ctx.Err()
		}
		<-q.answer // it runs: the outcome is near
	}
	return q.resp, q.err
}

func (b *batcher) enqueue(ctx context.Context, q *batchRequest) error {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.closed {
		return errClosed
	}
	select {
	case b.queue <- q:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *batcher) run() {
	var batch []*batchRequest
	for first := range b.queue {
		batch = b.take(batch[:0], first)
		if len(batch) == 0 {
			continue
		}
		b.store(batch)
		for _, q := range batch {
			close(q.answer)
		}
		clear(batch)
	}
}

// take adds whatever has queued, up to a full transaction.
func (b *batcher) take(batch []*batchRequest, first *batchRequest) []*batchRequest {
	messages := 0
	for q := first; ; {
		if q.taken.CompareAndSwap(false, true) {
			batch = append(batch, q)
			messages += len(q.r.GetMessages())
		}
		if messages >= maxMessages {
			return batch
		}
		select {
		case next, ok := <-b.queue:
			if !ok {
				return batch
			}
			q = next
		default:
			return batch
		}
	}
}

// store leaves its outcome in every request. When one of several spoils the
// transaction, each gets its own.
func (b *batcher) store(batch []*batchRequest) {
	err := b.s.storeBatch(batch)
	if err == nil {
		return
	}
	if len(batch) == 1 || errs.CodeOf(err) == errs.Unavailable {
		for _, q := range batch {
			q.resp, q.err = nil, err
		}
		return
	}
	for i := range batch {
		b.store(batch[i : i+1])
	}
}

func (s *Store) storeBatch(batch []*batchRequest) error {
	requests := make([]*repopb.CreateMessagesRequest, len(batch))
	for i, q := range batch {
		requests[i] = q.r
	}
	read := newPreload(requests)
	start, messages := time.Now(), 0
	err := s.attempts(context.WithoutCancel(batch[0].ctx), func(ctx context.Context) error {
		return s.transaction(ctx, read, func(x *transaction) error {
			for _, q := range batch {
				var err error
				if q.resp, err = x.tx.CreateMessages(q.r); err != nil {
					return err
				}
			}
			messages = x.tx.Messages()
			return nil
		})
	})
	if err == nil {
		s.commits.Commit(len(batch), messages, time.Since(start))
	}
	return err
}
