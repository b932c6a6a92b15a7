package repotest

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

// LargeGroupThreshold is what Groups wants the implementation to be opened with.
const LargeGroupThreshold = 10

// Groups holds an implementation to the contract of groups, members and join requests.
func Groups(t *testing.T, open func(t testing.TB) repopb.RepoServiceServer) {
	for name, test := range map[string]func(*testing.T, *groupFixture){
		"permissions":          testGroupPermissions,
		"life":                 testGroupLife,
		"transfer":             testGroupTransfer,
		"mute":                 testGroupMute,
		"capacity":             testGroupCapacity,
		"add many":             testGroupAddMany,
		"unchanged":            testGroupUnchanged,
		"bad input":            testGroupBadInput,
		"dissolved":            testGroupDissolved,
		"rejoin":               testGroupRejoin,
		"large":                testGroupLarge,
		"members are paged":    testGroupMembersPaged,
		"join requests":        testJoinRequests,
		"join requests paged":  testJoinRequestsPaged,
		"caches follow":        testGroupCachesFollow,
		"races keep the rules": testGroupRaces,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, &groupFixture{RepoServiceServer: open(t)})
		})
	}
}

// groupFixture is a store with ways to fill it.
type groupFixture struct {
	repopb.RepoServiceServer
	names atomic.Int64
}

func (f *groupFixture) user(t testing.TB) int64 {
	t.Helper()
	name := fmt.Sprintf("user%d", f.names.Add(1))
	u, err := f.CreateUser(t.Context(), &repopb.CreateUserRequest{
		User:         &repopb.User{Username: name, Nickname: "Nick " + name, Status: repopb.UserStatus_USER_STATUS_ACTIVE},
		PasswordHash: "x",
	})
	if err != nil {
		t.Fatal(err)
	}
	return u.GetId()
}

func (f *groupFixture) users(t testing.TB, n int) []int64 {
	t.Helper()
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = f.user(t)
	}
	return ids
}

// newGroup makes an open group of at most 100.
func (f *groupFixture) newGroup(t testing.TB, owner int64, members ...int64) *repopb.Group {
	t.Helper()
	return f.newGroupOf(t, &repopb.Group{
		Name: "group", Description: "about", Avatar: "a.png", OwnerId: owner, MaxMembers: 100, JoinPolicy: repopb.JoinPolicy_JOIN_POLICY_OPEN,
	}, members...)
}

func (f *groupFixture) newGroupOf(t testing.TB, g *repopb.Group, members ...int64) *repopb.Group {
	t.Helper()
	created, err := f.CreateGroup(t.Context(), &repopb.CreateGroupRequest{Group: g, MemberIds: members})
	if err != nil {
		t.Fatal(err)
	}
	return created.GetChange().GetGroup()
}

func (f *groupFixture) add(t testing.TB, group, actor int64, users ...int64) *repopb.GroupChange {
	t.Helper()
	return must(t)(f.AddGroupMember(t.Context(), &repopb.AddGroupMemberRequest{GroupId: group, ActorId: actor, UserIds: users}))
}

func (f *groupFixture) remove(t testing.TB, group, actor, user int64) *repopb.GroupChange {
	t.Helper()
	return must(t)(f.RemoveGroupMember(t.Context(), &repopb.RemoveGroupMemberRequest{GroupId: group, ActorId: actor, UserId: user}))
}

func (f *groupFixture) setRole(t testing.TB, group, actor, user int64, role repopb.Role) *repopb.GroupChange {
	t.Helper()
	return must(t)(f.UpdateGroupMember(t.Context(), &repopb.UpdateGroupMemberRequest{GroupId: group, ActorId: actor, UserId: user, Role: &role}))
}

