package sqlstore

import (
	"context"
	"fmt"

	"github.com/gochat-im/gochat/repo/repopb"
)

// GroupMembersQuery pages the present members of a group by user id.
const GroupMembersQuery = `SELECT m.user_id, u.username, u.nickname, u.Avatar, m.Role, m.muted_until, m.joined_at
	FROM members m JOIN users u ON u.ID = m.user_id
	WHERE m.conversation_id = ? AND m.user_id > ? AND m.left_at = 0 ORDER BY m.user_id LIMIT ?`

// GroupMembers implements repo.Store.
func (s *Store) GroupMembers(ctx context.Context, r *repopb.GetGroupMembersRequest) (*repopb.GetGroupMembersResponse, error) {
	var out *repopb.GetGroupMembersResponse
	err := s.engine.ReadLists(ctx, func(q Conn) error {
		out = &repopb.GetGroupMembersResponse{}
		if err := readable(q, r.GetGroupId(), r.GetActorId()); err != nil {
			return err
		}
		limit := int(r.GetLimit())
		err := q.Query(GroupMembersQuery, func(row Row) error {
			if len(out.GetMembers()) == limit {
				out.HasMore = true
				return nil
			}
			out.Members = append(out.Members, &repopb.Member{
				UserId: row.Int64(0), Username: row.Text(1), Nickname: row.Text(2), Avatar: row.Text(3),
				Role: repopb.Role(row.Int32(4)), MutedUntil: row.Int64(5), JoinedAt: row.Int64(6),
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
func readable(q Conn, groupID, actorID int64) error {
	if actorID == 0 {
		_, found, err := q.QueryInt("SELECT 1 FROM groups WHERE id = ?", groupID)
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
