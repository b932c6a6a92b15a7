// Package postgres is the PostgreSQL engine of the store, on pgx's native
// pool. Any number of processes may use one database at the same time.
//
// The row of a conversation is the sequencer of its log: whoever changes
// anything in a conversation locks it first. What is remembered from one
// transaction to the next, of conversations that one process writes in, is
// proven by the next one's commit. Batches of messages take one round trip
// with it and two without, and those that come together share a transaction.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/internal/sqlstore"
	"github.com/gochat-im/gochat/repo/repopb"
)

// Options are what the store needs to know.
type Options struct {
	URL                 string
	ReplicaURL          string // of a streaming replica that answers lists and history; empty: none
	MaxConns            int
	MinConns            int
	ConnectTimeout      time.Duration
	StatementTimeout    time.Duration
	Writers             int // transactions of message batches at a time
	QueueSize           int // message batches that wait; more wait outside, as long as their context allows
	LargeGroupThreshold int
}

// Store is the open database. Its methods answer with errors of platform/errs,
// a lost connection and the like with Unavailable.
type Store struct {
	sqlstore.Store

	opt     Options
	log     *slog.Logger
	pool    *pgxpool.Pool
	replica *pgxpool.Pool // nil: none
	clock   clock
	heads   *heads
	m       *metrics
	commits *sqlstore.CommitMetrics
	batches *batcher
	closing sync.Once

	replicaFrom atomic.Int64 // unix nanoseconds from which on the replica is asked again
}

// Open connects to the database, migrating it first.
func Open(ctx context.Context, opt Options, log *slog.Logger, reg prometheus.Registerer) (*Store, error) {
	if err := Migrate(ctx, opt.URL, opt.ConnectTimeout); err != nil {
		return nil, err
	}
	heads := newHeads()
	pool, err := newPool(ctx, opt, opt.URL, heads.connected)
	if err != nil {
		return nil, err
	}
	if err := checkMoved(ctx, pool); err != nil {
		pool.Close()
		return nil, err
	}
	s := &Store{opt: opt, log: log, pool: pool, heads: heads, m: newMetrics(reg, pool)}
	if opt.ReplicaURL != "" { // it may be away, now and later
		if s.replica, err = newPool(ctx, opt, opt.ReplicaURL, func() {}); err != nil {
			pool.Close()
			return nil, &ReplicaError{err}
		}
	}
	s.Store = sqlstore.New(s)
	s.batches = newBatcher(s)
	s.commits = sqlstore.NewCommitMetrics(reg, func() int { return s.batches.queued() })
	return s, nil
}

// ReplicaError says that the replica's address, and not the database's, is wrong.
type ReplicaError struct{ err error }

func (e *ReplicaError) Error() string { return e.err.Error() }
func (e *ReplicaError) Unwrap() error { return e.err }

// checkMoved refuses a database into which another store's data is still being moved.
func checkMoved(ctx context.Context, pool *pgxpool.Pool) error {
	var moving bool
	if err := pool.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM store_move WHERE NOT finished)").Scan(&moving); err != nil {
		return oneLine("look for an unfinished move", err)
	}
	if moving {
		return errors.New("the data of another store is being moved into the database: run gochat admin migrate-store until it is finished")
	}
	return nil
}

// Close finishes what was accepted and closes the connections.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.batches.stop()
		s.pool.Close()
		if s.replica != nil {
			s.replica.Close()
		}
	})
	return nil
}

// Backup implements repo.Store.
func (*Store) Backup(context.Context, *repopb.BackupRequest) (*repopb.BackupResponse, error) {
	return nil, errs.New(errs.Invalid, "the store is PostgreSQL: back it up with pg_dump or a physical backup of the server")
}

// sessionSettings are those of every connection. Every query finds its rows by
// a key and in the key's order. A plan lives as long as its connection, so one
// that was made when the tables were small must do when they are large: no
// scan, hash or sort, however cheap it looks then, where an index serves, and
// one plan for any arguments.
var sessionSettings = map[string]string{
	"application_name":                    "gochat",
	"synchronous_commit":                  "on",
	"timezone":                            "UTC",
	"plan_cache_mode":                     "force_generic_plan",
	"enable_seqscan":                      "off",
	"enable_hashjoin":                     "off",
	"enable_mergejoin":                    "off",
	"enable_bitmapscan":                   "off",
	"enable_material":                     "off",
	"enable_sort":                         "off",
	"jit":                                 "off",
	"idle_in_transaction_session_timeout": "60000", // a process that hangs must not keep its locks
}

// newPool opens a pool, which connects when it is used and tells of every connection before it is.
func newPool(ctx context.Context, opt Options, url string, connected func()) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, oneLine("read the address", err)
	}
	maps.Copy(cfg.ConnConfig.RuntimeParams, sessionSettings)
	cfg.ConnConfig.RuntimeParams["statement_timeout"] = fmt.Sprint(opt.StatementTimeout.Milliseconds())
	cfg.ConnConfig.ConnectTimeout = opt.ConnectTimeout
	cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
	cfg.MaxConns, cfg.MinConns = int32(opt.MaxConns), int32(opt.MinConns)
	cfg.AfterConnect = func(context.Context, *pgx.Conn) error {
		connected()
		return nil
	}
	cfg.PingTimeout = opt.ConnectTimeout
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, oneLine("connect", err)
	}
	return pool, nil
}
