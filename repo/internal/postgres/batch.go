package postgres

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

// maxMessages bounds what one transaction of the batcher stores.
const maxMessages = 2000

var errClosed = errs.New(errs.Unavailable, "the store is closed")

// batcher gathers the message batches that callers bring at the same time into
// one transaction: its round trips and its commit are shared. A few
// transactions run side by side, so that one waits for the disk while another
// is prepared. No two of them touch the same conversation: the second would
// only wait for the first's lock, so it is left to gather more meanwhile.
//
// The caller of the first batch of a transaction runs it for all of them, and
// then lets those lead that may begin: nothing is handed to another goroutine
// that need not be.
type batcher struct {
	s    *Store
	room chan struct{} // holds one for every batch that waits

	mu      sync.Mutex // guards what follows
	waiting []*batchRequest
	busy    map[int64]struct{} // the conversations of the transactions under way
	running int                // transactions
	closed  bool
	idle    sync.Cond // closed, and nothing is running
}

// batchRequest is one caller's batch.
type batchRequest struct {
	r      *repopb.CreateMessagesRequest
	taken  atomic.Bool          // by the batcher, or by its caller who went away
	lead   chan []*batchRequest // gets what the caller is to store, its own batch first
	resp   *repopb.CreateMessagesResponse
	err    error
	answer chan struct{}
}

func newBatcher(s *Store) *batcher {
	b := &batcher{s: s, room: make(chan struct{}, s.opt.QueueSize), busy: map[int64]struct{}{}}
	b.idle.L = &b.mu
	return b
}

// stop returns when what waits is stored. Nothing waits without a transaction that is in its way.
func (b *batcher) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for b.running > 0 {
		b.idle.Wait()
	}
}

// queued counts the batches that wait.
func (b *batcher) queued() int { return len(b.room) }

// CreateMessages implements repo.Store.
func (s *Store) CreateMessages(ctx context.Context, r *repopb.CreateMessagesRequest) (*repopb.CreateMessagesResponse, error) {
	q := &batchRequest{r: r, lead: make(chan []*batchRequest, 1), answer: make(chan struct{})}
	if err := s.batches.enqueue(ctx, q); err != nil {
		return nil, err
	}
	for gone := ctx.Done(); ; {
		select {
		case batch := <-q.lead:
			s.batches.run(context.WithoutCancel(ctx), batch)
			return q.resp, q.err
		case <-q.answer:
			return q.resp, q.err
		case <-gone:
			if q.taken.CompareAndSwap(false, true) {
				return nil, ctx.Err()
			}
			gone = nil // it runs, or is to lead: the outcome is near
		}
	}
}

func (b *batcher) enqueue(ctx context.Context, q *batchRequest) error {
	select {
	case b.room <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		<-b.room
		return errClosed
	}
	b.waiting = append(b.waiting, q)
	if !touches(q, b.busy) { // and what waited before may not begin either
		b.begin()
	}
	return nil
}

// run stores what the caller leads, and lets others lead.
func (b *batcher) run(ctx context.Context, batch []*batchRequest) {
	b.store(ctx, batch)
	b.end(batch)
	for _, q := range batch {
		close(q.answer)
	}
}

func (b *batcher) end(batch []*batchRequest) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, q := range batch {
		for _, m := range q.r.GetMessages() {
			delete(b.busy, m.GetConversationId())
		}
	}
	b.running--
	b.begin()
	if b.running == 0 {
		b.idle.Broadcast()
	}
}

// begin lets those lead that may.
func (b *batcher) begin() {
	for b.running < b.s.opt.Writers {
		batch := b.take()
		if len(batch) == 0 {
			return
		}
		b.running++
		batch[0].lead <- batch
	}
}

// take picks of those that wait, the first first, whatever no transaction is in
// the way of, up to a full transaction, and makes its conversations busy. What
// waits for a conversation makes those wait that come after it with the same.
func (b *batcher) take() (batch []*batchRequest) {
	var blocked map[int64]struct{}
	kept, messages, looked := b.waiting[:0], 0, 0
	for i, q := range b.waiting {
		if messages >= maxMessages || looked >= 4*maxMessages {
			kept = append(kept, b.waiting[i:]...)
			break
		}
		looked += len(q.r.GetMessages())
		if touches(q, b.busy) || touches(q, blocked) {
			if blocked == nil {
				blocked = map[int64]struct{}{}
			}
			add(blocked, q)
			kept = append(kept, q)
			continue
		}
		<-b.room
		if q.taken.CompareAndSwap(false, true) {
			batch = append(batch, q)
			messages += len(q.r.GetMessages())
		}
	}
	clear(b.waiting[len(kept):])
	b.waiting = kept
	for _, q := range batch {
		add(b.busy, q)
	}
	return batch
}

func touches(q *batchRequest, conversations map[int64]struct{}) bool {
	if len(conversations) == 0 {
		return false
	}
	for _, m := range q.r.GetMessages() {
		if _, ok := conversations[m.GetConversationId()]; ok {
			return true
		}
	}
	return false
}

func add(conversations map[int64]struct{}, q *batchRequest) {
	for _, m := range q.r.GetMessages() {
		conversations[m.GetConversationId()] = struct{}{}
	}
}

// store leaves its outcome in every request. When one of several spoils the
// transaction, each gets its own.
func (b *batcher) store(ctx context.Context, batch []*batchRequest) {
	err := b.s.storeBatch(ctx, batch)
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
		b.store(ctx, batch[i:i+1])
	}
}
