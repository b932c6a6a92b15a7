package repotest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

// cast is a group with one user of every standing, and a second of some.
type cast struct {
	f                                     *groupFixture
	group                                 int64
	owner, admin, admin2, member, member2 int64
	outsider, left, stranger, asker       int64
}

// action is something that a user tries; each returns the change, if any.
type action func(ctx context.Context, c *cast, actor int64) (*repopb.GroupChange, error)

const (
	okay      = errs.OK
	invisible = errs.NotFound
	forbidden = errs.Forbidden
	conflict  = errs.Conflict
)

// permissions says what becomes of each action, by who tries: owner, admin, member, outsider, who left.
var permissions = []struct {
	name   string
	policy repopb.JoinPolicy // open when not given
	do     action
	want   [5]errs.Code
	quiet  bool // success appends no event
}{
	{name: "rename", do: rename, want: [5]errs.Code{okay, okay, forbidden, invisible, invisible}},
	{name: "dissolve", do: dissolve, want: [5]errs.Code{okay, forbidden, forbidden, invisible, invisible}},
	{name: "add a stranger", do: addTo(stranger), want: [5]errs.Code{okay, okay, forbidden, invisible, invisible}},
	{name: "add who left", do: addTo(alsoLeft), want: [5]errs.Code{okay, okay, forbidden, invisible, invisible}},
	{name: "add a member", do: addTo(otherMember), want: [5]errs.Code{okay, okay, forbidden, invisible, invisible}, quiet: true},
	{
		name: "add a stranger by invitation", policy: repopb.JoinPolicy_JOIN_POLICY_INVITE, do: addTo(stranger),
		want: [5]errs.Code{okay, okay, forbidden, invisible, invisible},
	},
	{name: "join an open group", do: joinSelf, want: [5]errs.Code{conflict, conflict, conflict, okay, okay}},
	{
		name: "join where approval is due", policy: repopb.JoinPolicy_JOIN_POLICY_APPROVAL, do: joinSelf,
		want: [5]errs.Code{conflict, conflict, conflict, forbidden, forbidden},
	},
	{
		name: "join by invitation only", policy: repopb.JoinPolicy_JOIN_POLICY_INVITE, do: joinSelf,
		want: [5]errs.Code{conflict, conflict, conflict, forbidden, forbidden},
	},
	{
		name: "ask to join where approval is due", policy: repopb.JoinPolicy_JOIN_POLICY_APPROVAL, do: ask,
		want: [5]errs.Code{conflict, conflict, conflict, okay, okay}, quiet: true,
	},
	{
		name: "ask to join by invitation only", policy: repopb.JoinPolicy_JOIN_POLICY_INVITE, do: ask,
		want: [5]errs.Code{conflict, conflict, conflict, forbidden, forbidden},
	},
	{name: "ask to join an open group", do: ask, want: [5]errs.Code{conflict, conflict, conflict, conflict, conflict}},
	{name: "leave", do: kick(self), want: [5]errs.Code{conflict, okay, okay, invisible, invisible}},
	{name: "remove a member", do: kick(otherMember), want: [5]errs.Code{okay, okay, forbidden, invisible, invisible}},
	{name: "remove an admin", do: kick(otherAdmin), want: [5]errs.Code{okay, forbidden, forbidden, invisible, invisible}},
	{name: "remove the owner", do: kick(theOwner), want: [5]errs.Code{conflict, forbidden, forbidden, invisible, invisible}},
	{name: "remove a stranger", do: kick(stranger), want: [5]errs.Code{invisible, invisible, forbidden, invisible, invisible}},
	{name: "promote a member", do: role(otherMember, repopb.Role_ROLE_ADMIN), want: [5]errs.Code{okay, forbidden, forbidden, invisible, invisible}},
	{name: "demote an admin", do: role(otherAdmin, repopb.Role_ROLE_MEMBER), want: [5]errs.Code{okay, forbidden, forbidden, invisible, invisible}},
	{name: "demote the owner", do: role(theOwner, repopb.Role_ROLE_MEMBER), want: [5]errs.Code{conflict, forbidden, forbidden, invisible, invisible}},
	{name: "promote oneself", do: role(self, repopb.Role_ROLE_ADMIN), want: [5]errs.Code{conflict, forbidden, forbidden, invisible, invisible}},
	{name: "promote a stranger", do: role(stranger, repopb.Role_ROLE_ADMIN), want: [5]errs.Code{invisible, forbidden, forbidden, invisible, invisible}},
	{name: "mute a member", do: mute(otherMember), want: [5]errs.Code{okay, okay, forbidden, invisible, invisible}},
	{name: "mute an admin", do: mute(otherAdmin), want: [5]errs.Code{okay, forbidden, forbidden, invisible, invisible}},
	{name: "mute the owner", do: mute(theOwner), want: [5]errs.Code{forbidden, forbidden, forbidden, invisible, invisible}},
	{name: "mute oneself", do: mute(self), want: [5]errs.Code{forbidden, forbidden, forbidden, invisible, invisible}},
	{name: "mute a stranger", do: mute(stranger), want: [5]errs.Code{invisible, invisible, forbidden, invisible, invisible}},
	{name: "transfer to a member", do: transfer(otherMember), want: [5]errs.Code{okay, forbidden, forbidden, invisible, invisible}},
	{name: "transfer to oneself", do: transfer(self), want: [5]errs.Code{conflict, forbidden, forbidden, invisible, invisible}},
	{name: "transfer to a stranger", do: transfer(stranger), want: [5]errs.Code{invisible, forbidden, forbidden, invisible, invisible}},
	{
		name: "approve a request", policy: repopb.JoinPolicy_JOIN_POLICY_APPROVAL, do: decide(true),
		want: [5]errs.Code{okay, okay, forbidden, invisible, invisible},
	},
	{
		name: "refuse a request", policy: repopb.JoinPolicy_JOIN_POLICY_APPROVAL, do: decide(false),
		want: [5]errs.Code{okay, okay, forbidden, invisible, invisible}, quiet: true,
	},
	{name: "list requests", do: listRequests, want: [5]errs.Code{okay, okay, forbidden, invisible, invisible}, quiet: true},
	{name: "list members", do: listMembers, want: [5]errs.Code{okay, okay, okay, invisible, invisible}, quiet: true},
	{name: "look at the card", do: look, want: [5]errs.Code{okay, okay, okay, okay, okay}, quiet: true},
	{name: "send a message", do: send, want: [5]errs.Code{okay, okay, okay, invisible, invisible}},
	{name: "read the history", do: history, want: [5]errs.Code{okay, okay, okay, invisible, invisible}, quiet: true},
}

