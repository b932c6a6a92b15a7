package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/gochat-im/gochat/repo/internal/sqlstore"
	"github.com/gochat-im/gochat/repo/repopb"
)

// What caches load on their misses, each in one statement and so in one snapshot. A condition on left_at that an index
// could serve would tempt the planner to read all of members_user.
const (
	routesQuery = `SELECT c.id, c.type, c.is_large, c.members_seq, CASE WHEN c.is_large = 0 THEN
			ARRAY(SELECT m.user_id FROM members m WHERE m.conversation_id = c.id AND (m.left_at = 0) IS TRUE ORDER BY m.user_id) END
		FROM conversations c WHERE c.id = ANY($1::bigint[])`

	sendersQuery = `SELECT m.conversation_id, m.user_id, m.role, m.muted_until, m.left_at, c.dissolved_at, c.type, c.is_large,
			CASE WHEN c.low_id = m.user_id THEN c.high_id ELSE c.low_id END
		FROM unnest($1::bigint[], $2::bigint[]) AS k (conversation_id, user_id)
		JOIN members m ON m.conversation_id = k.conversation_id AND m.user_id = k.user_id
		JOIN conversations c ON c.id = m.conversation_id`
)

// Routes implements repo.Store.
func (s *Store) Routes(ctx context.Context, conversationIDs []int64) (map[int64]*repopb.Route, error) {
	routes := make(map[int64]*repopb.Route, len(conversationIDs))
	err := s.once(ctx, routesQuery, func(rows pgx.Rows) error {
		r, large := &repopb.Route{}, int64(0)
		if err := rows.Scan(&r.ConversationId, &r.Type, &large, &r.MembersSeq, &r.MemberIds); err != nil {
			return fmt.Errorf("read routes: %w", err)
		}
		r.Large = large != 0
		routes[r.GetConversationId()] = r
		return nil
	}, conversationIDs)
	return routes, err
}

// Senders implements repo.Store.
func (s *Store) Senders(ctx context.Context, of []sqlstore.Sender) (map[sqlstore.Sender]*repopb.SenderState, error) {
	states := make(map[sqlstore.Sender]*repopb.SenderState, len(of))
	conversations, users := make([]int64, len(of)), make([]int64, len(of))
	for i, key := range of {
		states[key] = &repopb.SenderState{}
		conversations[i], users[i] = key.ConversationID, key.UserID
	}
	err := s.once(ctx, sendersQuery, func(rows pgx.Rows) error {
		var key sqlstore.Sender
		var left, dissolved, large int64
		state := &repopb.SenderState{Member: true}
		err := rows.Scan(&key.ConversationID, &key.UserID, &state.Role, &state.MutedUntil, &left, &dissolved, &state.Type, &large, &state.PeerId)
		if err != nil {
			return fmt.Errorf("read members: %w", err)
		}
		state.Dissolved, state.Large = dissolved != 0, large != 0
		if left == 0 {
			states[key] = state
		}
		return nil
	}, conversations, users)
	return states, err
}

// once runs one statement that reads, without a transaction around it.
func (s *Store) once(ctx context.Context, sql string, each func(rows pgx.Rows) error, args ...any) error {
	pc, err := s.acquire(ctx, s.pool)
	if err != nil {
		return catalogued(ctx, err)
	}
	defer pc.Release()
	ctx, cancel := context.WithTimeout(ctx, maxTransaction)
	defer cancel()
	rows, err := pc.Query(ctx, sql, args...)
	if err != nil {
		return catalogued(ctx, &failure{err})
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return catalogued(ctx, &failure{err})
	}
	return nil
}
