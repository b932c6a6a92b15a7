package sqlstore

import (
	"context"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

// AddGroupMember implements repo.Store.
func (s *Store) AddGroupMember(ctx context.Context, r *repopb.AddGroupMemberRequest) (*repopb.GroupChange, error) {
	users := distinct(r.GetUserIds())
	return s.changeGroup(ctx, func(t *Tx) (*repopb.GroupChange, error) {
		if len(users) == 1 && users[0] == r.GetActorId() {
			return t.joinOpen(r.GetGroupId(), r.GetActorId())
		}
		g, actor, err := t.open(r.GetGroupId(), r.GetActorId(), repopb.Role_ROLE_ADMIN)
		if err != nil {
			return nil, err
		}
		fresh, err := t.strangers(g, users)
		if err != nil {
			return nil, err
		}
		if len(fresh) == 0 {
			return g.change(actor.Role, nil), nil
		}
		return t.admit(g, actor.UserID, actor.Role, fresh)
	})
}

// joinOpen adds who asks for it, where the policy is open.
func (t *Tx) joinOpen(groupID, userID int64) (*repopb.GroupChange, error) {
	g, err := t.approach(groupID, userID)
	if err != nil {
		return nil, err
	}
	if g.joinPolicy != repopb.JoinPolicy_JOIN_POLICY_OPEN {
		return nil, errs.New(errs.Forbidden, "the group is not open to everybody")
	}
	return t.admit(g, userID, repopb.Role_ROLE_MEMBER, []int64{userID})
}

// approach returns the group that a stranger wants to be in.
func (t *Tx) approach(groupID, userID int64) (*group, error) {
	g, err := t.group(groupID)
	if err != nil {
		return nil, err
	}
	if g == nil {
		return nil, errNoGroup
	}
	m, err := t.member(groupID, userID)
	switch {
	case err != nil:
		return nil, err
	case g.conv.DissolvedAt != 0 && m.active():
		return nil, errDissolved
	case g.conv.DissolvedAt != 0:
		return nil, errNoGroup
	case m.active():
		return nil, errAlready
	}
	return g, nil
}

// strangers are those of the users who are not in the group.
func (t *Tx) strangers(g *group, users []int64) ([]int64, error) {
	keys := make([]MemberKey, len(users))
	for i, u := range users {
		keys[i] = MemberKey{g.conv.ID, u}
	}
	if err := t.loadMembers(keys...); err != nil {
		return nil, err
	}
	var out []int64
	for _, key := range keys {
		if !t.members[key].active() {
			out = append(out, key.UserID)
		}
	}
	return out, nil
}

// admit makes strangers members, with one event for all of them. role is the actor's.
func (t *Tx) admit(g *group, actorID int64, role repopb.Role, users []int64) (*repopb.GroupChange, error) {
	if err := t.checkUsers("user_ids", users); err != nil {
		return nil, err
	}
	if int(g.memberCount)+len(users) > int(g.maxMembers) {
		return nil, errFull
	}
	ev := &repopb.Event{Kind: repopb.EventKind_EVENT_KIND_MEMBER_JOINED, UserId: actorID, TargetUserIds: users}
	if err := t.append(g.conv, ev); err != nil {
		return nil, err
	}
	if err := t.join(g.conv, users, asMember); err != nil {
		return nil, err
	}
	if err := t.forgetJoinRequests(g.conv.ID, users...); err != nil {
		return nil, err
	}
	g.memberCount += int32(len(users))
	crossed := t.crosses(g)
	g.conv.Large = g.conv.Large || crossed
	change := g.change(role, ev)
	change.AddedUserIds, change.BecameLarge = users, crossed
	return change, t.saveGroup(g)
}

// RemoveGroupMember implements repo.Store.
func (s *Store) RemoveGroupMember(ctx context.Context, r *repopb.RemoveGroupMemberRequest) (*repopb.GroupChange, error) {
	return s.changeGroup(ctx, func(t *Tx) (*repopb.GroupChange, error) {
		if r.GetActorId() == r.GetUserId() {
			return t.leaveGroup(r.GetGroupId(), r.GetUserId())
		}
		g, actor, err := t.open(r.GetGroupId(), r.GetActorId(), repopb.Role_ROLE_ADMIN)
		if err != nil {
			return nil, err
		}
		m, err := t.target(g, r.GetUserId())
		if err != nil {
			return nil, err
		}
		if err := outranks(actor, m); err != nil {
			return nil, err
		}
		return t.dismiss(g, repopb.EventKind_EVENT_KIND_MEMBER_REMOVED, actor, m)
	})
}

// leaveGroup lets everybody out of a dissolved group, its owner too: who does not want to keep it has no other way to be
// rid of it.
func (t *Tx) leaveGroup(groupID, userID int64) (*repopb.GroupChange, error) {
	g, m, err := t.own(groupID, userID)
	if err != nil {
		return nil, err
	}
	if m.Role == repopb.Role_ROLE_OWNER && g.conv.DissolvedAt == 0 {
		return nil, errs.New(errs.Conflict, "the owner cannot leave: transfer or dissolve the group first")
	}
	return t.dismiss(g, repopb.EventKind_EVENT_KIND_MEMBER_LEFT, m, m)
}

// dismiss ends a membership.
func (t *Tx) dismiss(g *group, kind repopb.EventKind, actor, m *Member) (*repopb.GroupChange, error) {
	ev := &repopb.Event{Kind: kind, UserId: actor.UserID, TargetUserIds: []int64{m.UserID}}
	if err := t.append(g.conv, ev); err != nil {
		return nil, err
	}
	if err := t.leave(g.conv, m); err != nil {
		return nil, err
	}
	g.memberCount--
	change := g.change(actor.roleNow(), ev)
	change.RemovedUserIds = []int64{m.UserID}
	return change, t.saveGroup(g)
}

// UpdateGroupMember implements repo.Store.
func (s *Store) UpdateGroupMember(ctx context.Context, r *repopb.UpdateGroupMemberRequest) (*repopb.GroupChange, error) {
	return s.changeGroup(ctx, func(t *Tx) (*repopb.GroupChange, error) {
		least := repopb.Role_ROLE_ADMIN
		if r.Role != nil {
			least = repopb.Role_ROLE_OWNER
		}
		g, actor, err := t.open(r.GetGroupId(), r.GetActorId(), least)
		if err != nil {
			return nil, err
		}
		m, err := t.target(g, r.GetUserId())
		if err != nil {
			return nil, err
		}
		if r.Role != nil {
			return t.setRole(g, actor, m, r.GetRole())
		}
		return t.mute(g, actor, m, r.GetMutedUntil())
	})
}

func (t *Tx) setRole(g *group, actor, m *Member, role repopb.Role) (*repopb.GroupChange, error) {
	if m == actor {
		return nil, errs.New(errs.Conflict, "the owner stays the owner: transfer the group first")
	}
	if m.Role == role {
		return g.change(actor.Role, nil), nil
	}
	ev := &repopb.Event{
		Kind: repopb.EventKind_EVENT_KIND_ROLE_CHANGED, UserId: actor.UserID, TargetUserIds: []int64{m.UserID}, Role: role,
	}
	if err := t.append(g.conv, ev); err != nil {
		return nil, err
	}
	m.Role = role
	return g.change(actor.Role, ev), t.saveMembers(m)
}

// mute silences a member until a time; one that has passed lifts the mute.
func (t *Tx) mute(g *group, actor, m *Member, until int64) (*repopb.GroupChange, error) {
	if err := outranks(actor, m); err != nil {
		return nil, err
	}
	if until <= t.now {
		until = 0
	}
	if m.MutedUntil == until {
		return g.change(actor.Role, nil), nil
	}
	ev := &repopb.Event{
		Kind: repopb.EventKind_EVENT_KIND_MEMBER_MUTED, UserId: actor.UserID, TargetUserIds: []int64{m.UserID}, MutedUntil: until,
	}
	if err := t.append(g.conv, ev); err != nil {
		return nil, err
	}
	m.MutedUntil = until
	return g.change(actor.Role, ev), t.saveMembers(m)
}
