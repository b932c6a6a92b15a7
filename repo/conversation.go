package repo

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

// CreateConversation implements RepoService.
func (s *Service) CreateConversation(ctx context.Context, r *repopb.CreateConversationRequest) (*repopb.CreateConversationResponse, error) {
	created, err := s.store.CreateConversation(ctx, r)
	id := created.GetConversation().GetConversation().GetId()
	return created, errors.Join(err, s.forgetMembers(ctx, id, r.GetUserId(), r.GetPeerId()))
}

// forgetMembers forgets what depends on who the members of a conversation are and what they may do.
func (s *Service) forgetMembers(ctx context.Context, conversationID int64, userIDs ...int64) error {
	keys := make([]Sender, len(userIDs))
	for i, u := range userIDs {
		keys[i] = Sender{ConversationID: conversationID, UserID: u}
	}
	return errors.Join(forget(ctx, s.senders, keys...), forget(ctx, s.routes, conversationID))
}

// GetConversation implements RepoService.
func (s *Service) GetConversation(ctx context.Context, r *repopb.GetConversationRequest) (*repopb.ConversationView, error) {
	return s.store.Conversation(ctx, r)
}

// GetConversations implements RepoService.
func (s *Service) GetConversations(ctx context.Context, r *repopb.GetConversationsRequest) (*repopb.GetConversationsResponse, error) {
	return s.store.Conversations(ctx, r)
}

// UpdateConversation implements RepoService.
func (s *Service) UpdateConversation(ctx context.Context, r *repopb.UpdateConversationRequest) (*repopb.ConversationView, error) {
	return s.store.UpdateConversation(ctx, r)
}

// GetUnread implements RepoService.
func (s *Service) GetUnread(ctx context.Context, r *repopb.GetUnreadRequest) (*repopb.GetUnreadResponse, error) {
	return s.store.Unread(ctx, r.GetUserId())
}

// GetRoutes implements RepoService.
func (s *Service) GetRoutes(ctx context.Context, r *repopb.GetRoutesRequest) (*repopb.GetRoutesResponse, error) {
	routes, err := s.routesOf(ctx, r.GetConversationIds(), r.GetMembersSeqs())
	return &repopb.GetRoutesResponse{Routes: routes}, err
}

// routesOf returns routes that know of the membership changes up to least. What is cached is older between another
// call's commit and its invalidation, whichever process makes it: such a route is read anew.
func (s *Service) routesOf(ctx context.Context, ids []int64, least map[int64]int64) ([]*repopb.Route, error) {
	found, err := s.routes.GetMany(ctx, ids, s.store.Routes)
	if err != nil {
		return nil, err
	}
	routes := make([]*repopb.Route, 0, len(found))
	var stale []int64
	for id, route := range found {
		if route.GetMembersSeq() < least[id] {
			stale = append(stale, id)
			continue
		}
		routes = append(routes, route)
	}
	if len(stale) == 0 {
		return routes, nil
	}
	if err := forget(ctx, s.routes, stale...); err != nil {
		return nil, err
	}
	fresh, err := s.store.Routes(ctx, stale)
	if err != nil {
		return nil, err
	}
	return slices.AppendSeq(routes, maps.Values(fresh)), nil
}

// GetLargeGroups implements RepoService.
func (s *Service) GetLargeGroups(ctx context.Context, r *repopb.GetLargeGroupsRequest) (*repopb.GetLargeGroupsResponse, error) {
	ids, err := s.store.LargeGroups(ctx, r.GetUserId())
	return &repopb.GetLargeGroupsResponse{ConversationIds: ids}, err
}

// CheckSenders implements RepoService. It answers from the caches: a member's rights are forgotten when they change, a
// dissolved group is only as fresh as the entry, so the store checks it again in the message's transaction.
func (s *Service) CheckSenders(ctx context.Context, r *repopb.CheckSendersRequest) (*repopb.CheckSendersResponse, error) {
	states := make([]repopb.SenderState, len(r.GetSenders()))
	resp := &repopb.CheckSendersResponse{Senders: make([]*repopb.SenderState, len(states))}
	for i, sender := range r.GetSenders() {
		cached, err := s.senders.Get(ctx, Sender{ConversationID: sender.GetConversationId(), UserID: sender.GetUserId()}, s.sender)
		if err != nil {
			return nil, err
		}
		user, err := s.user(ctx, sender.GetUserId())
		if err != nil && errs.CodeOf(err) != errs.NotFound {
			return nil, err
		}
		state := &states[i]
		state.Member, state.Role, state.MutedUntil, state.Dissolved = cached.GetMember(), cached.GetRole(), cached.GetMutedUntil(), cached.GetDissolved()
		state.Type, state.Large, state.PeerId = cached.GetType(), cached.GetLarge(), cached.GetPeerId()
		state.Active = user.GetStatus() == repopb.UserStatus_USER_STATUS_ACTIVE
		resp.Senders[i] = state
	}
	return resp, nil
}

// sender loads what the senders' cache keeps of one user in one conversation.
func (s *Service) sender(ctx context.Context, key Sender) (*repopb.SenderState, error) {
	found, err := s.store.Senders(ctx, []Sender{key})
	if err != nil {
		return nil, err
	}
	if state, ok := found[key]; ok {
		return state, nil
	}
	return &repopb.SenderState{}, nil
}
