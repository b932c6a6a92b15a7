package logic

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

// CreateConversation implements LogicService.
func (s *Service) CreateConversation(ctx context.Context, r *logicpb.CreateConversationRequest) (*logicpb.CreateConversationResponse, error) {
	if r.GetPeerId() == r.GetUserId() {
		return nil, errs.InvalidField("peer_user_id", "must be another user")
	}
	peer, err := s.repo.GetUser(ctx, &repopb.GetUserRequest{Id: r.GetPeerId()})
	if err != nil {
		return nil, err
	}
	if peer.GetStatus() != repopb.UserStatus_USER_STATUS_ACTIVE {
		return nil, errs.New(errs.NotFound, "no such user")
	}
	created, err := s.repo.CreateConversation(ctx, &repopb.CreateConversationRequest{UserId: r.GetUserId(), PeerId: r.GetPeerId()})
	if err != nil {
		return nil, err
	}
	view, err := s.named(ctx, created.GetConversation())
	if err != nil {
		return nil, err
	}
	return &logicpb.CreateConversationResponse{Conversation: view, Created: created.GetCreated()}, nil
}

// GetConversation implements LogicService.
func (s *Service) GetConversation(ctx context.Context, r *repopb.GetConversationRequest) (*repopb.ConversationView, error) {
	view, err := s.repo.GetConversation(ctx, r)
	if err != nil {
		return nil, err
	}
	return s.named(ctx, view)
}

// GetConversations implements LogicService.
func (s *Service) GetConversations(ctx context.Context, r *repopb.GetConversationsRequest) (*logicpb.GetConversationsResponse, error) {
	limit, err := pageLimit(r.GetLimit())
	if err != nil {
		return nil, err
	}
	page, err := s.repo.GetConversations(ctx, &repopb.GetConversationsRequest{
		UserId: r.GetUserId(), BeforeUpdatedAt: r.GetBeforeUpdatedAt(), BeforeId: r.GetBeforeId(), Limit: limit,
	})
	if err != nil {
		return nil, err
	}
	views, err := s.namedAll(ctx, page.GetConversations())
	if err != nil {
		return nil, err
	}
	return &logicpb.GetConversationsResponse{Conversations: views, HasMore: page.GetHasMore()}, nil
}

// UpdateConversation implements LogicService.
func (s *Service) UpdateConversation(ctx context.Context, r *logicpb.UpdateConversationRequest) (*repopb.ConversationView, error) {
	request := &repopb.GetConversationRequest{ConversationId: r.GetConversationId(), UserId: r.GetUserId()}
	view, err := s.repo.GetConversation(ctx, request)
	if err != nil {
		return nil, err
	}
	if r.Name != nil || r.Avatar != nil {
		if view.GetConversation().GetType() != repopb.ConversationType_CONVERSATION_TYPE_GROUP {
			field := "name"
			if r.Name == nil {
				field = "avatar"
			}
			return nil, errs.InvalidField(field, "a one-to-one conversation takes its name and avatar from its peer")
		}
		if _, err := s.UpdateGroup(ctx, &repopb.UpdateGroupRequest{
			GroupId: r.GetConversationId(), ActorId: r.GetUserId(), Name: r.Name, Avatar: r.Avatar,
		}); err != nil {
			return nil, err
		}
	}
	if r.Muted != nil || r.Pinned != nil {
		if _, err := s.repo.UpdateConversation(ctx, &repopb.UpdateConversationRequest{
			ConversationId: r.GetConversationId(), UserId: r.GetUserId(), Muted: r.Muted, Pinned: r.Pinned,
		}); err != nil {
			return nil, err
		}
	}
	return s.GetConversation(ctx, request)
}

// GetLargeGroups implements LogicService.
func (s *Service) GetLargeGroups(ctx context.Context, r *repopb.GetLargeGroupsRequest) (*repopb.GetLargeGroupsResponse, error) {
	return s.repo.GetLargeGroups(ctx, r)
}

func (s *Service) named(ctx context.Context, view *repopb.ConversationView) (*repopb.ConversationView, error) {
	views, err := s.namedAll(ctx, []*repopb.ConversationView{view})
	if err != nil {
		return nil, err
	}
	return views[0], nil
}

// namedAll gives one-to-one conversations the name and avatar of their peer. What repo returned is shared: a named view
// is a copy.
func (s *Service) namedAll(ctx context.Context, views []*repopb.ConversationView) ([]*repopb.ConversationView, error) {
	var peers []int64
	for _, v := range views {
		if v.GetPeerId() != 0 {
			peers = append(peers, v.GetPeerId())
		}
	}
	if len(peers) == 0 {
		return views, nil
	}
	found, err := s.repo.GetUsers(ctx, &repopb.GetUsersRequest{Ids: peers})
	if err != nil {
		return nil, err
	}
	users := make(map[int64]*repopb.User, len(found.GetUsers()))
	for _, u := range found.GetUsers() {
		users[u.GetId()] = u
	}
	named := make([]*repopb.ConversationView, len(views))
	for i, v := range views {
		peer := users[v.GetPeerId()]
		if peer == nil {
			named[i] = v
			continue
		}
		view, _ := proto.Clone(v).(*repopb.ConversationView)
		view.Conversation.Name, view.Conversation.Avatar = peer.GetNickname(), peer.GetAvatar()
		if view.Conversation.Name == "" {
			view.Conversation.Name = peer.GetUsername()
		}
		named[i] = view
	}
	return named, nil
}
