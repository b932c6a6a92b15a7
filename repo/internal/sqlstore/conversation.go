package sqlstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

// CreateConversation implements repo.Store.
func (s *Store) CreateConversation(ctx context.Context, r *repopb.CreateConversationRequest) (*repopb.CreateConversationResponse, error) {
	low, high := min(r.GetUserId(), r.GetPeerId()), max(r.GetUserId(), r.GetPeerId())
	var id int64
	var created bool
	err := s.engine.Write(ctx, func(t *Tx) error {
		var err error
		created = false
		var found bool
		id, found, err = t.QueryInt("SELECT id FROM conversations WHERE type = 1 AND low_id = ? AND high_id = ?", low, high)
		if err != nil || found {
			return err
		}
		if low == high {
			return errs.InvalidField("peer_user_id", "must be another user")
		}
		for _, user := range []int64{low, high} {
			if _, found, err := t.QueryInt("SELECT 1 FROM users WHERE id = ?", user); err != nil || !found {
				return orNoUser(err)
			}
		}
		if id, err = t.freeID("conversations"); err != nil {
			return err
		}
		created = true
		c := &Conversation{ID: id, Kind: repopb.ConversationType_CONVERSATION_TYPE_SINGLE, CreatedAt: t.now}
		c.Side[0].UserID, c.Side[1].UserID = low, high
		if err := t.insertConversation(c); err != nil {
			return err
		}
		return t.join(c, []int64{low, high}, asMember)
	})
	if err != nil {
		return nil, err
	}
	view, err := s.Conversation(ctx, &repopb.GetConversationRequest{ConversationId: id, UserId: r.GetUserId()})
	if err != nil {
		return nil, err
	}
	return &repopb.CreateConversationResponse{Conversation: view, Created: created}, nil
}

func orNoUser(err error) error {
	if err != nil {
		return fmt.Errorf("read user: %w", err)
	}
	return errNoUser
}

// Conversation implements repo.Store.
func (s *Store) Conversation(ctx context.Context, r *repopb.GetConversationRequest) (*repopb.ConversationView, error) {
	var view *repopb.ConversationView
	err := s.engine.Read(ctx, func(q Conn) error {
		m, found, err := LoadMember(q, r.GetConversationId(), r.GetUserId())
		if err != nil {
			return fmt.Errorf("read member: %w", err)
		}
		if !found || !m.active() {
			return errNoConversation
		}
		// From the snapshot of the member's row, so that the unread count is exact.
		c, _, err := LoadConversation(q, r.GetConversationId())
		if err != nil {
			return fmt.Errorf("read conversation: %w", err)
		}
		views, err := viewsOf(q, []Entry{{Member: &m, Conversation: &c}})
		if err == nil {
			view = views[0]
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return view, nil
}

// viewsOf are conversations as their member sees them, each with the newest entry that they did not hide.
func viewsOf(q Conn, entries []Entry) ([]*repopb.ConversationView, error) {
	views := make([]*repopb.ConversationView, len(entries))
	last := make([][]any, len(entries))
	for i, e := range entries {
		c, m := e.Conversation, e.Member
		views[i] = &repopb.ConversationView{
			Conversation: &repopb.Conversation{
				Id: c.ID, Type: c.Kind, Name: c.Name, Avatar: c.Avatar, LastSeq: c.LastSeq, UpdatedAt: c.activity(), CreatedAt: c.CreatedAt, DissolvedAt: c.DissolvedAt,
			},
			PeerId: c.peerOf(m.UserID), Role: m.Role, ReadSeq: m.ReadSeq, Unread: m.unread(c), Muted: m.Silent, Pinned: m.Pinned, JoinedAt: m.JoinedAt,
		}
		last[i] = []any{c.ID, c.ShownSeq + 1, 1, m.UserID}
	}
	err := q.QueryEach(ShownBefore, last, func(i int, r Row) (err error) {
		views[i].LastMessage, err = scanEvent(r, entries[i].Conversation)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read last messages: %w", err)
	}
	return views, nil
}

// Conversations implements repo.Store.
func (s *Store) Conversations(ctx context.Context, r *repopb.GetConversationsRequest) (*repopb.GetConversationsResponse, error) {
	if r.GetLimit() < 1 || r.GetLimit() > maxPage {
		return nil, errs.InvalidField("limit", "must be 1 to %d", maxPage)
	}
	var behind Place // the list's begin
	if r.GetBeforeUpdatedAt() != 0 {
		behind = Place{r.GetBeforeUpdatedAt(), r.GetBeforeId()}
	}
	entries, more, err := s.engine.Page(ctx, r.GetUserId(), behind, int(r.GetLimit()))
	if err != nil {
		return nil, err
	}
	resp := &repopb.GetConversationsResponse{HasMore: more}
	err = s.engine.ReadLists(ctx, func(q Conn) (err error) {
		resp.Conversations, err = viewsOf(q, entries)
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// UpdateConversation implements repo.Store.
func (s *Store) UpdateConversation(ctx context.Context, r *repopb.UpdateConversationRequest) (*repopb.ConversationView, error) {
	err := s.engine.Write(ctx, func(t *Tx) error {
		c, err := t.conversation(r.GetConversationId())
		if err != nil {
			return fmt.Errorf("read conversation: %w", err)
		}
		if c == nil {
			return errNoConversation
		}
		m, err := t.member(c.ID, r.GetUserId())
		if err != nil {
			return fmt.Errorf("read member: %w", err)
		}
		if !m.active() {
			return errNoConversation
		}
		if r.Muted != nil {
			m.Silent = r.GetMuted()
		}
		if r.Pinned != nil {
			m.Pinned = r.GetPinned()
		}
		return t.saveMembers(m)
	})
	if err != nil {
		return nil, err
	}
	return s.Conversation(ctx, &repopb.GetConversationRequest{ConversationId: r.GetConversationId(), UserId: r.GetUserId()})
}

// Unread implements repo.Store.
func (s *Store) Unread(ctx context.Context, userID int64) (*repopb.GetUnreadResponse, error) {
	entries, err := s.engine.Overview(ctx, userID)
	if err != nil {
		return nil, err
	}
	resp := &repopb.GetUnreadResponse{}
	for i := range entries {
		m, c := entries[i].Member, entries[i].Conversation
		if n := m.unread(c); n > 0 {
			resp.Total += n
			resp.Conversations = append(resp.Conversations, &repopb.UnreadCount{ConversationId: c.ID, Unread: n, LastSeq: c.LastSeq, ReadSeq: m.ReadSeq})
		}
	}
	slices.SortFunc(resp.GetConversations(), func(a, b *repopb.UnreadCount) int { return cmp.Compare(a.GetConversationId(), b.GetConversationId()) })
	return resp, nil
}
