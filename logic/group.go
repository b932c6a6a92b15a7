package logic

import (
	"context"
	"slices"
	"strings"

	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/id"
	"github.com/gochat-im/gochat/repo/repopb"
)

// defaultMaxMembers is the product's size of a group.
const defaultMaxMembers = 200

// CreateGroup implements LogicService.
func (s *Service) CreateGroup(ctx context.Context, r *repopb.CreateGroupRequest) (*repopb.Group, error) {
	g := r.GetGroup()
	if err := checkText("name", g.GetName(), 1, maxGroupName, false); err != nil {
		return nil, err
	}
	if err := checkText("description", g.GetDescription(), 0, maxDescription, true); err != nil {
		return nil, err
	}
	if err := checkAvatar(g.GetAvatar()); err != nil {
		return nil, err
	}
	maxMembers := g.GetMaxMembers()
	if maxMembers == 0 {
		maxMembers = int32(min(defaultMaxMembers, s.cfg.MaxGroupMembers))
	}
	if err := s.checkMaxMembers(maxMembers); err != nil {
		return nil, err
	}
	policy := g.GetJoinPolicy()
	if err := checkPolicy(policy); err != nil {
		return nil, err
	}
	if policy == repopb.JoinPolicy_JOIN_POLICY_UNSPECIFIED {
		policy = repopb.JoinPolicy_JOIN_POLICY_OPEN
	}
	members, err := s.checkNewMembers(ctx, "member_ids", r.GetMemberIds())
	if err != nil {
		return nil, err
	}
	members = slices.DeleteFunc(members, func(m int64) bool { return m == g.GetOwnerId() })
	ctx, cancel := s.unhurried(ctx)
	defer cancel()
	created, err := s.repo.CreateGroup(ctx, &repopb.CreateGroupRequest{
		Group: &repopb.Group{
			Name: g.GetName(), Description: g.GetDescription(), Avatar: g.GetAvatar(), OwnerId: g.GetOwnerId(),
			MaxMembers: maxMembers, JoinPolicy: policy,
		},
		MemberIds: members,
	})
	if err != nil {
		return nil, err
	}
	return created.GetChange().GetGroup(), s.announceChange(ctx, created.GetChange())
}

func (s *Service) checkMaxMembers(n int32) error {
	if n < 2 || int(n) > s.cfg.MaxGroupMembers {
		return errs.InvalidField("max_members", "must be 2 to %d", s.cfg.MaxGroupMembers)
	}
	return nil
}

func checkPolicy(p repopb.JoinPolicy) error {
	if _, ok := repopb.JoinPolicy_name[int32(p)]; !ok {
		return errs.InvalidField("join_policy", "must be open, approval or invite")
	}
	return nil
}

// checkNewMembers wants distinct, existing, active users; it names those that are not.
func (s *Service) checkNewMembers(ctx context.Context, field string, ids []int64) ([]int64, error) {
	if len(ids) > maxUsersPerCall {
		return nil, errs.InvalidField(field, "must be at most %d users", maxUsersPerCall)
	}
	distinct := slices.Compact(slices.Sorted(slices.Values(ids)))
	if len(distinct) == 0 {
		return nil, nil
	}
	found, err := s.repo.GetUsers(ctx, &repopb.GetUsersRequest{Ids: distinct})
	if err != nil {
		return nil, err
	}
	active := make(map[int64]bool, len(distinct))
	for _, u := range found.GetUsers() {
		active[u.GetId()] = u.GetStatus() == repopb.UserStatus_USER_STATUS_ACTIVE
	}
	var unknown []string
	for _, m := range distinct {
		if !active[m] && len(unknown) < 10 {
			unknown = append(unknown, id.Format(m))
		}
	}
	if len(unknown) > 0 {
		return nil, errs.InvalidField(field, "no such user: %s", strings.Join(unknown, ", "))
	}
	return distinct, nil
}

// GetGroupInfo implements LogicService.
func (s *Service) GetGroupInfo(ctx context.Context, r *repopb.GetGroupRequest) (*repopb.Group, error) {
	return s.repo.GetGroup(ctx, r)
}

// UpdateGroup implements LogicService.
func (s *Service) UpdateGroup(ctx context.Context, r *repopb.UpdateGroupRequest) (*repopb.Group, error) {
	if r.Name != nil {
		if err := checkText("name", r.GetName(), 1, maxGroupName, false); err != nil {
			return nil, err
		}
	}
	if err := checkText("description", r.GetDescription(), 0, maxDescription, true); err != nil {
		return nil, err
	}
	if err := checkAvatar(r.GetAvatar()); err != nil {
		return nil, err
	}
	if r.MaxMembers != nil {
		if err := s.checkMaxMembers(r.GetMaxMembers()); err != nil {
			return nil, err
		}
	}
	if err := checkPolicy(r.GetJoinPolicy()); err != nil {
		return nil, err
	}
	ctx, cancel := s.unhurried(ctx)
	defer cancel()
	change, err := s.repo.UpdateGroup(ctx, r)
	if err != nil {
		return nil, err
	}
	return change.GetGroup(), s.announceChange(ctx, change)
}

