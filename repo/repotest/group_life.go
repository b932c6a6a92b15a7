package repotest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

func testGroupLife(t *testing.T, f *groupFixture) {
	u := f.users(t, 4)
	owner, a, b, c := u[0], u[1], u[2], u[3]
	created, err := f.CreateGroup(t.Context(), &repopb.CreateGroupRequest{
		Group: &repopb.Group{
			Name: "name", Description: "about", Avatar: "a.png", OwnerId: owner, MaxMembers: 5, JoinPolicy: repopb.JoinPolicy_JOIN_POLICY_INVITE,
		},
		MemberIds: []int64{a, owner, a},
	})
	if err != nil {
		t.Fatal(err)
	}
	g := created.GetChange().GetGroup()
	id := g.GetId()
	if g.GetMemberCount() != 2 || g.GetMyRole() != repopb.Role_ROLE_OWNER || g.GetOwnerId() != owner || g.GetDescription() != "about" || g.GetCreatedAt() == 0 {
		t.Errorf("created: %v", g)
	}
	if added := sorted(created.GetChange().GetAddedUserIds()...); !slices.Equal(added, sorted(owner, a)) {
		t.Errorf("added: %v", added)
	}
	view := created.GetConversation()
	if view.GetConversation().GetId() != id || view.GetConversation().GetLastSeq() != 1 || view.GetUnread() != 0 || view.GetReadSeq() != 1 {
		t.Errorf("view: %v", view)
	}
	wantEvent(t, created.GetChange().GetEvent(), &repopb.Event{
		ConversationId: id, Seq: 1, Kind: repopb.EventKind_EVENT_KIND_CREATED, UserId: owner, Name: "name", Avatar: "a.png",
	})

	change := f.add(t, id, owner, b, a, c, b)
	wantEvent(t, change.GetEvent(), &repopb.Event{
		ConversationId: id, Seq: 2, Kind: repopb.EventKind_EVENT_KIND_MEMBER_JOINED, UserId: owner, TargetUserIds: []int64{b, c},
	})
	if !slices.Equal(change.GetAddedUserIds(), []int64{b, c}) || change.GetGroup().GetMemberCount() != 4 {
		t.Errorf("add: %v", change)
	}
	change = f.setRole(t, id, owner, a, repopb.Role_ROLE_ADMIN)
	wantEvent(t, change.GetEvent(), &repopb.Event{
		ConversationId: id, Seq: 3, Kind: repopb.EventKind_EVENT_KIND_ROLE_CHANGED, UserId: owner, TargetUserIds: []int64{a}, Role: repopb.Role_ROLE_ADMIN,
	})
	change = f.remove(t, id, a, b)
	wantEvent(t, change.GetEvent(), &repopb.Event{
		ConversationId: id, Seq: 4, Kind: repopb.EventKind_EVENT_KIND_MEMBER_REMOVED, UserId: a, TargetUserIds: []int64{b},
	})
	if !slices.Equal(change.GetRemovedUserIds(), []int64{b}) || change.GetGroup().GetMemberCount() != 3 || change.GetGroup().GetMyRole() != repopb.Role_ROLE_ADMIN {
		t.Errorf("remove: %v", change)
	}
	change = f.remove(t, id, c, c)
	wantEvent(t, change.GetEvent(), &repopb.Event{
		ConversationId: id, Seq: 5, Kind: repopb.EventKind_EVENT_KIND_MEMBER_LEFT, UserId: c, TargetUserIds: []int64{c},
	})
	name, about, limit, policy := "new", "", int32(4), repopb.JoinPolicy_JOIN_POLICY_OPEN
	change = must(t)(f.UpdateGroup(t.Context(), &repopb.UpdateGroupRequest{
		GroupId: id, ActorId: a, Name: &name, Description: &about, MaxMembers: &limit, JoinPolicy: &policy,
	}))
	wantEvent(t, change.GetEvent(), &repopb.Event{
		ConversationId: id, Seq: 6, Kind: repopb.EventKind_EVENT_KIND_GROUP_UPDATED, UserId: a, Name: "new", Avatar: "a.png",
	})
	card := f.card(t, id, c)
	if card.GetName() != "new" || card.GetDescription() != "" || card.GetMaxMembers() != 4 || card.GetJoinPolicy() != policy || card.GetMemberCount() != 2 {
		t.Errorf("updated: %v", card)
	}
	change = must(t)(f.DissolveGroup(t.Context(), &repopb.DissolveGroupRequest{GroupId: id, ActorId: owner}))
	wantEvent(t, change.GetEvent(), &repopb.Event{ConversationId: id, Seq: 7, Kind: repopb.EventKind_EVENT_KIND_DISSOLVED, UserId: owner})
	if change.GetGroup().GetDissolvedAt() != change.GetEvent().GetCreatedAt() {
		t.Errorf("dissolved: %v", change)
	}
	checkGroup(t, f, id)
}