func (f *groupFixture) say(t testing.TB, group, sender int64, key string) *repopb.CreateMessageResult {
	t.Helper()
	r, err := f.CreateMessages(t.Context(), &repopb.CreateMessagesRequest{Messages: []*repopb.NewMessage{
		{ConversationId: group, SenderId: sender, ClientMsgId: key, Content: key, MessageType: "text"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return r.GetResults()[0]
}

// log returns all of a group's log, as the server reads it.
func (f *groupFixture) log(t testing.TB, group int64) []*repopb.Event {
	t.Helper()
	var all []*repopb.Event
	for {
		page, err := f.GetMessages(t.Context(), &repopb.GetMessagesRequest{
			ConversationId: group, AfterSeq: int64(len(all)), AfterSet: true, IncludeAll: true, Limit: 500,
		})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.GetEvents()...)
		if !page.GetHasMore() {
			return all
		}
	}
}

// members returns the rows of a group's members, as the server reads them.
func (f *groupFixture) members(t testing.TB, group int64) []*repopb.Member {
	t.Helper()
	var all []*repopb.Member
	after := int64(0)
	for {
		page, err := f.GetGroupMembers(t.Context(), &repopb.GetGroupMembersRequest{GroupId: group, AfterUserId: after, Limit: 50})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.GetMembers()...)
		if !page.GetHasMore() {
			return all
		}
		after = all[len(all)-1].GetUserId()
	}
}

func (f *groupFixture) roles(t testing.TB, group int64) map[int64]repopb.Role {
	t.Helper()
	roles := map[int64]repopb.Role{}
	for _, m := range f.members(t, group) {
		roles[m.GetUserId()] = m.GetRole()
	}
	return roles
}

func (f *groupFixture) card(t testing.TB, group, user int64) *repopb.Group {
	t.Helper()
	g, err := f.GetGroup(t.Context(), &repopb.GetGroupRequest{GroupId: group, UserId: user})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// must returns the result of a change that may not fail.
func must(t testing.TB) func(*repopb.GroupChange, error) *repopb.GroupChange {
	return func(c *repopb.GroupChange, err error) *repopb.GroupChange {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
}

func wantCode(t testing.TB, what string, err error, want errs.Code) {
	t.Helper()
	if got := errs.CodeOf(err); got != want {
		t.Errorf("%s: %v (%v), want %v", what, got, err, want)
	}
}

func wantEvent(t testing.TB, got, want *repopb.Event) {
	t.Helper()
	if got == nil {
		t.Errorf("no event, want %v", want)
		return
	}
	if got.GetCreatedAt() == 0 {
		t.Error("event without a time")
	}
	wantMembersSeq(t, got)
	got = logged(got)
	got.CreatedAt = 0
	want.ConversationType = repopb.ConversationType_CONVERSATION_TYPE_GROUP
	if !proto.Equal(got, want) {
		t.Errorf("event\n%v, want\n%v", got, want)
	}
}

// logged is an event as the log shows it later.
func logged(ev *repopb.Event) *repopb.Event {
	ev = proto.CloneOf(ev)
	ev.MembersSeq = 0
	return ev
}

// wantMembersSeq wants a fresh event of a group to carry its own seq when it changed who is in it, an earlier one otherwise.
func wantMembersSeq(t testing.TB, ev *repopb.Event) {
	t.Helper()
	moves := false
	switch ev.GetKind() {
	case repopb.EventKind_EVENT_KIND_CREATED, repopb.EventKind_EVENT_KIND_MEMBER_JOINED, repopb.EventKind_EVENT_KIND_MEMBER_LEFT,
		repopb.EventKind_EVENT_KIND_MEMBER_REMOVED, repopb.EventKind_EVENT_KIND_DISSOLVED:
		moves = true
	default:
	}
	if got := ev.GetMembersSeq(); moves && got != ev.GetSeq() || !moves && (got < 1 || got >= ev.GetSeq()) {
		t.Errorf("members_seq %d of %v", got, ev)
	}
}

func sorted(ids ...int64) []int64 { return slices.Sorted(slices.Values(ids)) }