// DissolveGroup implements LogicService.
func (s *Service) DissolveGroup(ctx context.Context, r *repopb.DissolveGroupRequest) (*repopb.Empty, error) {
	return finish(ctx, s, s.repo.DissolveGroup, r)
}

// finish makes a change of a group and announces it.
func finish[R any](ctx context.Context, s *Service, change func(context.Context, R) (*repopb.GroupChange, error), r R) (*repopb.Empty, error) {
	ctx, cancel := s.unhurried(ctx)
	defer cancel()
	changed, err := change(ctx, r)
	if err != nil {
		return nil, err
	}
	return &repopb.Empty{}, s.announceChange(ctx, changed)
}

// JoinGroup implements LogicService.
func (s *Service) JoinGroup(ctx context.Context, r *logicpb.JoinGroupRequest) (*logicpb.JoinGroupResponse, error) {
	g, err := s.repo.GetGroup(ctx, &repopb.GetGroupRequest{GroupId: r.GetGroupId(), UserId: r.GetUserId()})
	if err != nil {
		return nil, err
	}
	if g.GetMyRole() != repopb.Role_ROLE_UNSPECIFIED {
		return nil, errs.New(errs.Conflict, "you are a member already")
	}
	switch g.GetJoinPolicy() {
	default: // repo lets in where the policy is open
	case repopb.JoinPolicy_JOIN_POLICY_INVITE:
		return nil, errs.New(errs.Forbidden, "only an owner or admin can add members to this group")
	case repopb.JoinPolicy_JOIN_POLICY_APPROVAL:
		_, err := s.repo.CreateJoinRequest(ctx, &repopb.CreateJoinRequestRequest{GroupId: r.GetGroupId(), UserId: r.GetUserId()})
		if err != nil {
			return nil, err
		}
		return &logicpb.JoinGroupResponse{Pending: true}, nil
	}
	_, err = finish(ctx, s, s.repo.AddGroupMember, &repopb.AddGroupMemberRequest{
		GroupId: r.GetGroupId(), ActorId: r.GetUserId(), UserIds: []int64{r.GetUserId()},
	})
	if err != nil {
		return nil, err
	}
	return &logicpb.JoinGroupResponse{}, nil
}

// LeaveGroup implements LogicService.
func (s *Service) LeaveGroup(ctx context.Context, r *logicpb.LeaveGroupRequest) (*repopb.Empty, error) {
	return finish(ctx, s, s.removeMember, &repopb.RemoveGroupMemberRequest{
		GroupId: r.GetGroupId(), ActorId: r.GetUserId(), UserId: r.GetUserId(),
	})
}

// AddGroupMember implements LogicService.
func (s *Service) AddGroupMember(ctx context.Context, r *repopb.AddGroupMemberRequest) (*repopb.Group, error) {
	users, err := s.checkNewMembers(ctx, "user_ids", r.GetUserIds())
	if err != nil {
		return nil, err
	}
	if len(users) == 0 {
		return nil, errs.InvalidField("user_ids", "must not be empty")
	}
	if len(users) == 1 && users[0] == r.GetActorId() { // repo would take it for a join
		return nil, errs.InvalidField("user_ids", "must not be only yourself: join the group instead")
	}
	ctx, cancel := s.unhurried(ctx)
	defer cancel()
	change, err := s.repo.AddGroupMember(ctx, &repopb.AddGroupMemberRequest{GroupId: r.GetGroupId(), ActorId: r.GetActorId(), UserIds: users})
	if err != nil {
		return nil, err
	}
	return change.GetGroup(), s.announceChange(ctx, change)
}

// RemoveGroupMember implements LogicService.
func (s *Service) RemoveGroupMember(ctx context.Context, r *repopb.RemoveGroupMemberRequest) (*repopb.Empty, error) {
	return finish(ctx, s, s.removeMember, r)
}