func testGroupTransfer(t *testing.T, f *groupFixture) {
	u := f.users(t, 2)
	owner, heir := u[0], u[1]
	id := f.newGroup(t, owner, heir).GetId()
	until := time.Now().Add(time.Hour).UnixMilli()
	must(t)(f.UpdateGroupMember(t.Context(), &repopb.UpdateGroupMemberRequest{GroupId: id, ActorId: owner, UserId: heir, MutedUntil: &until}))
	change := must(t)(f.TransferGroup(t.Context(), &repopb.TransferGroupRequest{GroupId: id, ActorId: owner, UserId: heir}))
	wantEvent(t, change.GetEvent(), &repopb.Event{
		ConversationId: id, Seq: 3, Kind: repopb.EventKind_EVENT_KIND_ROLE_CHANGED, UserId: owner, TargetUserIds: []int64{heir}, Role: repopb.Role_ROLE_OWNER,
	})
	if g := change.GetGroup(); g.GetOwnerId() != heir || g.GetMyRole() != repopb.Role_ROLE_ADMIN {
		t.Errorf("transferred: %v", g)
	}
	if roles := f.roles(t, id); roles[owner] != repopb.Role_ROLE_ADMIN || roles[heir] != repopb.Role_ROLE_OWNER {
		t.Errorf("roles: %v", roles)
	}
	if r := f.say(t, id, heir, "mine now"); r.GetCode() != 0 {
		t.Errorf("an owner who was muted before: %v", r)
	}
	_, err := f.TransferGroup(t.Context(), &repopb.TransferGroupRequest{GroupId: id, ActorId: owner, UserId: owner})
	wantCode(t, "the former owner takes it back", err, errs.Forbidden)
	f.remove(t, id, owner, owner)
	checkGroup(t, f, id)
}

func testGroupMute(t *testing.T, f *groupFixture) {
	u := f.users(t, 2)
	owner, member := u[0], u[1]
	id := f.newGroup(t, owner, member).GetId()
	set := func(until int64) *repopb.GroupChange {
		return must(t)(f.UpdateGroupMember(t.Context(), &repopb.UpdateGroupMemberRequest{GroupId: id, ActorId: owner, UserId: member, MutedUntil: &until}))
	}
	until := time.Now().Add(time.Hour).UnixMilli()
	wantEvent(t, set(until).GetEvent(), &repopb.Event{
		ConversationId: id, Seq: 2, Kind: repopb.EventKind_EVENT_KIND_MEMBER_MUTED, UserId: owner, TargetUserIds: []int64{member}, MutedUntil: until,
	})
	if r := f.say(t, id, member, "silenced"); errs.Code(r.GetCode()) != errs.Forbidden {
		t.Errorf("a muted member sends: %v", r)
	}
	if r := f.say(t, id, owner, "quiet"); r.GetCode() != 0 {
		t.Errorf("the owner sends: %v", r)
	}
	if set(until).GetEvent() != nil {
		t.Error("the same mute again made an event")
	}
	// Leaving and coming back does not lift it.
	f.remove(t, id, member, member)
	f.add(t, id, member, member)
	if r := f.say(t, id, member, "back"); errs.Code(r.GetCode()) != errs.Forbidden {
		t.Errorf("a muted member sends after coming back: %v", r)
	}
	if m := f.members(t, id); m[0].GetMutedUntil()+m[1].GetMutedUntil() != until {
		t.Errorf("members: %v", m)
	}
	if ev := set(time.Now().Add(-time.Hour).UnixMilli()).GetEvent(); ev.GetMutedUntil() != 0 || ev == nil {
		t.Errorf("a mute that is over: %v", ev)
	}
	if r := f.say(t, id, member, "at last"); r.GetCode() != 0 {
		t.Errorf("after the mute: %v", r)
	}
	if set(0).GetEvent() != nil {
		t.Error("lifting no mute made an event")
	}
	checkGroup(t, f, id)
}

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

