package logic

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

func changed(kind repopb.EventKind) *repopb.GroupChange {
	return &repopb.GroupChange{Event: &repopb.Event{ConversationId: 8, Seq: 4, Kind: kind}, Group: &repopb.Group{Id: 8}}
}

func newGroupRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, func(c *Config) { c.MaxGroupMembers = 1000 })
	for i, name := range []string{"alice", "bob", "carol"} {
		r.store.addUser(int64(i+1), name)
	}
	r.store.addUser(4, "banned").Status = repopb.UserStatus_USER_STATUS_DISABLED
	r.store.change = changed(repopb.EventKind_EVENT_KIND_GROUP_UPDATED)
	return r
}

func TestCreateGroup(t *testing.T) {
	t.Parallel()
	r := newGroupRig(t)
	r.store.change = changed(repopb.EventKind_EVENT_KIND_CREATED)
	r.store.change.AddedUserIds, r.store.change.BecameLarge = []int64{1, 2, 3}, true
	g, err := r.CreateGroup(t.Context(), &repopb.CreateGroupRequest{
		Group: &repopb.Group{Name: "team", OwnerId: 1, MemberCount: 77, MyRole: repopb.Role_ROLE_OWNER}, MemberIds: []int64{3, 2, 1, 2},
	})
	must(t, g, err)
	q := last[*repopb.CreateGroupRequest](t, r.store)
	if !slices.Equal(q.GetMemberIds(), []int64{2, 3}) || q.GetGroup().GetMaxMembers() != 200 || q.GetGroup().GetJoinPolicy() != repopb.JoinPolicy_JOIN_POLICY_OPEN ||
		q.GetGroup().GetMemberCount() != 0 {
		t.Fatalf("asked %v", q)
	}
	c := r.lane.persist(t)[0].GetCommitted()
	if !slices.Equal(c.GetAttachUserIds(), []int64{1, 2, 3}) || !c.GetBecameLarge() || c.GetEvent().GetSeq() != 4 {
		t.Fatalf("announced %v", c)
	}
}

func TestCreateGroupRefuses(t *testing.T) {
	t.Parallel()
	r := newGroupRig(t)
	for name, c := range map[string]struct {
		field   string
		members []int64
		change  func(*repopb.Group)
	}{
		"no name":          {"name", nil, func(g *repopb.Group) { g.Name = "" }},
		"blank name":       {"name", nil, func(g *repopb.Group) { g.Name = " \u3000" }},
		"long name":        {"name", nil, func(g *repopb.Group) { g.Name = strings.Repeat("名", 65) }},
		"control name":     {"name", nil, func(g *repopb.Group) { g.Name = "a\nb" }},
		"long description": {"description", nil, func(g *repopb.Group) { g.Description = strings.Repeat("d", 1001) }},
		"description NUL":  {"description", nil, func(g *repopb.Group) { g.Description = "\x00" }},
		"long avatar":      {"avatar", nil, func(g *repopb.Group) { g.Avatar = strings.Repeat("a", 513) }},
		"one member":       {"max_members", nil, func(g *repopb.Group) { g.MaxMembers = 1 }},
		"negative members": {"max_members", nil, func(g *repopb.Group) { g.MaxMembers = -5 }},
		"too many members": {"max_members", nil, func(g *repopb.Group) { g.MaxMembers = 1001 }},
		"unknown policy":   {"join_policy", nil, func(g *repopb.Group) { g.JoinPolicy = 9 }},
		"unknown member":   {"member_ids", []int64{2, 404}, func(*repopb.Group) {}},
		"disabled member":  {"member_ids", []int64{4}, func(*repopb.Group) {}},
		"negative member":  {"member_ids", []int64{-1}, func(*repopb.Group) {}},
		"many at once":     {"member_ids", make([]int64, 1001), func(*repopb.Group) {}},
	} {
		g := &repopb.Group{Name: "team", OwnerId: 1}
		c.change(g)
		_, err := r.CreateGroup(t.Context(), &repopb.CreateGroupRequest{Group: g, MemberIds: c.members})
		if errs.CodeOf(err) != errs.Invalid || errs.From(err).Details["field"] != c.field {
			t.Errorf("%s: got %v %v", name, err, errs.From(err).Details)
		}
	}
	_, err := r.CreateGroup(t.Context(), &repopb.CreateGroupRequest{Group: &repopb.Group{Name: "team", OwnerId: 1}, MemberIds: []int64{2, 404}})
	if !strings.Contains(err.Error(), "404") {
		t.Fatalf("does not name the unknown user: %v", err)
	}
	if len(r.lane.persist(t)) != 0 {
		t.Fatal("something was announced")
	}
}

