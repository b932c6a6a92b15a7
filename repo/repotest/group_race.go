package repotest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

// testGroupRaces lets many users do everything at once in a few groups, then
// lets the logs explain what came of it.
func testGroupRaces(t *testing.T, f *groupFixture) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	const actors, steps, groupCount = 16, 150, 4
	users := f.users(t, 14)
	groups := make([]int64, groupCount)
	for i := range groups {
		groups[i] = f.newGroupOf(t, &repopb.Group{
			Name: "race", OwnerId: users[i], MaxMembers: 8, JoinPolicy: []repopb.JoinPolicy{
				repopb.JoinPolicy_JOIN_POLICY_OPEN, repopb.JoinPolicy_JOIN_POLICY_APPROVAL,
			}[i%2],
		}, users[i+1], users[i+2]).GetId()
	}
	var wg sync.WaitGroup
	for a := range actors {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(a)))
			for step := range steps {
				r := racer{
					f: f, group: groups[rng.IntN(groupCount)], key: fmt.Sprintf("%d-%d", a, step),
					actor: users[rng.IntN(len(users))], other: users[rng.IntN(len(users))], third: users[rng.IntN(len(users))],
				}
				if g, err := f.GetGroup(t.Context(), &repopb.GetGroupRequest{GroupId: r.group, UserId: r.actor}); err == nil && rng.IntN(3) > 0 {
					r.actor = g.GetOwnerId() // somebody who can do things
				}
				what := rng.IntN(100)
				if what == 99 && (r.group == groups[0] || step < steps/2) {
					what = 0 // the first group lives on, the others for a while
				}
				switch err := r.do(t.Context(), what); errs.CodeOf(err) {
				case errs.OK, errs.NotFound, errs.Forbidden, errs.Conflict:
				default:
					t.Errorf("step %d of actor %d: %v", step, a, err)
				}
			}
		})
	}
	wg.Wait()
	for _, g := range groups {
		checkGroup(t, f, g)
		f.checkRoutes(t, g)
	}
}

// checkRoutes compares what delivery is told with who is in the group.
func (f *groupFixture) checkRoutes(t testing.TB, group int64) {
	t.Helper()
	r, err := f.GetRoutes(t.Context(), &repopb.GetRoutesRequest{ConversationIds: []int64{group}})
	if err != nil || len(r.GetRoutes()) != 1 {
		t.Fatal(r, err)
	}
	roles := f.roles(t, group)
	if got := r.GetRoutes()[0].GetMemberIds(); len(got) != len(roles) {
		t.Errorf("group %d: routed to %v, members %v", group, got, roles)
	}
	for _, u := range r.GetRoutes()[0].GetMemberIds() {
		if roles[u] == 0 {
			t.Errorf("group %d: routed to %d, who is not in it", group, u)
		}
	}
	for u, role := range roles {
		s, err := f.CheckSenders(t.Context(), &repopb.CheckSendersRequest{Senders: []*repopb.CheckSendersRequest_Sender{{ConversationId: group, UserId: u}}})
		if err != nil || !s.GetSenders()[0].GetMember() || s.GetSenders()[0].GetRole() != role {
			t.Errorf("group %d: user %d is %v, cached as %v (%v)", group, u, role, s, err)
		}
	}
}

// racer is one step of one user.
type racer struct {
	f                          *groupFixture
	group, actor, other, third int64
	key                        string
}

func (r *racer) do(ctx context.Context, what int) error {
	var err error
	switch {
	case what < 20:
		_, err = r.f.AddGroupMember(ctx, &repopb.AddGroupMemberRequest{GroupId: r.group, ActorId: r.other, UserIds: []int64{r.other}})
	case what < 35:
		_, err = r.f.AddGroupMember(ctx, &repopb.AddGroupMemberRequest{GroupId: r.group, ActorId: r.actor, UserIds: []int64{r.other, r.third}})
	case what < 45:
		_, err = r.f.RemoveGroupMember(ctx, &repopb.RemoveGroupMemberRequest{GroupId: r.group, ActorId: r.other, UserId: r.other})
	case what < 55:
		_, err = r.f.RemoveGroupMember(ctx, &repopb.RemoveGroupMemberRequest{GroupId: r.group, ActorId: r.actor, UserId: r.other})
	case what < 62:
		_, err = r.f.TransferGroup(ctx, &repopb.TransferGroupRequest{GroupId: r.group, ActorId: r.actor, UserId: r.other})
	case what < 70:
		role := []repopb.Role{repopb.Role_ROLE_MEMBER, repopb.Role_ROLE_ADMIN}[what%2]
		_, err = r.f.UpdateGroupMember(ctx, &repopb.UpdateGroupMemberRequest{GroupId: r.group, ActorId: r.actor, UserId: r.other, Role: &role})
	case what < 74:
		until := int64(what%2) * time.Now().Add(time.Hour).UnixMilli()
		_, err = r.f.UpdateGroupMember(ctx, &repopb.UpdateGroupMemberRequest{GroupId: r.group, ActorId: r.actor, UserId: r.other, MutedUntil: &until})
	case what < 78:
		_, err = r.f.CreateJoinRequest(ctx, &repopb.CreateJoinRequestRequest{GroupId: r.group, UserId: r.other})
	case what < 82:
		_, err = r.f.DecideJoinRequest(ctx, &repopb.DecideJoinRequestRequest{GroupId: r.group, ActorId: r.actor, UserId: r.other, Approve: true})
	case what < 84:
		name := r.key
		_, err = r.f.UpdateGroup(ctx, &repopb.UpdateGroupRequest{GroupId: r.group, ActorId: r.actor, Name: &name})
	case what < 99:
		return r.send(ctx)
	default:
		_, err = r.f.DissolveGroup(ctx, &repopb.DissolveGroupRequest{GroupId: r.group, ActorId: r.actor})
	}
	return err
}

func (r *racer) send(ctx context.Context) error {
	sent, err := r.f.CreateMessages(ctx, &repopb.CreateMessagesRequest{Messages: []*repopb.NewMessage{
		{ConversationId: r.group, SenderId: r.other, ClientMsgId: r.key, Content: r.key, MessageType: "text"},
	}})
	if err != nil {
		return err
	}
	if code := sent.GetResults()[0].GetCode(); code != 0 {
		return errs.New(errs.Code(code), "%s", sent.GetResults()[0].GetError())
	}
	return nil
}