func testGroupDissolved(t *testing.T, f *groupFixture) {
	u := f.users(t, 9)
	all := cast{
		f: f, owner: u[0], admin: u[1], admin2: u[2], member: u[3], member2: u[4],
		outsider: u[5], left: u[6], stranger: u[7], asker: u[8],
	}
	c := all.assemble(t, repopb.JoinPolicy_JOIN_POLICY_APPROVAL)
	must(t)(f.DissolveGroup(t.Context(), &repopb.DissolveGroupRequest{GroupId: c.group, ActorId: c.owner}))
	before := len(f.log(t, c.group))
	for _, p := range permissions {
		reads := p.name == "list members" || p.name == "look at the card" || p.name == "read the history" || p.name == "list requests"
		for i, actor := range []int64{c.owner, c.admin, c.member, c.outsider, c.left} {
			_, err := p.do(t.Context(), c, actor)
			want := errs.Conflict
			switch {
			case i > 2:
				want = errs.NotFound // whoever is not in it sees nothing any more
			case p.name == "list requests" && i == 2:
				want = errs.Forbidden
			case reads:
				want = errs.OK
			}
			wantCode(t, fmt.Sprintf("%s by %d in a dissolved group", p.name, i), err, want)
		}
	}
	if after := len(f.log(t, c.group)); after != before {
		t.Errorf("%d events after the end", after-before)
	}
	r, err := f.ListJoinRequests(t.Context(), &repopb.ListJoinRequestsRequest{GroupId: c.group, ActorId: c.owner, Limit: 10})
	if err != nil || len(r.GetRequests()) != 0 {
		t.Errorf("requests to a dissolved group: %v, %v", r, err)
	}
	checkGroup(t, f, c.group)
}

