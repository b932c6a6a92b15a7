package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/gochat-im/gochat/repo/repopb"
)

const OutboxQuery = "SELECT id, ranges FROM outbox WHERE created_at < ? ORDER BY created_at, id LIMIT ?"

// Outbox implements repo.Store.
func (s *Store) Outbox(ctx context.Context, r *repopb.ListOutboxRequest) ([]*repopb.OutboxEntry, error) {
	var out []*repopb.OutboxEntry
	err := s.engine.Read(ctx, func(q Conn) error {
		out = nil
		err := q.Query(OutboxQuery, func(row Row) error {
			e := &repopb.OutboxEntry{Id: row.Int64(0)}
			var ranges [][3]int64
			if err := json.Unmarshal([]byte(row.Text(1)), &ranges); err != nil {
				return fmt.Errorf("decode outbox entry %d: %w", e.GetId(), err)
			}
			for _, v := range ranges {
				e.Ranges = append(e.Ranges, &repopb.OutboxRange{ConversationId: v[0], FromSeq: v[1], ToSeq: v[2]})
			}
			out = append(out, e)
			return nil
		}, r.GetBefore(), r.GetLimit())
		if err != nil {
			return fmt.Errorf("read outbox: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Stats implements repo.Store.
func (s *Store) Stats(ctx context.Context) (*repopb.StatsResponse, error) {
	out := &repopb.StatsResponse{}
	err := s.engine.Read(ctx, func(q Conn) error {
		for _, c := range []struct {
			to  *int64
			sql string
		}{
			{&out.Users, "SELECT COUNT(*) FROM users"},
			{&out.Conversations, "SELECT COUNT(*) FROM conversations"},
			{&out.DeadJobs, "SELECT COUNT(*) FROM jobs WHERE dead = 1"},
			{&out.PendingJobs, "SELECT COUNT(*) FROM jobs WHERE dead = 0"},
		} {
			var err error
			if *c.to, _, err = q.QueryInt(c.sql); err != nil {
				return fmt.Errorf("count: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
