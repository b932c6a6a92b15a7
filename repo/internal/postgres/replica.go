package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gochat-im/gochat/repo/internal/sqlstore"
)

const (
	// replicaPatience is how long a read waits for the replica to have what the primary has.
	replicaPatience = 5 * time.Millisecond
	// replicaPause is for how long a replica that failed or lags is left alone.
	replicaPause = time.Second

	// Positions in the write-ahead log, in bytes.
	writtenQuery  = "SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint"
	replayedQuery = "SELECT (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint"
)

// ReadLists implements sqlstore.Engine: on the replica when it has replayed
// whatever the primary had committed when the call came, so that nobody misses
// what they, or anybody, were acknowledged, in whichever process; on the
// primary otherwise.
func (s *Store) ReadLists(ctx context.Context, fn func(q sqlstore.Conn) error) error {
	pc := s.freshReplica(ctx)
	if pc == nil {
		return s.Read(ctx, fn)
	}
	err := s.readOn(ctx, pc, fn)
	if _, failed := errors.AsType[*failure](err); failed && ctx.Err() == nil {
		s.leaveReplica()
		return s.Read(ctx, fn)
	}
	s.m.replicaReads.Inc()
	return err
}

// freshReplica returns a connection to the replica, nil when it is not fresh enough.
func (s *Store) freshReplica(ctx context.Context) *pgxpool.Conn {
	if s.replica == nil || time.Now().UnixNano() < s.replicaFrom.Load() {
		return nil
	}
	written, err := s.readInt(ctx, writtenQuery)
	if err != nil {
		return nil // the read on the primary will tell
	}
	pc, err := s.acquire(ctx, s.replica)
	if err != nil {
		s.leaveReplica()
		return nil
	}
	for begin := time.Now(); ; {
		c := &conn{ctx: ctx, pg: pc.Conn()}
		replayed, _, err := c.QueryInt(replayedQuery)
		if err == nil && replayed >= written {
			return pc
		}
		if err != nil || time.Since(begin) > replicaPatience {
			pc.Release()
			s.leaveReplica()
			return nil
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			pc.Release()
			return nil
		}
	}
}

func (s *Store) leaveReplica() {
	s.replicaFrom.Store(time.Now().Add(replicaPause).UnixNano())
}