func TestUpdateGroup(t *testing.T) {
	t.Parallel()
	r := newGroupRig(t)
	if _, err := r.UpdateGroup(t.Context(), &repopb.UpdateGroupRequest{GroupId: 8, ActorId: 1, Description: new("two\nlines")}); err != nil {
		t.Fatal(err)
	}
	policy := repopb.JoinPolicy(7)
	for _, bad := range []*repopb.UpdateGroupRequest{
		{Name: new("")},
		{Description: new("\x00")},
		{Avatar: new("\n")},
		{MaxMembers: new(int32(0))},
		{MaxMembers: new(int32(1001))},
		{JoinPolicy: &policy},
	} {
		_, err := r.UpdateGroup(t.Context(), bad)
		wantCode(t, err, errs.Invalid)
	}
	r.store.err = errs.New(errs.Forbidden, "no right")
	_, err := r.UpdateGroup(t.Context(), &repopb.UpdateGroupRequest{GroupId: 8, ActorId: 2, Name: new("mine")})
	wantCode(t, err, errs.Forbidden)
	if len(r.lane.persist(t)) != 1 {
		t.Fatal("a refused change was announced")
	}
}

// When a removal returns, the sockets are told and detached already, in one delivery, the event first. They get nothing
// of the group from before the change on.
func TestRemovalDetachesBeforeItReturns(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(context.Context, *rig) error{
		"leave": func(ctx context.Context, r *rig) error {
			_, err := r.LeaveGroup(ctx, &logicpb.LeaveGroupRequest{UserId: 2, GroupId: 8})
			return err
		},
		"kick": func(ctx context.Context, r *rig) error {
			_, err := r.RemoveGroupMember(ctx, &repopb.RemoveGroupMemberRequest{GroupId: 8, ActorId: 1, UserId: 2})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newGroupRig(t)
			r.store.change = changed(repopb.EventKind_EVENT_KIND_MEMBER_REMOVED)
			r.store.change.RemovedUserIds = []int64{2}
			r.store.group = &repopb.Group{Id: 8, MyRole: repopb.Role_ROLE_ADMIN}
			ctx, hangUp := context.WithCancel(t.Context())
			r.store.onChange = func() { // the caller goes as soon as the change has committed
				if len(r.store.asked) > 1 {
					hangUp()
					if len(r.hub.deliveries) != 1 {
						t.Error("the change was made before the sockets were suspended")
					}
				}
			}
			r.lane.err = errs.New(errs.Unavailable, "stopping")
			if err := remove(ctx, r); err != nil {
				t.Fatal(err)
			}
			if q := last[*repopb.RemoveGroupMemberRequest](t, r.store); q.GetUserId() != 2 || q.GetGroupId() != 8 {
				t.Fatalf("asked %v", q)
			}
			if len(r.hub.deliveries) != 2 {
				t.Fatalf("delivered %v", r.hub.deliveries)
			}
			if d := r.hub.deliveries[0]; d.GetSuspension().GetConversationId() != 8 || d.GetSuspension().GetEnded() || !slices.Equal(d.GetUserIds(), []int64{2}) {
				t.Fatalf("delivered %v", d)
			}
			d := r.hub.deliveries[1]
			if !d.GetPrivate() || d.GetEvent().GetSeq() != 4 || !slices.Equal(d.GetUserIds(), []int64{2}) || !slices.Equal(d.GetDetachUserIds(), []int64{2}) {
				t.Fatalf("delivered %v", d)
			}
			r.lane.err, r.store.onChange = nil, nil
			if err := remove(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			if c := r.lane.persist(t)[0].GetCommitted(); !slices.Equal(c.GetDetachUserIds(), []int64{2}) {
				t.Fatalf("announced %v", c)
			}
		})
	}
}

