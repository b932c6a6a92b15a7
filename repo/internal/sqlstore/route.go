package sqlite

import (
	"context"
	"fmt"

	"github.com/gochat-im/gochat/repo/repopb"
)

const (
	routeQuery       = "SELECT user_id FROM members WHERE conversation_id = ? AND left_at = 0 ORDER BY user_id"
	largeGroupsQuery = "SELECT m.conversation_id FROM members m JOIN conversations c ON c.id = m.conversation_id WHERE m.user_id = ? AND m.left_at = 0 AND c.is_large = 1"
)

// Routes implements repo.Store.
func (s *Store) Routes(ctx context.Context, conversationIDs []int64) (map[int64]*repopb.Route, error) {
	routes := make(map[int64]*repopb.Route, len(conversationIDs))
	err := s.read(ctx, func(q *conn) error {
		for _, id := range conversationIDs {
			c, found, err := loadConversation(q, id)
			if err != nil {
				return fmt.Errorf("read conversation: %w", err)
			}
			if !found {
				continue
			}
			route := &repopb.Route{ConversationId: id, Type: c.kind, Large: c.large}
			routes[id] = route
			if c.large {
				continue
			}
			if err := q.query(routeQuery, func(r *stmt) error {
				route.MemberIds = append(route.MemberIds, r.int64(0))
				return nil
			}, id); err != nil {
				return fmt.Errorf("read members: %w", err)
			}
		}
		return nil
	})
	return routes, err
}

// LargeGroups implements repo.Store.
func (s *Store) LargeGroups(ctx context.Context, userID int64) ([]int64, error) {
	var ids []int64
	err := s.read(ctx, func(q *conn) error {
		ids = nil
		return q.query(largeGroupsQuery, func(r *stmt) error {
			ids = append(ids, r.int64(0))
			return nil
		}, userID)
	})
	return ids, err
}

// Sender is a user in a conversation.
type Sender = struct{ ConversationID, UserID int64 }

// Senders implements repo.Store.
func (s *Store) Senders(ctx context.Context, of []Sender) (map[Sender]*repopb.SenderState, error) {
	states := make(map[Sender]*repopb.SenderState, len(of))
	err := s.read(ctx, func(q *conn) error {
		for _, key := range of {
			m, found, err := loadMember(q, key.ConversationID, key.UserID)
			if err != nil {
				return fmt.Errorf("read member: %w", err)
			}
			state := &repopb.SenderState{}
			states[key] = state
			if !found || !m.active() {
				continue
			}
			c, _, err := loadConversation(q, key.ConversationID)
			if err != nil {
				return fmt.Errorf("read conversation: %w", err)
			}
			state.Member, state.Role, state.MutedUntil = true, m.role, m.mutedUntil
			state.Dissolved, state.Type, state.Large, state.PeerId = c.dissolvedAt != 0, c.kind, c.large, c.peerOf(key.UserID)
		}
		return nil
	})
	return states, err
}
