package sqlite

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
	err := s.write(ctx, func(t *tx) error {
		var err error
		created = false
		var found bool
		id, found, err = t.queryInt("SELECT id FROM conversations WHERE type = 1 AND low_id = ? AND high_id = ?", low, high)
		if err != nil || found {
			return err
		}
		if low == high {
			return errs.InvalidField("peer_user_id", "must be another user")
		}
		for _, user := range []int64{low, high} {
			if _, found, err := t.queryInt("SELECT 1 FROM users WHERE id = ?", user); err != nil || !found {
				return orNoUser(err)
			}
		}
		if id, err = t.freeID("conversations"); err != nil {
			return err
		}
		created = true
		c := &conversation{id: id, kind: repopb.ConversationType_CONVERSATION_TYPE_SINGLE, createdAt: t.now}
		c.side[0].userID, c.side[1].userID = low, high
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
	err := s.read(ctx, func(q *conn) error {
		m, found, err := loadMember(q, r.GetConversationId(), r.GetUserId())
		if err != nil {
			return fmt.Errorf("read member: %w", err)
		}
		if !found || !m.active() {
			return errNoConversation
		}
		// From the snapshot of the member's row, so that the unread count is exact.
		c, _, err := loadConversation(q, r.GetConversationId())
		if err != nil {
			return fmt.Errorf("read conversation: %w", err)
		}
		view, err = viewOf(q, entry{m, c})
		return err
	})
	if err != nil {
		return nil, err
	}
	return view, nil
}

// activity is the time of a conversation's last event, or of its birth.
func (c *conversation) activity() int64 { return max(c.updatedAt, c.createdAt) }

// viewOf is a conversation as its member sees it, with the newest entry that they did not hide.
func viewOf(q *conn, e entry) (*repopb.ConversationView, error) {
	c := &e.c
	view := &repopb.ConversationView{
		Conversation: &repopb.Conversation{
			Id: c.id, Type: c.kind, Name: c.name, Avatar: c.avatar, LastSeq: c.lastSeq, UpdatedAt: c.activity(), CreatedAt: c.createdAt, DissolvedAt: c.dissolvedAt,
		},
		PeerId: c.peerOf(e.m.userID), Role: e.m.role, ReadSeq: e.m.readSeq, Unread: e.m.unread(c), Muted: e.m.silent, Pinned: e.m.pinned, JoinedAt: e.m.joinedAt,
	}
	last, err := readEvents(q, c, shownBefore, c.shownSeq+1, e.m.userID, 1)
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
	entries, err := s.overview(ctx, r.GetUserId())
	if err != nil {
		return nil, err
	}
	if r.GetBeforeUpdatedAt() != 0 {
		entries = slices.DeleteFunc(entries, func(e entry) bool {
			return cmp.Or(cmp.Compare(e.c.activity(), r.GetBeforeUpdatedAt()), cmp.Compare(e.c.id, r.GetBeforeId())) >= 0
		})
	}
	order := make([]int, len(entries)) // an entry is large: its place is sorted instead
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		a, b := &entries[i].c, &entries[j].c
		return cmp.Or(cmp.Compare(b.activity(), a.activity()), cmp.Compare(b.id, a.id))
	})
	resp := &repopb.GetConversationsResponse{HasMore: len(order) > int(r.GetLimit())}
	err = s.read(ctx, func(q *conn) error {
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
	err := s.write(ctx, func(t *tx) error {
		c, err := t.conversation(r.GetConversationId())
		if err != nil {
			return fmt.Errorf("read conversation: %w", err)
		}
		if c == nil {
			return errNoConversation
		}
		m, err := t.member(c.id, r.GetUserId())
		if err != nil {
			return fmt.Errorf("read member: %w", err)
		}
		if !m.active() {
			return errNoConversation
		}
		if r.Muted != nil {
			m.silent = r.GetMuted()
		}
		if r.Pinned != nil {
			m.pinned = r.GetPinned()
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
	entries, err := s.overview(ctx, userID)
	if err != nil {
		return nil, err
	}
	resp := &repopb.GetUnreadResponse{}
	for i := range entries {
		m, c := &entries[i].m, &entries[i].c
		if n := m.unread(c); n > 0 {
			resp.Total += n
			resp.Conversations = append(resp.Conversations, &repopb.UnreadCount{ConversationId: c.id, Unread: n, LastSeq: c.lastSeq, ReadSeq: m.readSeq})
		}
	}
	slices.SortFunc(resp.GetConversations(), func(a, b *repopb.UnreadCount) int { return cmp.Compare(a.GetConversationId(), b.GetConversationId()) })
	return resp, nil
}
