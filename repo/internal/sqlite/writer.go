package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/internal/sqlstore"
)

// maxRequests bounds what one transaction takes from the queue.
const maxRequests = 256

var errClosed = errs.New(errs.Unavailable, "the store is closed")

// writer owns the writing connection: a goroutine that runs whatever has
// queued in one transaction, commits, and answers. It never waits for more.
type writer struct {
	s     *Store
	c     *conn
	m     *sqlstore.CommitMetrics
	queue chan *request
	done  chan struct{}

	mu     sync.RWMutex // guards closed against a send on the closed queue
	closed bool

	members map[sqlstore.MemberKey]sqlstore.Member // groups' members as of the last commit, some of them
}

// request is one atomic unit that waits for its commit.
type request struct {
	ctx    context.Context //nolint:containedctx // it travels to the goroutine that decides whether to begin
	fn     func(tx *sqlstore.Tx) error
	state  atomic.Int32
	err    error
	answer chan struct{}
}

const (
	requestQueued int32 = iota
	requestTaken
	requestCanceled
)

func startWriter(s *Store, c *conn, reg prometheus.Registerer) *writer {
	w := &writer{
		s: s, c: c, queue: make(chan *request, s.opt.QueueSize), done: make(chan struct{}),
		members: map[sqlstore.MemberKey]sqlstore.Member{},
	}
	w.m = sqlstore.NewCommitMetrics(reg, func() int { return len(w.queue) })
	go w.run()
	return w
}

// Write implements sqlstore.Engine. The transaction may be shared with others:
// when fn fails after a write, the others run again without it.
func (s *Store) Write(ctx context.Context, fn func(tx *sqlstore.Tx) error) error {
	r := &request{ctx: ctx, fn: fn, answer: make(chan struct{})}
	if err := s.w.enqueue(ctx, r); err != nil {
		return err
	}
	select {
	case <-r.answer:
	case <-ctx.Done():
		if r.state.CompareAndSwap(requestQueued, requestCanceled) {
			return ctx.Err()
		}
		<-r.answer // it runs: the outcome is near
	}
	return catalogued(r.err)
}

func (w *writer) enqueue(ctx context.Context, r *request) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return errClosed
	}
	select {
	case w.queue <- r:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writer) stop() {
	w.mu.Lock()
	w.closed = true
	close(w.queue)
	w.mu.Unlock()
	<-w.done
}

func (w *writer) run() {
	defer close(w.done)
	batch := make([]*request, 0, maxRequests)
	for first := range w.queue {
		batch = w.take(batch[:0], first)
		w.runBatch(batch)
		for _, r := range batch {
			close(r.answer)
		}
		clear(batch)
		w.s.ckpt.wrote(w.c)
	}
}

func (w *writer) take(batch []*request, first *request) []*request {
	for r := first; ; {
		if r.state.CompareAndSwap(requestQueued, requestTaken) {
			batch = append(batch, r)
		}
		if len(batch) == maxRequests {
			return batch
		}
		select {
		case next, ok := <-w.queue:
			if !ok {
				return batch
			}
			r = next
		default:
			return batch
		}
	}
}

// runBatch leaves its outcome in every request.
func (w *writer) runBatch(batch []*request) {
	todo := batch
	for len(todo) > 0 {
		todo = w.attempt(todo)
	}
}

// attempt runs one transaction of the requests and returns those that must run again.
func (w *writer) attempt(batch []*request) (again []*request) {
	start := time.Now()
	if _, err := w.c.Exec("BEGIN IMMEDIATE"); err != nil {
		failAll(batch, fmt.Errorf("begin: %w", err))
		return nil
	}
	t := sqlstore.NewTx(w.c, w, w.s.clock.begin(), sqlstore.TxOptions{LargeGroupThreshold: w.s.opt.LargeGroupThreshold})
	committed := false
	defer func() {
		if !committed && w.c.inTransaction() {
			if _, err := w.c.Exec("ROLLBACK"); err != nil {
				w.s.log.Error("rolling back", "error", err)
			}
		}
		w.s.clock.end(committed && t.Writes() > 0)
	}()
	for i, r := range batch {
		writes := t.Writes()
		r.err = call(r.fn, t)
		if r.err == nil {
			continue
		}
		if w.broken(r.err) {
			failAll(batch, r.err)
			return nil
		}
		if t.Writes() != writes {
			again = append(again, batch[:i]...)
			again = append(again, batch[i+1:]...)
			return succeededOrNotRun(again, i)
		}
	}
	if err := w.commit(t); err != nil {
		failAll(batch, err)
		return nil
	}
	committed = true
	w.m.Commit(len(batch), t.Messages(), time.Since(start))
	return nil
}

// commit makes everything durable, then visible to the readers of the state.
func (w *writer) commit(t *sqlstore.Tx) error {
	if t.Writes() > 0 {
		if _, err := w.c.Exec("UPDATE clock SET now = ? WHERE id = 1", t.Now()); err != nil {
			return fmt.Errorf("set the clock: %w", err)
		}
	}
	if _, err := w.c.Exec("COMMIT"); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if t.Writes() > 0 {
		w.publish(t.Changes())
	}
	return nil
}

func (w *writer) publish(conversations map[int64]*sqlstore.Conversation, members []*sqlstore.Member) {
	if len(w.members) > w.s.opt.MaxCachedHeads {
		clear(w.members)
	}
	for _, m := range members {
		w.members[m.Key()] = *m
	}
	w.s.state.publish(conversations, members)
}

// broken tells what no request is to blame for: a full disk and its like.
func (w *writer) broken(err error) bool {
	if !w.c.inTransaction() {
		return true // SQLite rolled back by itself
	}
	_, ok := errors.AsType[*Error](err)
	return ok && errs.CodeOf(catalogued(err)) == errs.Unavailable
}

// succeededOrNotRun leaves out, of the first n, those that failed without having written.
func succeededOrNotRun(batch []*request, n int) []*request {
	kept := batch[:0]
	for i, r := range batch {
		if i >= n || r.err == nil {
			kept = append(kept, r)
		}
	}
	return kept
}

func failAll(batch []*request, err error) {
	for _, r := range batch {
		if r.err == nil {
			r.err = err
		}
	}
}

// call turns a panic into the request's error, so that it cannot take the others with it.
func call(fn func(*sqlstore.Tx) error, t *sqlstore.Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			t.Spoil() // whatever it did must go
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return fn(t)
}