func testGroupRejoin(t *testing.T, f *groupFixture) {
	u := f.users(t, 2)
	owner, member := u[0], u[1]
	id := f.newGroup(t, owner, member).GetId()
	f.say(t, id, member, "one")
	f.say(t, id, owner, "two")
	unread := func() int64 {
		v, err := f.GetConversation(t.Context(), &repopb.GetConversationRequest{ConversationId: id, UserId: member})
		if err != nil {
			t.Fatal(err)
		}
		return v.GetUnread()
	}
	if n := unread(); n != 1 {
		t.Errorf("unread %d, want 1", n)
	}
	f.setRole(t, id, owner, member, repopb.Role_ROLE_ADMIN)
	f.remove(t, id, member, member)
	if _, err := f.GetConversation(t.Context(), &repopb.GetConversationRequest{ConversationId: id, UserId: member}); errs.CodeOf(err) != errs.NotFound {
		t.Errorf("the conversation of one who left: %v", err)
	}
	f.say(t, id, owner, "three")
	change := f.add(t, id, member, member)
	if n := unread(); n != 0 { // everything before it came back counts as read
		t.Errorf("unread after coming back: %d", n)
	}
	if change.GetGroup().GetMyRole() != repopb.Role_ROLE_MEMBER || f.roles(t, id)[member] != repopb.Role_ROLE_MEMBER {
		t.Errorf("came back as %v", f.roles(t, id)[member])
	}
	f.say(t, id, owner, "four")
	f.say(t, id, member, "five")
	if n := unread(); n != 1 {
		t.Errorf("unread after another: %d", n)
	}
	checkGroup(t, f, id)
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

func testGroupMembersPaged(t *testing.T, f *groupFixture) {
	u := f.users(t, 25)
	id := f.newGroup(t, u[0], u[1:]...).GetId()
	f.remove(t, id, u[3], u[3])
	want := slices.DeleteFunc(sorted(u...), func(v int64) bool { return v == u[3] })
	var got []int64
	for after := int64(0); ; {
		page, err := f.GetGroupMembers(t.Context(), &repopb.GetGroupMembersRequest{GroupId: id, ActorId: u[1], AfterUserId: after, Limit: 8})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page.GetMembers() {
			got = append(got, m.GetUserId())
			after = m.GetUserId()
			if m.GetUsername() == "" || m.GetNickname() != "Nick "+m.GetUsername() || m.GetJoinedAt() == 0 {
				t.Errorf("member: %v", m)
			}
		}
		if page.GetHasMore() != (len(got) < len(want)) {
			t.Errorf("has_more %v after %d of %d", page.GetHasMore(), len(got), len(want))
		}
		if !page.GetHasMore() {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("members %v, want %v", got, want)
	}
}

func testGroupCachesFollow(t *testing.T, f *groupFixture) {
	u := f.users(t, 3)
	owner, member, joiner := u[0], u[1], u[2]
	id := f.newGroup(t, owner, member).GetId()
	seen := func(user int64) *repopb.SenderState {
		r, err := f.CheckSenders(t.Context(), &repopb.CheckSendersRequest{Senders: []*repopb.CheckSendersRequest_Sender{{ConversationId: id, UserId: user}}})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetSenders()[0]
	}
	routed := func() []int64 {
		r, err := f.GetRoutes(t.Context(), &repopb.GetRoutesRequest{ConversationIds: []int64{id}})
		if err != nil {
			t.Fatal(err)
		}
		return sorted(r.GetRoutes()[0].GetMemberIds()...)
	}
	look := func() (*repopb.Group, *repopb.SenderState, []int64) {
		return f.card(t, id, joiner), seen(joiner), routed()
	}
	look()
	f.add(t, id, owner, joiner)
	if g, s, r := look(); g.GetMemberCount() != 3 || g.GetMyRole() != repopb.Role_ROLE_MEMBER || !s.GetMember() || !s.GetActive() || len(r) != 3 {
		t.Errorf("joined: %v %v %v", g, s, r)
	}
	until := time.Now().Add(time.Hour).UnixMilli()
	must(t)(f.UpdateGroupMember(t.Context(), &repopb.UpdateGroupMemberRequest{GroupId: id, ActorId: owner, UserId: joiner, MutedUntil: &until}))
	if s := seen(joiner); s.GetMutedUntil() != until {
		t.Errorf("muted: %v", s)
	}
	f.setRole(t, id, owner, joiner, repopb.Role_ROLE_ADMIN)
	if g, s, _ := look(); g.GetMyRole() != repopb.Role_ROLE_ADMIN || s.GetRole() != repopb.Role_ROLE_ADMIN {
		t.Errorf("promoted: %v %v", g, s)
	}
	must(t)(f.TransferGroup(t.Context(), &repopb.TransferGroupRequest{GroupId: id, ActorId: owner, UserId: joiner}))
	if g, s, _ := look(); g.GetOwnerId() != joiner || s.GetRole() != repopb.Role_ROLE_OWNER || seen(owner).GetRole() != repopb.Role_ROLE_ADMIN {
		t.Errorf("transferred: %v %v", g, s)
	}
	f.remove(t, id, joiner, member)
	if s, r := seen(member), routed(); s.GetMember() || slices.Contains(r, member) {
		t.Errorf("removed: %v %v", s, r)
	}
	name := "another"
	must(t)(f.UpdateGroup(t.Context(), &repopb.UpdateGroupRequest{GroupId: id, ActorId: owner, Name: &name}))
	if g := f.card(t, id, member); g.GetName() != "another" || g.GetMyRole() != 0 {
		t.Errorf("renamed: %v", g)
	}
	must(t)(f.DissolveGroup(t.Context(), &repopb.DissolveGroupRequest{GroupId: id, ActorId: joiner}))
	if g := f.card(t, id, joiner); g.GetDissolvedAt() == 0 {
		t.Errorf("dissolved: %v", g)
	}
	_, err := f.GetGroup(t.Context(), &repopb.GetGroupRequest{GroupId: id, UserId: member})
	wantCode(t, "the card of a dissolved group, to who left", err, errs.NotFound)
}
