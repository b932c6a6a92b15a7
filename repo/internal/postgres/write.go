package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gochat-im/gochat/repo/internal/sqlstore"
)

const (
	// maxAttempts is how often a transaction runs that others undo.
	maxAttempts = 10
	// maxTransaction bounds one attempt, whatever becomes of the connection.
	maxTransaction = 30 * time.Second
)

// A transaction gets its number before its time, so that whoever makes a sync
// cursor sees the number of every transaction with an earlier time.
const (
	numberQuery = "SELECT pg_current_xact_id()"
	now         = "floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint" // in unix milliseconds
	timeQuery   = "SELECT " + now
)

// Write implements sqlstore.Engine. Once it has a connection it runs to its end, whatever becomes of ctx.
func (s *Store) Write(ctx context.Context, fn func(t *sqlstore.Tx) error) error {
	start := time.Now()
	err := s.attempts(ctx, func(ctx context.Context) error {
		return s.transaction(ctx, nil, func(x *transaction) error { return fn(x.tx) })
	})
	if err == nil {
		s.commits.Commit(1, 0, time.Since(start))
	}
	return err
}

// attempts runs a transaction until no other one gets in its way. One that
// could not rely on what is remembered does not count: the next one reads.
func (s *Store) attempts(ctx context.Context, run func(ctx context.Context) error) error {
	for attempt := 1; ; attempt++ {
		err := run(ctx)
		if errors.Is(err, errNotRemembered) {
			err = run(ctx)
		}
		if err == nil || attempt == maxAttempts || !runAgain(err) {
			return catalogued(ctx, err)
		}
		s.m.retries.Inc()
		select {
		case <-time.After(rand.N(time.Duration(attempt) * 5 * time.Millisecond)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// transaction is one that runs.
type transaction struct {
	*conn
	tx         *sqlstore.Tx
	back       *backend
	release    func()
	connection uint64 // the newest one when it began
}

// transaction runs fn in one. batch, if any, is what it needs to know.
func (s *Store) transaction(ctx context.Context, batch *preload, fn func(x *transaction) error) (err error) {
	x, cancel, err := s.beginTx(ctx, batch)
	if err != nil {
		return err
	}
	defer cancel()
	committed := false
	defer func() {
		if !committed {
			x.rollback()
		}
		x.release()
	}()
	if err := call(fn, x); err != nil {
		if x.failed != nil {
			return x.failed // what the rule made of it does not tell whether it may run again
		}
		return err
	}
	end := x.commit
	if x.back.remembered {
		end = x.send
	}
	if err := end(); err != nil {
		return err
	}
	committed = true
	return nil
}

// beginTx begins a transaction and learns its time.
func (s *Store) beginTx(ctx context.Context, batch *preload) (*transaction, context.CancelFunc, error) {
	pc, err := s.acquire(ctx, s.pool)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxTransaction)
	x := &transaction{
		conn: &conn{ctx: ctx, pg: pc.Conn()}, release: pc.Release, back: &backend{}, connection: s.heads.current(),
	}
	x.back.conn = x.conn
	opt := sqlstore.TxOptions{LargeGroupThreshold: s.opt.LargeGroupThreshold, Locks: true}
	if batch != nil && batch.recall(s.heads, x.back) {
		x.tx = sqlstore.NewTx(remembered{}, x.back, s.clock.begin(0), opt)
		return x, cancel, nil
	}
	begun, err := x.start(batch)
	if err != nil {
		x.rollback()
		x.release()
		cancel()
		return nil, nil, err
	}
	x.tx = sqlstore.NewTx(x.conn, x.back, s.clock.begin(begun), opt)
	return x, cancel, nil
}

// start sends the begin with what is read first.
func (x *transaction) start(batch *preload) (begun int64, err error) {
	var b pgx.Batch
	b.Queue("BEGIN")
	b.Queue(numberQuery)
	b.Queue(timeQuery)
	if batch != nil {
		batch.queue(&b)
	}
	results := x.pg.SendBatch(x.ctx, &b)
	defer results.Close()
	for range 2 {
		if _, err := results.Exec(); err != nil {
			return 0, x.fail(err)
		}
	}
	if err := results.QueryRow().Scan(&begun); err != nil {
		return 0, x.fail(err)
	}
	if batch != nil {
		if err := batch.read(x, results); err != nil {
			return 0, err
		}
	}
	if err := results.Close(); err != nil {
		return 0, x.fail(err)
	}
	return begun, nil
}

// commit sends what was held back, and the commit.
func (x *transaction) commit() error {
	var b pgx.Batch
	x.back.queue(&b)
	b.Queue("COMMIT")
	results := x.pg.SendBatch(x.ctx, &b)
	defer results.Close()
	if err := x.back.read(results); err != nil {
		return err
	}
	tag, err := results.Exec()
	if err == nil {
		err = results.Close()
	}
	if err != nil {
		return x.fail(fmt.Errorf("commit: %w", err))
	}
	if tag.String() != "COMMIT" {
		return x.fail(errors.New("commit: the transaction was rolled back"))
	}
	return nil
}

// send stores what relies on what is remembered. Statements that are sent
// together, without a begin, are one transaction, which their end commits.
func (x *transaction) send() error {
	var b pgx.Batch
	x.back.queue(&b)
	results := x.pg.SendBatch(x.ctx, &b)
	defer results.Close()
	if err := x.back.read(results); err != nil {
		return err
	}
	if err := results.Close(); err != nil {
		return x.fail(fmt.Errorf("commit: %w", err))
	}
	return nil
}

// rollback gives the connection back as it was; one that does not answer is closed.
func (x *transaction) rollback() {
	if x.pg.IsClosed() || x.pg.PgConn().TxStatus() == 'I' {
		return
	}
	if _, err := x.pg.Exec(x.ctx, "ROLLBACK"); err != nil {
		_ = x.pg.Close(x.ctx) // what it says does not matter: the pool makes another
	}
}

// acquire takes a connection of a pool, waiting no longer than for a statement.
func (s *Store) acquire(ctx context.Context, pool *pgxpool.Pool) (*pgxpool.Conn, error) {
	waiting, cancel := context.WithTimeout(ctx, s.opt.ConnectTimeout+s.opt.StatementTimeout)
	defer cancel()
	c, err := pool.Acquire(waiting)
	if err != nil {
		return nil, &failure{fmt.Errorf("get a connection: %w", err)}
	}
	return c, nil
}

// call turns a panic into an error.
func call(fn func(*transaction) error, x *transaction) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return fn(x)
}
