package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gochat-im/gochat/repo/internal/sqlstore"
)

// beginRead begins a transaction whose statements all see the same.
const beginRead = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

// Read implements sqlstore.Engine.
func (s *Store) Read(ctx context.Context, fn func(q sqlstore.Conn) error) error {
	pc, err := s.acquire(ctx, s.pool)
	if err != nil {
		return catalogued(ctx, err)
	}
	return catalogued(ctx, s.readOn(ctx, pc, fn))
}

// readOn runs fn in one snapshot of a connection, which it gives back.
func (s *Store) readOn(ctx context.Context, pc *pgxpool.Conn, fn func(q sqlstore.Conn) error) error {
	defer pc.Release()
	within, cancel := context.WithTimeout(ctx, maxTransaction)
	defer cancel()
	c := &conn{ctx: within, pg: pc.Conn(), begin: beginRead}
	err := fn(c)
	if c.begin == "" && !c.pg.IsClosed() {
		if _, e := c.pg.Exec(within, "COMMIT"); e != nil && err == nil {
			err = c.fail(e)
		}
	}
	return err
}

// Head implements sqlstore.Engine: what another process could change meanwhile is not kept.
func (*Store) Head(int64) (sqlstore.Conversation, bool) { return sqlstore.Conversation{}, false }

// oldestQuery is the begin of the oldest transaction that has a number, so may
// write, and is not over; those that end meanwhile are visible to whatever is
// read from now on.
const oldestQuery = `SELECT coalesce(min(floor(extract(epoch FROM xact_start) * 1000))::bigint, 0) FROM pg_stat_activity
	WHERE datname = current_database() AND backend_xid IS NOT NULL`

// Cursor implements sqlstore.Engine. A transaction takes its time after its
// number. So, a millisecond after the database's clock showed t, each one whose
// time is t or earlier is over, or found by its number, and began no later.
func (s *Store) Cursor(ctx context.Context) (int64, error) {
	t, err := s.readInt(ctx, timeQuery)
	if err != nil {
		return 0, fmt.Errorf("read the database's clock: %w", err)
	}
	select {
	case <-time.After(time.Millisecond):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	oldest, err := s.readInt(ctx, oldestQuery)
	if err != nil {
		return 0, fmt.Errorf("look for transactions under way: %w", err)
	}
	if oldest != 0 {
		t = min(t, oldest-1)
	}
	return s.clock.cursor(t), nil
}

// readInt runs a statement that needs no transaction.
func (s *Store) readInt(ctx context.Context, sql string) (v int64, err error) {
	pc, err := s.acquire(ctx, s.pool)
	if err != nil {
		return 0, catalogued(ctx, err)
	}
	defer pc.Release()
	c := &conn{ctx: ctx, pg: pc.Conn()}
	v, _, err = c.QueryInt(sql)
	return v, catalogued(ctx, err)
}
