package sqlstore

import (
	"context"
	"fmt"

	"github.com/gochat-im/gochat/repo/repopb"
)

const (
	RouteQuery       = "SELECT user_id FROM members WHERE conversation_id = ? AND left_at = 0 ORDER BY user_id"
	LargeGroupsQuery = "SELECT m.conversation_id FROM members m JOIN conversations c ON c.ID = m.conversation_id WHERE m.user_id = ? AND m.left_at = 0 AND c.is_large = 1"
)

// Routes implements repo.Store.
func (s *Store) Routes(ctx context.Context, conversationIDs []int64) (map[int64]*repopb.Route, error) {
	routes := make(map[int64]*repopb.Route, len(conversationIDs))
	err := s.engine.Read(ctx, func(q Conn) error {
		for _, id := range conversationIDs {
			c, found, err := LoadConversation(q, id)
			if err != nil {
				return fmt.Errorf("read conversation: %w", err)
			}
			if !found {
				continue
			}
			route := &repopb.Route{ConversationId: id, Type: c.Kind, Large: c.Large, MembersSeq: c.MembersSeq}
			routes[id] = route
			if c.Large {
				continue
			}
			if err := q.Query(RouteQuery, func(r Row) error {
				route.MemberIds = append(route.MemberIds, r.Int64(0))
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
	err := s.engine.Read(ctx, func(q Conn) error {
		ids = nil
		return q.Query(LargeGroupsQuery, func(r Row) error {
			ids = append(ids, r.Int64(0))
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
	err := s.engine.Read(ctx, func(q Conn) error {
		for _, key := range of {
			m, found, err := LoadMember(q, key.ConversationID, key.UserID)
			if err != nil {
				return fmt.Errorf("read member: %w", err)
			}
			state := &repopb.SenderState{}
			states[key] = state
			if !found || !m.active() {
				continue
			}
			c, _, err := LoadConversation(q, key.ConversationID)
			if err != nil {
				return fmt.Errorf("read conversation: %w", err)
			}
			state.Member, state.Role, state.MutedUntil = true, m.Role, m.MutedUntil
			state.Dissolved, state.Type, state.Large, state.PeerId = c.DissolvedAt != 0, c.Kind, c.Large, c.peerOf(key.UserID)
		}
		return nil
	})
	return states, err
}