func TestRefusedRemovalDetachesNobody(t *testing.T) {
	t.Parallel()
	r := newGroupRig(t)
	r.store.err = errs.New(errs.Forbidden, "an admin cannot remove the owner")
	_, err := r.RemoveGroupMember(t.Context(), &repopb.RemoveGroupMemberRequest{GroupId: 8, ActorId: 2, UserId: 1})
	wantCode(t, err, errs.Forbidden)
	if len(r.hub.deliveries) != 0 || len(r.lane.persist(t)) != 0 {
		t.Fatal("something was told")
	}
}

// What a refused removal suspended goes on; what may have happened is left to the gateways, and who may not remove
// anybody disturbs nobody.
func TestRemovalThatFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		role   repopb.Role
		phases []bool // ended, of each suspension
	}{
		"refused":  {errs.New(errs.NotFound, "no such member"), repopb.Role_ROLE_ADMIN, []bool{false, true}},
		"unknown":  {errs.New(errs.Timeout, "too late"), repopb.Role_ROLE_OWNER, []bool{false}},
		"no right": {errs.New(errs.Forbidden, "no right"), repopb.Role_ROLE_MEMBER, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newGroupRig(t)
			r.store.group = &repopb.Group{Id: 8, MyRole: c.role}
			r.store.stay = c.err
			_, err := r.RemoveGroupMember(t.Context(), &repopb.RemoveGroupMemberRequest{GroupId: 8, ActorId: 1, UserId: 2})
			wantCode(t, err, errs.CodeOf(c.err))
			var phases []bool
			for _, d := range r.hub.deliveries {
				phases = append(phases, d.GetSuspension().GetEnded())
			}
			if !slices.Equal(phases, c.phases) {
				t.Errorf("suspensions %v, want %v", phases, c.phases)
			}
		})
	}
}

func TestJoin(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		group   *repopb.Group
		code    errs.Code
		pending bool
	}{
		"open":     {&repopb.Group{JoinPolicy: repopb.JoinPolicy_JOIN_POLICY_OPEN}, errs.OK, false},
		"approval": {&repopb.Group{JoinPolicy: repopb.JoinPolicy_JOIN_POLICY_APPROVAL}, errs.OK, true},
		"invite":   {&repopb.Group{JoinPolicy: repopb.JoinPolicy_JOIN_POLICY_INVITE}, errs.Forbidden, false},
		"member":   {&repopb.Group{JoinPolicy: repopb.JoinPolicy_JOIN_POLICY_OPEN, MyRole: repopb.Role_ROLE_MEMBER}, errs.Conflict, false},
	} {
		r := newGroupRig(t)
		r.store.group = c.group
		r.store.change = changed(repopb.EventKind_EVENT_KIND_MEMBER_JOINED)
		r.store.change.AddedUserIds = []int64{2}
		resp, err := r.JoinGroup(t.Context(), &logicpb.JoinGroupRequest{UserId: 2, GroupId: 8})
		if errs.CodeOf(err) != c.code || resp.GetPending() != c.pending {
			t.Errorf("%s: %v, %v", name, resp, err)
		}
		p := r.lane.persist(t)
		if joined := name == "open"; joined != (len(p) == 1) || joined && !slices.Equal(p[0].GetCommitted().GetAttachUserIds(), []int64{2}) {
			t.Errorf("%s: announced %v", name, p)
		}
	}
}

func TestAddGroupMember(t *testing.T) {
	t.Parallel()
	r := newGroupRig(t)
	for name, ids := range map[string][]int64{"none": nil, "only oneself": {1}, "unknown": {404}, "disabled": {4}, "many": make([]int64, 1001)} {
		_, err := r.AddGroupMember(t.Context(), &repopb.AddGroupMemberRequest{GroupId: 8, ActorId: 1, UserIds: ids})
		if errs.CodeOf(err) != errs.Invalid || errs.From(err).Details["field"] != "user_ids" {
			t.Errorf("%s: got %v", name, err)
		}
	}
	r.store.change.AddedUserIds = []int64{2, 3}
	if _, err := r.AddGroupMember(t.Context(), &repopb.AddGroupMemberRequest{GroupId: 8, ActorId: 1, UserIds: []int64{3, 2, 3}}); err != nil {
		t.Fatal(err)
	}
	if q := last[*repopb.AddGroupMemberRequest](t, r.store); !slices.Equal(q.GetUserIds(), []int64{2, 3}) {
		t.Fatalf("asked %v", q)
	}
	if c := r.lane.persist(t)[0].GetCommitted(); !slices.Equal(c.GetAttachUserIds(), []int64{2, 3}) {
		t.Fatalf("announced %v", c)
	}
}

