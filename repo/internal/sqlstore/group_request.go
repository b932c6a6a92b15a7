package sqlstore

import (
	"context"
	"fmt"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

// CreateJoinRequest implements repo.Store.
func (s *Store) CreateJoinRequest(ctx context.Context, r *repopb.CreateJoinRequestRequest) error {
	return s.engine.Write(ctx, func(t *Tx) error {
		g, err := t.approach(r.GetGroupId(), r.GetUserId())
		if err != nil {
			return err
		}
		switch g.joinPolicy {
		case repopb.JoinPolicy_JOIN_POLICY_APPROVAL:
		case repopb.JoinPolicy_JOIN_POLICY_OPEN:
			return errs.New(errs.Conflict, "the group is open: join it")
		default:
			return errs.New(errs.Forbidden, "only an owner or admin can add members to this group")
		}
		if err := t.checkUsers("user_id", []int64{r.GetUserId()}); err != nil {
			return err
		}
		_, err = t.Exec("INSERT INTO join_requests (group_id, user_id, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
			r.GetGroupId(), r.GetUserId(), t.now)
		if err != nil {
			return fmt.Errorf("insert join request: %w", err)
		}
		return nil
	})
}

func (t *Tx) forgetJoinRequests(groupID int64, users ...int64) error {
	rows := make([][]any, len(users))
	for i, u := range users {
		rows[i] = []any{groupID, u}
	}
	if err := t.ExecEach("DELETE FROM join_requests WHERE group_id = ? AND user_id = ?", rows); err != nil {
		return fmt.Errorf("delete join requests: %w", err)
	}
	return nil
}

// JoinRequestsQuery pages the requests of a group by age. A cursor whose request was decided starts anew.
const JoinRequestsQuery = `SELECT j.user_id, u.username, u.nickname, u.Avatar, j.created_at
	FROM join_requests j JOIN users u ON u.ID = j.user_id
	WHERE j.group_id = ? AND (j.created_at, j.user_id) > (?, ?) ORDER BY j.created_at, j.user_id LIMIT ?`

// JoinRequests implements repo.Store.
func (s *Store) JoinRequests(ctx context.Context, r *repopb.ListJoinRequestsRequest) (*repopb.ListJoinRequestsResponse, error) {
	var out *repopb.ListJoinRequestsResponse
	err := s.engine.Read(ctx, func(q Conn) error {
		out = &repopb.ListJoinRequestsResponse{}
		_, m, err := readGroup(q, r.GetGroupId(), r.GetActorId())
		switch {
		case err != nil:
			return err
		case !m.active():
			return errNoGroup
		case m.Role < repopb.Role_ROLE_ADMIN:
			return errs.New(errs.Forbidden, "only an owner or admin can do that")
		}
		after, found, err := q.QueryInt("SELECT created_at FROM join_requests WHERE group_id = ? AND user_id = ?", r.GetGroupId(), r.GetAfterUserId())
		if err != nil {
			return fmt.Errorf("read join request: %w", err)
		}
		afterUser := r.GetAfterUserId()
		if !found {
			after, afterUser = 0, 0
		}
		limit := int(r.GetLimit())
		err = q.Query(JoinRequestsQuery, func(row Row) error {
			if len(out.GetRequests()) == limit {
				out.HasMore = true
				return nil
			}
			out.Requests = append(out.Requests, &repopb.JoinRequest{
				UserId: row.Int64(0), Username: row.Text(1), Nickname: row.Text(2), Avatar: row.Text(3), CreatedAt: row.Int64(4),
			})
			return nil
		}, r.GetGroupId(), after, afterUser, limit+1)
		if err != nil {
			return fmt.Errorf("read join requests: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DecideJoinRequest implements repo.Store.
func (s *Store) DecideJoinRequest(ctx context.Context, r *repopb.DecideJoinRequestRequest) (*repopb.GroupChange, error) {
	return s.changeGroup(ctx, func(t *Tx) (*repopb.GroupChange, error) {
		g, actor, err := t.open(r.GetGroupId(), r.GetActorId(), repopb.Role_ROLE_ADMIN)
		if err != nil {
			return nil, err
		}
		_, found, err := t.QueryInt("SELECT 1 FROM join_requests WHERE group_id = ? AND user_id = ?", r.GetGroupId(), r.GetUserId())
		if err != nil {
			return nil, fmt.Errorf("read join request: %w", err)
		}
		if !found {
			return nil, errs.New(errs.NotFound, "no such request")
		}
		if !r.GetApprove() {
			return g.change(actor.Role, nil), t.forgetJoinRequests(r.GetGroupId(), r.GetUserId())
		}
		return t.admit(g, actor.UserID, actor.Role, []int64{r.GetUserId()})
	})
}
