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
		TargetUserIds: []int64{a},
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
			if p.name == "leave" && i < 3 || p.name == "remove the owner" && i == 0 {
				continue // at last, all of them
			}
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
	c.allLeaveDissolved(t)
}

// allLeaveDissolved lets one after the other out of a dissolved group, its owner first.
func (c *cast) allLeaveDissolved(t *testing.T) {
	f := c.f
	for i, u := range []int64{c.owner, c.admin, c.admin2, c.member, c.member2} {
		before := f.log(t, c.group)
		change := f.remove(t, c.group, u, u)
		wantEvent(t, change.GetEvent(), &repopb.Event{
			ConversationId: c.group, Seq: int64(len(before) + 1), Kind: repopb.EventKind_EVENT_KIND_MEMBER_LEFT, UserId: u, TargetUserIds: []int64{u},
		})
		if g := change.GetGroup(); g.GetMemberCount() != int32(4-i) || g.GetDissolvedAt() == 0 {
			t.Errorf("left a dissolved group: %v", g)
		}
		for what, err := range map[string]error{
			"its card": second(f.GetGroup(t.Context(), &repopb.GetGroupRequest{GroupId: c.group, UserId: u})),
			"leaving again": second(f.RemoveGroupMember(t.Context(), &repopb.RemoveGroupMemberRequest{
				GroupId: c.group, ActorId: u, UserId: u,
			})),
		} {
			wantCode(t, what+" to who has left", err, errs.NotFound)
		}
		list, err := f.GetConversations(t.Context(), &repopb.GetConversationsRequest{UserId: u, Limit: 10})
		if err != nil || len(list.GetConversations()) != 0 {
			t.Errorf("the list of who has left: %v, %v", list, err)
		}
		checkGroup(t, f, c.group)
		f.checkRoutes(t, c.group)
	}
}

func second[T any](_ T, err error) error { return err }
