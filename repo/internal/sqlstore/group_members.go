package sqlite

import (
	"context"
	"fmt"

	"github.com/gochat-im/gochat/repo/repopb"
)

// groupMembersQuery pages the present members of a group by user id.
const groupMembersQuery = `SELECT m.user_id, u.username, u.nickname, u.avatar, m.role, m.muted_until, m.joined_at
	FROM members m JOIN users u ON u.id = m.user_id
	WHERE m.conversation_id = ? AND m.user_id > ? AND m.left_at = 0 ORDER BY m.user_id LIMIT ?`

// GroupMembers implements repo.Store.
func (s *Store) GroupMembers(ctx context.Context, r *repopb.GetGroupMembersRequest) (*repopb.GetGroupMembersResponse, error) {
	var out *repopb.GetGroupMembersResponse
	err := s.read(ctx, func(q *conn) error {
		out = &repopb.GetGroupMembersResponse{}
		if err := readable(q, r.GetGroupId(), r.GetActorId()); err != nil {
			return err
		}
		limit := int(r.GetLimit())
		err := q.query(groupMembersQuery, func(row *stmt) error {
			if len(out.GetMembers()) == limit {
				out.HasMore = true
				return nil
			}
			out.Members = append(out.Members, &repopb.Member{
				UserId: row.int64(0), Username: row.text(1), Nickname: row.text(2), Avatar: row.text(3),
				Role: repopb.Role(row.int32(4)), MutedUntil: row.int64(5), JoinedAt: row.int64(6),
			})
			return nil
		}, r.GetGroupId(), r.GetAfterUserId(), limit+1)
		if err != nil {
			return fmt.Errorf("read members: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// readable is NotFound unless the actor is in the group; actor 0 is the server itself.
func readable(q *conn, groupID, actorID int64) error {
	if actorID == 0 {
		_, found, err := q.queryInt("SELECT 1 FROM groups WHERE id = ?", groupID)
		if err == nil && !found {
			err = errNoGroup
		}
		return err
	}
	_, m, err := readGroup(q, groupID, actorID)
	if err == nil && !m.active() {
		err = errNoGroup
	}
	return err
}