// removeMember removes a member whose sockets get nothing of the group from before the change until it is announced:
// what others write right after it reaches only who is left.
func (s *Service) removeMember(ctx context.Context, r *repopb.RemoveGroupMemberRequest) (*repopb.GroupChange, error) {
	g, err := s.repo.GetGroup(ctx, &repopb.GetGroupRequest{GroupId: r.GetGroupId(), UserId: r.GetActorId()})
	if err != nil && unknownOutcome(err) {
		return nil, err
	}
	if err != nil || r.GetUserId() != r.GetActorId() && g.GetMyRole() < repopb.Role_ROLE_ADMIN {
		return s.repo.RemoveGroupMember(ctx, r) // repo says why not, and nobody may disturb others by trying
	}
	if err := s.suspend(ctx, r.GetGroupId(), r.GetUserId(), false); err != nil {
		return nil, err
	}
	change, err := s.repo.RemoveGroupMember(ctx, r)
	switch {
	case err != nil && unknownOutcome(err): // the gateways end it by letting the clients resume
	case err != nil || len(change.GetRemovedUserIds()) == 0:
		if err := s.suspend(ctx, r.GetGroupId(), r.GetUserId(), true); err != nil {
			s.log.WarnContext(ctx, "a suspension was not ended", "conversation_id", r.GetGroupId(), "error", err)
		}
	}
	return change, err
}

func unknownOutcome(err error) bool {
	switch errs.CodeOf(err) {
	case errs.Unavailable, errs.Timeout, errs.Internal:
		return true
	default:
		return false
	}
}

// UpdateGroupMember implements LogicService.
func (s *Service) UpdateGroupMember(ctx context.Context, r *repopb.UpdateGroupMemberRequest) (*repopb.Member, error) {
	if r.Role == nil && r.MutedUntil == nil {
		return nil, errs.New(errs.Invalid, "role or muted_until must be given")
	}
	if r.Role != nil && r.GetRole() != repopb.Role_ROLE_MEMBER && r.GetRole() != repopb.Role_ROLE_ADMIN {
		return nil, errs.InvalidField("role", "must be admin or member; transfer makes another owner")
	}
	if r.GetMutedUntil() < 0 {
		return nil, errs.InvalidField("muted_until", "must be a time")
	}
	// Each is an event of its own. The role comes first: it takes the greater right, so nothing is half done for want of one.
	for _, part := range []*repopb.UpdateGroupMemberRequest{
		{GroupId: r.GetGroupId(), ActorId: r.GetActorId(), UserId: r.GetUserId(), Role: r.Role},
		{GroupId: r.GetGroupId(), ActorId: r.GetActorId(), UserId: r.GetUserId(), MutedUntil: r.MutedUntil},
	} {
		if part.Role == nil && part.MutedUntil == nil {
			continue
		}
		if _, err := finish(ctx, s, s.repo.UpdateGroupMember, part); err != nil {
			return nil, err
		}
	}
	page, err := s.repo.GetGroupMembers(ctx, &repopb.GetGroupMembersRequest{GroupId: r.GetGroupId(), AfterUserId: r.GetUserId() - 1, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(page.GetMembers()) != 1 || page.GetMembers()[0].GetUserId() != r.GetUserId() {
		return nil, errs.New(errs.NotFound, "no such member")
	}
	return page.GetMembers()[0], nil
}

// TransferGroup implements LogicService.
func (s *Service) TransferGroup(ctx context.Context, r *repopb.TransferGroupRequest) (*repopb.Empty, error) {
	return finish(ctx, s, s.repo.TransferGroup, r)
}

// GetGroupMembers implements LogicService.
func (s *Service) GetGroupMembers(ctx context.Context, r *repopb.GetGroupMembersRequest) (*repopb.GetGroupMembersResponse, error) {
	limit, err := pageLimit(r.GetLimit())
	if err != nil {
		return nil, err
	}
	if r.GetActorId() <= 0 { // 0 is the server itself, and nobody may pass for it
		return nil, errs.New(errs.Unauthorized, "no user")
	}
	return s.repo.GetGroupMembers(ctx, &repopb.GetGroupMembersRequest{
		GroupId: r.GetGroupId(), ActorId: r.GetActorId(), AfterUserId: r.GetAfterUserId(), Limit: limit,
	})
}

// ListJoinRequests implements LogicService.
func (s *Service) ListJoinRequests(ctx context.Context, r *repopb.ListJoinRequestsRequest) (*repopb.ListJoinRequestsResponse, error) {
	limit, err := pageLimit(r.GetLimit())
	if err != nil {
		return nil, err
	}
	return s.repo.ListJoinRequests(ctx, &repopb.ListJoinRequestsRequest{
		GroupId: r.GetGroupId(), ActorId: r.GetActorId(), AfterUserId: r.GetAfterUserId(), Limit: limit,
	})
}

// DecideJoinRequest implements LogicService.
func (s *Service) DecideJoinRequest(ctx context.Context, r *repopb.DecideJoinRequestRequest) (*repopb.Empty, error) {
	return finish(ctx, s, s.repo.DecideJoinRequest, r)
}