func TestUpdateGroupMember(t *testing.T) {
	t.Parallel()
	r := newGroupRig(t)
	admin, owner, unknown := repopb.Role_ROLE_ADMIN, repopb.Role_ROLE_OWNER, repopb.Role(9)
	for _, bad := range []*repopb.UpdateGroupMemberRequest{{}, {Role: &owner}, {Role: &unknown}, {Role: new(repopb.Role)}, {MutedUntil: new(int64(-1))}} {
		bad.GroupId, bad.ActorId, bad.UserId = 8, 1, 2
		_, err := r.UpdateGroupMember(t.Context(), bad)
		wantCode(t, err, errs.Invalid)
	}
	m, err := r.UpdateGroupMember(t.Context(), &repopb.UpdateGroupMemberRequest{GroupId: 8, ActorId: 1, UserId: 2, Role: &admin, MutedUntil: new(int64(5))})
	if must(t, m, err).GetUserId() != 2 {
		t.Fatalf("member %v", m)
	}
	// One change each, the role first.
	var parts []*repopb.UpdateGroupMemberRequest
	for _, q := range r.store.asked {
		if part, ok := q.(*repopb.UpdateGroupMemberRequest); ok {
			parts = append(parts, part)
		}
	}
	if len(parts) != 2 || parts[0].GetRole() != admin || parts[0].MutedUntil != nil || parts[1].Role != nil || parts[1].GetMutedUntil() != 5 {
		t.Fatalf("asked %v", parts)
	}
	if len(r.lane.persist(t)) != 2 {
		t.Fatal("not announced")
	}
}

func TestOtherGroupChangesAreAnnounced(t *testing.T) {
	t.Parallel()
	r := newGroupRig(t)
	for i, change := range []func() error{
		func() error {
			_, err := r.DissolveGroup(t.Context(), &repopb.DissolveGroupRequest{GroupId: 8, ActorId: 1})
			return err
		},
		func() error {
			_, err := r.TransferGroup(t.Context(), &repopb.TransferGroupRequest{GroupId: 8, ActorId: 1, UserId: 2})
			return err
		},
		func() error {
			_, err := r.DecideJoinRequest(t.Context(), &repopb.DecideJoinRequestRequest{GroupId: 8, ActorId: 1, UserId: 2, Approve: true})
			return err
		},
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if len(r.lane.persist(t)) != i+1 {
			t.Fatalf("change %d not announced", i)
		}
	}
	r.store.change = &repopb.GroupChange{Group: &repopb.Group{Id: 8}} // nothing changed: nothing to tell
	if _, err := r.DecideJoinRequest(t.Context(), &repopb.DecideJoinRequestRequest{GroupId: 8, ActorId: 1, UserId: 2}); err != nil {
		t.Fatal(err)
	}
	if len(r.lane.persist(t)) != 3 {
		t.Fatal("a change without an event was announced")
	}
}

func TestGroupMembersLimits(t *testing.T) {
	t.Parallel()
	r := newGroupRig(t)
	_, err := r.GetGroupMembers(t.Context(), &repopb.GetGroupMembersRequest{GroupId: 8, ActorId: 1, Limit: 1 << 20})
	if err != nil || last[*repopb.GetGroupMembersRequest](t, r.store).GetLimit() != 100 {
		t.Fatalf("asked %v, %v", last[*repopb.GetGroupMembersRequest](t, r.store), err)
	}
	_, err = r.GetGroupMembers(t.Context(), &repopb.GetGroupMembersRequest{GroupId: 8, ActorId: 1, Limit: -1})
	wantCode(t, err, errs.Invalid)
	// Actor 0 is the server itself to repo: nobody passes for it.
	_, err = r.GetGroupMembers(t.Context(), &repopb.GetGroupMembersRequest{GroupId: 8})
	wantCode(t, err, errs.Unauthorized)
	_, err = r.ListJoinRequests(t.Context(), &repopb.ListJoinRequestsRequest{GroupId: 8, ActorId: 1, Limit: -1})
	wantCode(t, err, errs.Invalid)
}
