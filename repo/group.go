package repo

import (
	"context"
	"errors"
	"slices"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

// maxUsersPerChange bounds how many users one call adds: they stand in its one event.
const maxUsersPerChange = 1000

// changed forgets what a change of a group touched: its card, and the rights of the users concerned.
func (s *Service) changed(ctx context.Context, groupID int64, change *repopb.GroupChange, err error, userIDs ...int64) (*repopb.GroupChange, error) {
	users := append(slices.Clone(userIDs), change.GetAddedUserIds()...)
	users = append(users, change.GetRemovedUserIds()...)
	return change, errors.Join(err, s.forgetMembers(ctx, groupID, users...), forget(ctx, s.groups, groupID))
}

// CreateGroup implements RepoService.
func (s *Service) CreateGroup(ctx context.Context, r *repopb.CreateGroupRequest) (*repopb.CreateGroupResponse, error) {
	g := r.GetGroup()
	if err := errors.Join(
		checkName(g.GetName()), checkMaxMembers(g.GetMaxMembers()), checkJoinPolicy(g.GetJoinPolicy()), checkUserIDs("member_ids", r.GetMemberIds()),
	); err != nil {
		return nil, err
	}
	created, err := s.store.CreateGroup(ctx, r)
	_, err = s.changed(ctx, created.GetChange().GetGroup().GetId(), created.GetChange(), err)
	return created, err
}

// GetGroup implements RepoService.
func (s *Service) GetGroup(ctx context.Context, r *repopb.GetGroupRequest) (*repopb.Group, error) {
	card, err := s.groups.Get(ctx, r.GetGroupId(), func(ctx context.Context, id int64) (*repopb.Group, error) {
		return s.store.Group(ctx, &repopb.GetGroupRequest{GroupId: id})
	})
	if err != nil {
		return nil, err
	}
	mine, err := s.senders.Get(ctx, Sender{ConversationID: r.GetGroupId(), UserID: r.GetUserId()}, s.sender)
	if err != nil {
		return nil, err
	}
	if card.GetDissolvedAt() != 0 && !mine.GetMember() {
		return nil, errs.New(errs.NotFound, "no such group")
	}
	seen := &repopb.Group{
		Id: card.GetId(), Name: card.GetName(), Description: card.GetDescription(), Avatar: card.GetAvatar(), OwnerId: card.GetOwnerId(),
		MaxMembers: card.GetMaxMembers(), MemberCount: card.GetMemberCount(), JoinPolicy: card.GetJoinPolicy(),
		CreatedAt: card.GetCreatedAt(), DissolvedAt: card.GetDissolvedAt(),
	}
	if mine.GetMember() {
		seen.MyRole = mine.GetRole()
	}
	return seen, nil
}

// UpdateGroup implements RepoService.
func (s *Service) UpdateGroup(ctx context.Context, r *repopb.UpdateGroupRequest) (*repopb.GroupChange, error) {
	var bad error
	if r.Name != nil {
		bad = errors.Join(bad, checkName(r.GetName()))
	}
	if r.MaxMembers != nil {
		bad = errors.Join(bad, checkMaxMembers(r.GetMaxMembers()))
	}
	if r.JoinPolicy != nil {
		bad = errors.Join(bad, checkJoinPolicy(r.GetJoinPolicy()))
	}
	if bad != nil {
		return nil, bad
	}
	change, err := s.store.UpdateGroup(ctx, r)
	return s.changed(ctx, r.GetGroupId(), change, err)
}

// DissolveGroup implements RepoService.
func (s *Service) DissolveGroup(ctx context.Context, r *repopb.DissolveGroupRequest) (*repopb.GroupChange, error) {
	change, err := s.store.DissolveGroup(ctx, r)
	return s.changed(ctx, r.GetGroupId(), change, err, r.GetActorId())
}

// AddGroupMember implements RepoService.
func (s *Service) AddGroupMember(ctx context.Context, r *repopb.AddGroupMemberRequest) (*repopb.GroupChange, error) {
	if len(r.GetUserIds()) == 0 {
		return nil, errs.InvalidField("user_ids", "must not be empty")
	}
	if err := checkUserIDs("user_ids", r.GetUserIds()); err != nil {
		return nil, err
	}
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
	switch {
	case (r.Role == nil) == (r.MutedUntil == nil):
		return nil, errs.New(errs.Invalid, "either role or muted_until must be given: one change makes one event")
	case r.Role != nil && r.GetRole() != repopb.Role_ROLE_MEMBER && r.GetRole() != repopb.Role_ROLE_ADMIN:
		return nil, errs.InvalidField("role", "must be member or admin")
	case r.GetMutedUntil() < 0:
		return nil, errs.InvalidField("muted_until", "must not be negative")
	}
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
	if err := checkLimit(r.GetLimit()); err != nil {
		return nil, err
	}
	return s.store.GroupMembers(ctx, r)
}

// CreateJoinRequest implements RepoService.
func (s *Service) CreateJoinRequest(ctx context.Context, r *repopb.CreateJoinRequestRequest) (*repopb.Empty, error) {
	return empty(s.store.CreateJoinRequest(ctx, r))
}

// ListJoinRequests implements RepoService.
func (s *Service) ListJoinRequests(ctx context.Context, r *repopb.ListJoinRequestsRequest) (*repopb.ListJoinRequestsResponse, error) {
	if err := checkLimit(r.GetLimit()); err != nil {
		return nil, err
	}
	return s.store.JoinRequests(ctx, r)
}

// DecideJoinRequest implements RepoService.
func (s *Service) DecideJoinRequest(ctx context.Context, r *repopb.DecideJoinRequestRequest) (*repopb.GroupChange, error) {
	change, err := s.store.DecideJoinRequest(ctx, r)
	return s.changed(ctx, r.GetGroupId(), change, err, r.GetUserId())
}

// maxMembers is the size that groups are built for.
const maxMembers = 100_000

func checkMaxMembers(n int32) error {
	if n < 1 || n > maxMembers {
		return errs.InvalidField("max_members", "must be 1 to %d", maxMembers)
	}
	return nil
}

func checkName(name string) error {
	if name == "" {
		return errs.InvalidField("name", "must not be empty")
	}
	return nil
}

func checkJoinPolicy(p repopb.JoinPolicy) error {
	if p < repopb.JoinPolicy_JOIN_POLICY_OPEN || p > repopb.JoinPolicy_JOIN_POLICY_INVITE {
		return errs.InvalidField("join_policy", "must be open, approval or invite")
	}
	return nil
}

func checkUserIDs(field string, ids []int64) error {
	if len(ids) > maxUsersPerChange {
		return errs.InvalidField(field, "must be at most %d users", maxUsersPerChange)
	}
	if slices.ContainsFunc(ids, func(id int64) bool { return id <= 0 }) {
		return errs.InvalidField(field, "must be ids of users")
	}
	return nil
}

// maxLimit is the longest page of the lists of groups and jobs.
const maxLimit = 10_000

func checkLimit(n int32) error {
	if n < 1 || n > maxLimit {
		return errs.InvalidField("limit", "must be 1 to %d", maxLimit)
	}
	return nil
}
