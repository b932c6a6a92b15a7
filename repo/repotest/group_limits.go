package repotest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

func testGroupCapacity(t *testing.T, f *groupFixture) {
	u := f.users(t, 6)
	g := f.newGroupOf(t, &repopb.Group{Name: "g", OwnerId: u[0], MaxMembers: 3, JoinPolicy: repopb.JoinPolicy_JOIN_POLICY_OPEN}, u[1])
	id := g.GetId()
	_, err := f.AddGroupMember(t.Context(), &repopb.AddGroupMemberRequest{GroupId: id, ActorId: u[0], UserIds: u[2:4]})
	wantCode(t, "two where one fits", err, errs.Conflict)
	f.add(t, id, u[0], u[1], u[2]) // one of them is in it
	_, err = f.AddGroupMember(t.Context(), &repopb.AddGroupMemberRequest{GroupId: id, ActorId: u[3], UserIds: u[3:4]})
	wantCode(t, "join a full group", err, errs.Conflict)
	for limit, want := range map[int32]errs.Code{2: errs.Conflict, 3: errs.OK, 0: errs.Invalid, -1: errs.Invalid, 100_001: errs.Invalid} {
		_, err := f.UpdateGroup(t.Context(), &repopb.UpdateGroupRequest{GroupId: id, ActorId: u[0], MaxMembers: &limit})
		wantCode(t, fmt.Sprintf("max_members %d of a group of 3", limit), err, want)
	}
	_, err = f.CreateGroup(t.Context(), &repopb.CreateGroupRequest{
		Group:     &repopb.Group{Name: "g", OwnerId: u[0], MaxMembers: 3, JoinPolicy: repopb.JoinPolicy_JOIN_POLICY_OPEN},
		MemberIds: u,
	})
	wantCode(t, "create with too many", err, errs.Conflict)
	checkGroup(t, f, id)
}

func testGroupAddMany(t *testing.T, f *groupFixture) {
	u := f.users(t, 1001)
	g := f.newGroupOf(t, &repopb.Group{Name: "g", OwnerId: u[0], MaxMembers: 2000, JoinPolicy: repopb.JoinPolicy_JOIN_POLICY_OPEN})
	change := f.add(t, g.GetId(), u[0], u[1:]...)
	if len(change.GetEvent().GetTargetUserIds()) != 1000 || change.GetGroup().GetMemberCount() != 1001 || !change.GetBecameLarge() {
		t.Errorf("added %d, group %v", len(change.GetEvent().GetTargetUserIds()), change.GetGroup())
	}
	if n := len(f.members(t, g.GetId())); n != 1001 {
		t.Errorf("%d members", n)
	}
}

func testGroupUnchanged(t *testing.T, f *groupFixture) {
	u := f.users(t, 2)
	id := f.newGroup(t, u[0], u[1]).GetId()
	name := "group"
	for what, change := range map[string]*repopb.GroupChange{
		"same name":       must(t)(f.UpdateGroup(t.Context(), &repopb.UpdateGroupRequest{GroupId: id, ActorId: u[0], Name: &name})),
		"nothing at all":  must(t)(f.UpdateGroup(t.Context(), &repopb.UpdateGroupRequest{GroupId: id, ActorId: u[0]})),
		"same role":       f.setRole(t, id, u[0], u[1], repopb.Role_ROLE_MEMBER),
		"member is added": f.add(t, id, u[0], u[1]),
	} {
		if change.GetEvent() != nil || change.GetGroup().GetMemberCount() != 2 || len(change.GetAddedUserIds()) != 0 {
			t.Errorf("%s: %v", what, change)
		}
	}
	if log := f.log(t, id); len(log) != 1 {
		t.Errorf("log: %v", log)
	}
}

