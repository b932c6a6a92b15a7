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
		for _, user := range []int64{low, high} {
			if err := t.join(c, user, repopb.Role_ROLE_MEMBER); err != nil {
				return err
			}
		}
		return nil
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
		view, err = viewOf(q, Entry{Member: m, Conversation: c})
		return err
	})
	if err != nil {
		return nil, err
	}
	return view, nil
}

// activity is the time of a conversation's last event, or of its birth.
func (c *Conversation) activity() int64 { return max(c.UpdatedAt, c.CreatedAt) }

// viewOf is a conversation as its member sees it, with the newest entry that they did not hide.
func viewOf(q Conn, e Entry) (*repopb.ConversationView, error) {
	c := &e.Conversation
	view := &repopb.ConversationView{
		Conversation: &repopb.Conversation{
			Id: c.ID, Type: c.Kind, Name: c.Name, Avatar: c.Avatar, LastSeq: c.LastSeq, UpdatedAt: c.activity(), CreatedAt: c.CreatedAt, DissolvedAt: c.DissolvedAt,
		},
		PeerId: c.peerOf(e.Member.UserID), Role: e.Member.Role, ReadSeq: e.Member.ReadSeq, Unread: e.Member.unread(c), Muted: e.Member.Silent, Pinned: e.Member.Pinned, JoinedAt: e.Member.JoinedAt,
	}
	last, err := readEvents(q, c, ShownBefore, c.ShownSeq+1, e.Member.UserID, 1)
	if err != nil {
		return nil, err
	}
	if len(last) == 1 {
		view.LastMessage = last[0]
	}
	return view, nil
}

// Conversations implements repo.Store.
func (s *Store) Conversations(ctx context.Context, r *repopb.GetConversationsRequest) (*repopb.GetConversationsResponse, error) {
	if r.GetLimit() < 1 || r.GetLimit() > maxPage {
		return nil, errs.InvalidField("limit", "must be 1 to %d", maxPage)
	}
	entries, err := s.engine.Overview(ctx, r.GetUserId())
	if err != nil {
		return nil, err
	}
	if r.GetBeforeUpdatedAt() != 0 {
		entries = slices.DeleteFunc(entries, func(e Entry) bool {
			return cmp.Or(cmp.Compare(e.Conversation.activity(), r.GetBeforeUpdatedAt()), cmp.Compare(e.Conversation.ID, r.GetBeforeId())) >= 0
		})
	}
	order := make([]int, len(entries)) // an entry is Large: its place is sorted instead
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		a, b := &entries[i].Conversation, &entries[j].Conversation
		return cmp.Or(cmp.Compare(b.activity(), a.activity()), cmp.Compare(b.ID, a.ID))
	})
	resp := &repopb.GetConversationsResponse{HasMore: len(order) > int(r.GetLimit())}
	err = s.engine.ReadLists(ctx, func(q Conn) error {
		resp.Conversations = resp.Conversations[:0]
		for _, i := range order[:min(len(order), int(r.GetLimit()))] {
			view, err := viewOf(q, entries[i])
			if err != nil {
				return err
			}
			resp.Conversations = append(resp.Conversations, view)
		}
		return nil
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
		return t.saveMember(m)
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
		m, c := &entries[i].Member, &entries[i].Conversation
		if n := m.unread(c); n > 0 {
			resp.Total += n
			resp.Conversations = append(resp.Conversations, &repopb.UnreadCount{ConversationId: c.ID, Unread: n, LastSeq: c.LastSeq, ReadSeq: m.ReadSeq})
		}
	}
	slices.SortFunc(resp.GetConversations(), func(a, b *repopb.UnreadCount) int { return cmp.Compare(a.GetConversationId(), b.GetConversationId()) })
	return resp, nil
}
