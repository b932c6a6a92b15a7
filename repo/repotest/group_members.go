package repotest

import (
	"slices"
	"testing"
	"time"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

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