func testGroupBadInput(t *testing.T, f *groupFixture) {
	u := f.users(t, 2)
	id := f.newGroup(t, u[0], u[1]).GetId()
	owner, odd := repopb.Role_ROLE_OWNER, repopb.Role(9)
	past, empty := int64(-1), ""
	admin, policy := repopb.Role_ROLE_ADMIN, repopb.JoinPolicy(9)
	create := func(g *repopb.Group, members ...int64) error {
		_, err := f.CreateGroup(t.Context(), &repopb.CreateGroupRequest{Group: g, MemberIds: members})
		return err
	}
	add := func(users ...int64) error {
		_, err := f.AddGroupMember(t.Context(), &repopb.AddGroupMemberRequest{GroupId: id, ActorId: u[0], UserIds: users})
		return err
	}
	member := func(r *repopb.UpdateGroupMemberRequest) error {
		r.GroupId, r.ActorId, r.UserId = id, u[0], u[1]
		_, err := f.UpdateGroupMember(t.Context(), r)
		return err
	}
	list := func(limit int32) error {
		_, err := f.GetGroupMembers(t.Context(), &repopb.GetGroupMembersRequest{GroupId: id, ActorId: u[0], Limit: limit})
		return err
	}
	update := func(r *repopb.UpdateGroupRequest) error {
		r.GroupId, r.ActorId = id, u[0]
		_, err := f.UpdateGroup(t.Context(), r)
		return err
	}
	open := repopb.JoinPolicy_JOIN_POLICY_OPEN
	for what, err := range map[string]error{
		"no group":              create(nil),
		"no name":               create(&repopb.Group{OwnerId: u[0], MaxMembers: 10, JoinPolicy: open}),
		"no room":               create(&repopb.Group{Name: "g", OwnerId: u[0], JoinPolicy: open}),
		"too much room":         create(&repopb.Group{Name: "g", OwnerId: u[0], MaxMembers: 100_001, JoinPolicy: open}),
		"no policy":             create(&repopb.Group{Name: "g", OwnerId: u[0], MaxMembers: 10}),
		"an unknown owner":      create(&repopb.Group{Name: "g", OwnerId: 12345, MaxMembers: 10, JoinPolicy: open}),
		"an unknown member":     create(&repopb.Group{Name: "g", OwnerId: u[0], MaxMembers: 10, JoinPolicy: open}, 12345),
		"nobody added":          add(),
		"an unknown user added": add(12345),
		"user 0 added":          add(0),
		"too many added":        add(make([]int64, 1001)...),
		"made an owner":         member(&repopb.UpdateGroupMemberRequest{Role: &owner}),
		"made something else":   member(&repopb.UpdateGroupMemberRequest{Role: &odd}),
		"muted until before":    member(&repopb.UpdateGroupMemberRequest{MutedUntil: &past}),
		"no change of a member": member(&repopb.UpdateGroupMemberRequest{}),
		"two changes at once":   member(&repopb.UpdateGroupMemberRequest{Role: &admin, MutedUntil: new(int64)}),
		"renamed to nothing":    update(&repopb.UpdateGroupRequest{Name: &empty}),
		"another policy":        update(&repopb.UpdateGroupRequest{JoinPolicy: &policy}),
		"a page of no length":   list(0),
		"a page of less":        list(-1),
		"a page without an end": list(1 << 30),
		"requests without a end": func() error {
			_, err := f.ListJoinRequests(t.Context(), &repopb.ListJoinRequestsRequest{GroupId: id, ActorId: u[0]})
			return err
		}(),
	} {
		wantCode(t, what, err, errs.Invalid)
	}
	if log := f.log(t, id); len(log) != 1 {
		t.Errorf("bad input left events: %v", log)
	}
}

func testGroupLarge(t *testing.T, f *groupFixture) {
	u := f.users(t, LargeGroupThreshold+3)
	id := f.newGroup(t, u[0], u[1:LargeGroupThreshold]...).GetId()
	route := func() *repopb.Route {
		r, err := f.GetRoutes(t.Context(), &repopb.GetRoutesRequest{ConversationIds: []int64{id}})
		if err != nil || len(r.GetRoutes()) != 1 {
			t.Fatal(r, err)
		}
		return r.GetRoutes()[0]
	}
	if r := route(); r.GetLarge() || len(r.GetMemberIds()) != LargeGroupThreshold {
		t.Errorf("at the threshold: %v", r)
	}
	last := u[LargeGroupThreshold]
	if c := f.add(t, id, last, last); !c.GetBecameLarge() || !c.GetLarge() {
		t.Errorf("over the threshold: %v", c)
	}
	if r := route(); !r.GetLarge() || len(r.GetMemberIds()) != 0 {
		t.Errorf("over the threshold: %v", r)
	}
	if c := f.add(t, id, u[0], u[LargeGroupThreshold+1:]...); c.GetBecameLarge() || !c.GetLarge() {
		t.Errorf("further on: %v", c)
	}
	for _, m := range u[5:] { // far below: it stays large
		f.remove(t, id, u[0], m)
	}
	if r := route(); !r.GetLarge() {
		t.Error("the flag does not stick")
	}
	if c := f.add(t, id, u[0], u[5:]...); c.GetBecameLarge() {
		t.Error("became large twice")
	}
	large, err := f.GetLargeGroups(t.Context(), &repopb.GetLargeGroupsRequest{UserId: u[1]})
	if err != nil || !slices.Equal(large.GetConversationIds(), []int64{id}) {
		t.Errorf("large groups: %v, %v", large, err)
	}
	created, err := f.CreateGroup(t.Context(), &repopb.CreateGroupRequest{
		Group:     &repopb.Group{Name: "g", OwnerId: u[0], MaxMembers: 100, JoinPolicy: repopb.JoinPolicy_JOIN_POLICY_OPEN},
		MemberIds: u,
	})
	if err != nil || !created.GetChange().GetLarge() || !created.GetChange().GetBecameLarge() {
		t.Errorf("born large: %v, %v", created, err)
	}
	checkGroup(t, f, id)
}