func testGroupPermissions(t *testing.T, f *groupFixture) {
	u := f.users(t, 9)
	all := cast{
		f: f, owner: u[0], admin: u[1], admin2: u[2], member: u[3], member2: u[4],
		outsider: u[5], left: u[6], stranger: u[7], asker: u[8],
	}
	for _, p := range permissions {
		for i, who := range []string{"owner", "admin", "member", "outsider", "left"} {
			c := all.assemble(t, p.policy)
			actor := []int64{c.owner, c.admin, c.member, c.outsider, c.left}[i]
			before, card := f.log(t, c.group), f.card(t, c.group, c.owner)
			change, err := p.do(t.Context(), c, actor)
			what := who + ": " + p.name
			wantCode(t, what, err, p.want[i])
			after := f.log(t, c.group)
			added := 1
			if err != nil || p.quiet {
				added = 0
			}
			if len(after) != len(before)+added {
				t.Errorf("%s: %d events, then %d", what, len(before), len(after))
			}
			if err != nil && !proto.Equal(card, f.card(t, c.group, c.owner)) {
				t.Errorf("%s: refused, but the group changed", what)
			}
			if added == 1 && change != nil && !proto.Equal(after[len(after)-1], logged(change.GetEvent())) {
				t.Errorf("%s: event %v, the log has %v", what, change.GetEvent(), after[len(after)-1])
			}
			checkGroup(t, f, c.group)
		}
	}
	c := all.assemble(t, 0)
	for _, p := range permissions {
		c.group = 12345 // what does not exist
		if _, err := p.do(t.Context(), c, c.owner); errs.CodeOf(err) != errs.NotFound {
			t.Errorf("%s in no group: %v", p.name, err)
		}
	}
}

// assemble makes a new group with everybody in place.
func (c cast) assemble(t *testing.T, policy repopb.JoinPolicy) *cast {
	t.Helper()
	if policy == 0 {
		policy = repopb.JoinPolicy_JOIN_POLICY_OPEN
	}
	g := c.f.newGroupOf(t, &repopb.Group{Name: "g", OwnerId: c.owner, MaxMembers: 100, JoinPolicy: policy}, c.admin, c.admin2, c.member, c.member2, c.left)
	c.group = g.GetId()
	c.f.setRole(t, c.group, c.owner, c.admin, repopb.Role_ROLE_ADMIN)
	c.f.setRole(t, c.group, c.owner, c.admin2, repopb.Role_ROLE_ADMIN)
	c.f.remove(t, c.group, c.left, c.left)
	if policy == repopb.JoinPolicy_JOIN_POLICY_APPROVAL {
		if _, err := c.f.CreateJoinRequest(t.Context(), &repopb.CreateJoinRequestRequest{GroupId: c.group, UserId: c.asker}); err != nil {
			t.Fatal(err)
		}
	}
	return &c
}

type whom func(c *cast, actor int64) int64

func self(_ *cast, actor int64) int64   { return actor }
func theOwner(c *cast, _ int64) int64   { return c.owner }
func otherAdmin(c *cast, _ int64) int64 { return c.admin2 }

func otherMember(c *cast, _ int64) int64 { return c.member2 }
func stranger(c *cast, _ int64) int64    { return c.stranger }

