package logic

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

// GetUserProfile implements LogicService.
func (s *Service) GetUserProfile(ctx context.Context, r *logicpb.GetUserProfileRequest) (*repopb.User, error) {
	user, err := s.repo.GetUser(ctx, &repopb.GetUserRequest{Id: r.GetUserId()})
	if err != nil {
		return nil, err
	}
	if r.GetUserId() == r.GetActorId() {
		return user, nil
	}
	return publicUser(user), nil
}

// publicUser is a user as others see it.
func publicUser(u *repopb.User) *repopb.User {
	if u.GetEmail() == "" {
		return u
	}
	public, _ := proto.Clone(u).(*repopb.User)
	public.Email = ""
	return public
}

// SearchUsers implements LogicService.
func (s *Service) SearchUsers(ctx context.Context, r *logicpb.SearchUsersRequest) (*logicpb.SearchUsersResponse, error) {
	if err := checkText("query", r.GetQuery(), 1, maxNickname, false); err != nil {
		return nil, err
	}
	limit, err := pageLimit(r.GetLimit())
	if err != nil {
		return nil, err
	}
	found, err := s.repo.SearchUsers(ctx, &repopb.SearchUsersRequest{Prefix: r.GetQuery(), AfterUsername: r.GetAfterUsername(), Limit: limit + 1})
	if err != nil {
		return nil, err
	}
	users := found.GetUsers()
	resp := &logicpb.SearchUsersResponse{HasMore: len(users) > int(limit)}
	for _, u := range users[:min(len(users), int(limit))] {
		resp.Users = append(resp.Users, publicUser(u))
	}
	return resp, nil
}

// UpdateUserProfile implements LogicService.
func (s *Service) UpdateUserProfile(ctx context.Context, r *logicpb.UpdateUserProfileRequest) (*repopb.User, error) {
	if err := checkText("nickname", r.GetNickname(), 0, maxNickname, false); err != nil {
		return nil, err
	}
	if err := checkAvatar(r.GetAvatar()); err != nil {
		return nil, err
	}
	if err := checkEmail(r.GetEmail()); err != nil {
		return nil, err
	}
	return s.repo.UpdateUser(ctx, &repopb.UpdateUserRequest{Id: r.GetUserId(), Nickname: r.Nickname, Avatar: r.Avatar, Email: r.Email})
}

func checkAvatar(avatar string) error {
	if len(avatar) > maxAvatar {
		return errs.InvalidField("avatar", "must be at most %d bytes", maxAvatar)
	}
	return checkText("avatar", avatar, 0, maxAvatar, false)
}
