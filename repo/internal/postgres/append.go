package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/gochat-im/gochat/repo/internal/sqlstore"
)

// errNotRemembered ends a transaction that was to rely on what this process remembers and cannot: it runs again, reading.
var errNotRemembered = errors.New("postgres: the state of the conversations must be read")

// remembered is the connection of a transaction that relies on what this process remembers: there is nothing to ask.
// So it refuses nothing: whether a refused message was stored before would be asked first.
type remembered struct{}

func (remembered) Exec(string, ...any) (int64, error) { return 0, errNotRemembered }

func (remembered) Query(string, func(sqlstore.Row) error, ...any) error { return errNotRemembered }

func (remembered) ExecEach(string, [][]any) error { return errNotRemembered }

func (remembered) QueryEach(string, [][]any, func(int, sqlstore.Row) error) error {
	return errNotRemembered
}

func (remembered) QueryInt(string, ...any) (int64, bool, error) { return 0, false, errNotRemembered }

// storeBatch stores the batches of several callers in one transaction and
// leaves their answers: in one round trip when all of its conversations are
// remembered as they are, each message may be stored and no key was used
// before; in two otherwise.
func (s *Store) storeBatch(ctx context.Context, batch []*batchRequest) error {
	start, read := time.Now(), newPreload(batch)
	var stored *transaction
	err := s.attempts(ctx, func(ctx context.Context) error {
		err := s.transaction(ctx, read, func(x *transaction) error {
			stored = x
			for _, q := range batch {
				var err error
				if q.resp, err = x.tx.CreateMessages(q.r); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil {
			return nil
		}
		err = read.learn(err, stored != nil && stored.back.remembered)
		if errors.Is(err, errNotRemembered) {
			s.m.appends.WithLabelValues(appendStale).Inc()
		}
		return err
	})
	if err != nil {
		return err
	}
	s.clock.begin(stored.back.storedAt) // for those that begin after it
	after, changed := stored.tx.Changes()
	for _, c := range after {
		c.UpdatedAt = max(c.UpdatedAt, stored.back.storedAt)
	}
	for _, q := range batch {
		for _, r := range q.resp.GetResults() {
			if ev := r.GetEvent(); ev != nil && !r.GetDuplicate() {
				ev.CreatedAt = max(ev.GetCreatedAt(), stored.back.storedAt)
			}
		}
	}
	state := appendRead
	if stored.back.remembered {
		state = appendRemembered
	}
	s.m.appends.WithLabelValues(state).Inc()
	s.heads.keep(stored.connection, &stored.back.known, after, changed)
	s.commits.Commit(len(batch), stored.tx.Messages(), time.Since(start))
	return nil
}