// alsoLeft is who left, or somebody else for who left.
func alsoLeft(c *cast, actor int64) int64 {
	if actor == c.left {
		return c.stranger
	}
	return c.left
}

func rename(ctx context.Context, c *cast, actor int64) (*repopb.GroupChange, error) {
	name := "renamed"
	return c.f.UpdateGroup(ctx, &repopb.UpdateGroupRequest{GroupId: c.group, ActorId: actor, Name: &name})
}

func dissolve(ctx context.Context, c *cast, actor int64) (*repopb.GroupChange, error) {
	return c.f.DissolveGroup(ctx, &repopb.DissolveGroupRequest{GroupId: c.group, ActorId: actor})
}

func addTo(user whom) action {
	return func(ctx context.Context, c *cast, actor int64) (*repopb.GroupChange, error) {
		return c.f.AddGroupMember(ctx, &repopb.AddGroupMemberRequest{GroupId: c.group, ActorId: actor, UserIds: []int64{user(c, actor)}})
	}
}

var joinSelf = addTo(self)

func ask(ctx context.Context, c *cast, actor int64) (*repopb.GroupChange, error) {
	_, err := c.f.CreateJoinRequest(ctx, &repopb.CreateJoinRequestRequest{GroupId: c.group, UserId: actor})
	return nil, err
}

func kick(user whom) action {
	return func(ctx context.Context, c *cast, actor int64) (*repopb.GroupChange, error) {
		return c.f.RemoveGroupMember(ctx, &repopb.RemoveGroupMemberRequest{GroupId: c.group, ActorId: actor, UserId: user(c, actor)})
	}
}

func role(user whom, to repopb.Role) action {
	return func(ctx context.Context, c *cast, actor int64) (*repopb.GroupChange, error) {
		return c.f.UpdateGroupMember(ctx, &repopb.UpdateGroupMemberRequest{GroupId: c.group, ActorId: actor, UserId: user(c, actor), Role: &to})
	}
}

func mute(user whom) action {
	return func(ctx context.Context, c *cast, actor int64) (*repopb.GroupChange, error) {
		until := time.Now().Add(time.Hour).UnixMilli()
		return c.f.UpdateGroupMember(ctx, &repopb.UpdateGroupMemberRequest{GroupId: c.group, ActorId: actor, UserId: user(c, actor), MutedUntil: &until})
	}
}

func transfer(user whom) action {
	return func(ctx context.Context, c *cast, actor int64) (*repopb.GroupChange, error) {
		return c.f.TransferGroup(ctx, &repopb.TransferGroupRequest{GroupId: c.group, ActorId: actor, UserId: user(c, actor)})
	}
}

func decide(approve bool) action {
	return func(ctx context.Context, c *cast, actor int64) (*repopb.GroupChange, error) {
		return c.f.DecideJoinRequest(ctx, &repopb.DecideJoinRequestRequest{GroupId: c.group, ActorId: actor, UserId: c.asker, Approve: approve})
	}
}

func listRequests(ctx context.Context, c *cast, actor int64) (*repopb.GroupChange, error) {
	_, err := c.f.ListJoinRequests(ctx, &repopb.ListJoinRequestsRequest{GroupId: c.group, ActorId: actor, Limit: 10})
	return nil, err
}

func listMembers(ctx context.Context, c *cast, actor int64) (*repopb.GroupChange, error) {
	_, err := c.f.GetGroupMembers(ctx, &repopb.GetGroupMembersRequest{GroupId: c.group, ActorId: actor, Limit: 10})
	return nil, err
}

func look(ctx context.Context, c *cast, actor int64) (*repopb.GroupChange, error) {
	g, err := c.f.GetGroup(ctx, &repopb.GetGroupRequest{GroupId: c.group, UserId: actor})
	member := slices.Contains([]int64{c.owner, c.admin, c.member}, actor)
	if err == nil && (g.GetMyRole() != repopb.Role_ROLE_UNSPECIFIED) != member {
		return nil, errors.New("the card tells the wrong role")
	}
	return nil, err
}

func send(ctx context.Context, c *cast, actor int64) (*repopb.GroupChange, error) {
	r, err := c.f.CreateMessages(ctx, &repopb.CreateMessagesRequest{Messages: []*repopb.NewMessage{
		{ConversationId: c.group, SenderId: actor, ClientMsgId: "hello in " + itoa(c.group), Content: "hello", MessageType: "text"},
	}})
	if err != nil {
		return nil, err
	}
	if code := r.GetResults()[0].GetCode(); code != 0 {
		return nil, errs.New(errs.Code(code), "refused")
	}
	return nil, nil
}

func history(ctx context.Context, c *cast, actor int64) (*repopb.GroupChange, error) {
	_, err := c.f.GetMessages(ctx, &repopb.GetMessagesRequest{ConversationId: c.group, UserId: actor, Limit: 10})
	return nil, err
}
