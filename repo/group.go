package repo

import (
	"context"
	"errors"

	"github.com/gochat-im/gochat/repo/repopb"
)

// changed forgets what a change of a group's members touched.
func (s *Service) changed(ctx context.Context, groupID int64, change *repopb.GroupChange, err error, userIDs ...int64) (*repopb.GroupChange, error) {
	users := append(userIDs, change.GetAddedUserIds()...)
	users = append(users, change.GetRemovedUserIds()...)
	return change, errors.Join(err, s.forgetMembers(ctx, groupID, users...))
}

// CreateGroup implements RepoService.
func (s *Service) CreateGroup(ctx context.Context, r *repopb.CreateGroupRequest) (*repopb.CreateGroupResponse, error) {
	return s.store.CreateGroup(ctx, r)
}

// GetGroup implements RepoService.
func (s *Service) GetGroup(ctx context.Context, r *repopb.GetGroupRequest) (*repopb.Group, error) {
	return s.store.Group(ctx, r)
}

// UpdateGroup implements RepoService.
func (s *Service) UpdateGroup(ctx context.Context, r *repopb.UpdateGroupRequest) (*repopb.GroupChange, error) {
	return s.store.UpdateGroup(ctx, r)
}

// DissolveGroup implements RepoService.
func (s *Service) DissolveGroup(ctx context.Context, r *repopb.DissolveGroupRequest) (*repopb.GroupChange, error) {
	change, err := s.store.DissolveGroup(ctx, r)
	return s.changed(ctx, r.GetGroupId(), change, err, r.GetActorId())
}

// AddGroupMember implements RepoService.
func (s *Service) AddGroupMember(ctx context.Context, r *repopb.AddGroupMemberRequest) (*repopb.GroupChange, error) {
	change, err := s.store.AddGroupMember(ctx, r)
	return s.changed(ctx, r.GetGroupId(), change, err, r.GetUserIds()...)
}

// RemoveGroupMember implements RepoService.
func (s *Service) RemoveGroupMember(ctx context.Context, r *repopb.RemoveGroupMemberRequest) (*repopb.GroupChange, error) {
	change, err := s.store.RemoveGroupMember(ctx, r)
	return s.changed(ctx, r.GetGroupId(), change, err, r.GetUserId())
}

// UpdateGroupMember implements RepoService.
func (s *Service) UpdateGroupMember(ctx context.Context, r *repopb.UpdateGroupMemberRequest) (*repopb.GroupChange, error) {
	change, err := s.store.UpdateGroupMember(ctx, r)
	return s.changed(ctx, r.GetGroupId(), change, err, r.GetUserId())
}

// TransferGroup implements RepoService.
func (s *Service) TransferGroup(ctx context.Context, r *repopb.TransferGroupRequest) (*repopb.GroupChange, error) {
	change, err := s.store.TransferGroup(ctx, r)
	return s.changed(ctx, r.GetGroupId(), change, err, r.GetActorId(), r.GetUserId())
}

// GetGroupMembers implements RepoService.
func (s *Service) GetGroupMembers(ctx context.Context, r *repopb.GetGroupMembersRequest) (*repopb.GetGroupMembersResponse, error) {
	return s.store.GroupMembers(ctx, r)
}

// CreateJoinRequest implements RepoService.
func (s *Service) CreateJoinRequest(ctx context.Context, r *repopb.CreateJoinRequestRequest) (*repopb.Empty, error) {
	return empty(s.store.CreateJoinRequest(ctx, r))
}

// ListJoinRequests implements RepoService.
func (s *Service) ListJoinRequests(ctx context.Context, r *repopb.ListJoinRequestsRequest) (*repopb.ListJoinRequestsResponse, error) {
	return s.store.JoinRequests(ctx, r)
}

// DecideJoinRequest implements RepoService.
func (s *Service) DecideJoinRequest(ctx context.Context, r *repopb.DecideJoinRequestRequest) (*repopb.GroupChange, error) {
	change, err := s.store.DecideJoinRequest(ctx, r)
	return s.changed(ctx, r.GetGroupId(), change, err, r.GetUserId())
}
