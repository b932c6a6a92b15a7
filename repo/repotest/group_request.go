package repotest

import (
	"slices"
	"testing"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

func (f *groupFixture) ask(t testing.TB, group, user int64) error {
	t.Helper()
	_, err := f.CreateJoinRequest(t.Context(), &repopb.CreateJoinRequestRequest{GroupId: group, UserId: user})
	return err
}

func (f *groupFixture) requests(t testing.TB, group, actor, after int64, limit int32) (ids []int64, more bool) {
	t.Helper()
	r, err := f.ListJoinRequests(t.Context(), &repopb.ListJoinRequestsRequest{GroupId: group, ActorId: actor, AfterUserId: after, Limit: limit})
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range r.GetRequests() {
		if q.GetUsername() == "" || q.GetCreatedAt() == 0 {
			t.Errorf("request: %v", q)
		}
		ids = append(ids, q.GetUserId())
	}
	return ids, r.GetHasMore()
}

func testJoinRequests(t *testing.T, f *groupFixture) {
	u := f.users(t, 5)
	owner, a, b, c, d := u[0], u[1], u[2], u[3], u[4]
	g := f.newGroupOf(t, &repopb.Group{Name: "g", OwnerId: owner, MaxMembers: 3, JoinPolicy: repopb.JoinPolicy_JOIN_POLICY_APPROVAL})
	id := g.GetId()
	for _, user := range []int64{a, b, a, c, d, a} { // asking twice is the same request
		if err := f.ask(t, id, user); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := f.requests(t, id, owner, 0, 10); !slices.Equal(sorted(got...), sorted(a, b, c, d)) {
		t.Errorf("requests: %v", got)
	}
	wantCode(t, "a request of nobody", f.ask(t, id, 12345), errs.Invalid)
	decide := func(user int64, approve bool) (*repopb.GroupChange, error) {
		return f.DecideJoinRequest(t.Context(), &repopb.DecideJoinRequestRequest{GroupId: id, ActorId: owner, UserId: user, Approve: approve})
	}
	change := must(t)(decide(a, true))
	wantEvent(t, change.GetEvent(), &repopb.Event{
		ConversationId: id, Seq: 2, Kind: repopb.EventKind_EVENT_KIND_MEMBER_JOINED, UserId: owner, TargetUserIds: []int64{a},
	})
	if !slices.Equal(change.GetAddedUserIds(), []int64{a}) {
		t.Errorf("approved: %v", change)
	}
	_, err := decide(a, true)
	wantCode(t, "approve twice", err, errs.NotFound)
	wantCode(t, "ask as a member", f.ask(t, id, a), errs.Conflict)
	if change := must(t)(decide(b, false)); change.GetEvent() != nil || len(change.GetAddedUserIds()) != 0 {
		t.Errorf("refused: %v", change)
	}
	_, err = decide(b, true)
	wantCode(t, "approve what was refused", err, errs.NotFound)
	f.add(t, id, owner, c) // who is added needs no approval any more
	if got, _ := f.requests(t, id, owner, 0, 10); !slices.Equal(got, []int64{d}) {
		t.Errorf("requests left: %v", got)
	}
	_, err = decide(d, true)
	wantCode(t, "approve into a full group", err, errs.Conflict)
	if got, _ := f.requests(t, id, owner, 0, 10); !slices.Equal(got, []int64{d}) {
		t.Errorf("requests after a conflict: %v", got)
	}
	if err := f.ask(t, id, b); err != nil { // who was refused may ask again
		t.Error(err)
	}
	checkGroup(t, f, id)
}

func testJoinRequestsPaged(t *testing.T, f *groupFixture) {
	u := f.users(t, 11)
	owner := u[0]
	id := f.newGroupOf(t, &repopb.Group{Name: "g", OwnerId: owner, MaxMembers: 100, JoinPolicy: repopb.JoinPolicy_JOIN_POLICY_APPROVAL}).GetId()
	other := f.newGroupOf(t, &repopb.Group{Name: "g", OwnerId: owner, MaxMembers: 100, JoinPolicy: repopb.JoinPolicy_JOIN_POLICY_APPROVAL}).GetId()
	for _, user := range u[1:] {
		for _, g := range []int64{id, other} {
			if err := f.ask(t, g, user); err != nil {
				t.Fatal(err)
			}
		}
	}
	all, more := f.requests(t, id, owner, 0, 100)
	if more || !slices.Equal(sorted(all...), sorted(u[1:]...)) {
		t.Fatalf("requests: %v, more %v", all, more)
	}
	var got []int64
	for after := int64(0); ; after = got[len(got)-1] {
		page, more := f.requests(t, id, owner, after, 3)
		got = append(got, page...)
		if more != (len(got) < len(all)) {
			t.Errorf("has_more %v after %d of %d", more, len(got), len(all))
		}
		if !more {
			break
		}
	}
	if !slices.Equal(got, all) {
		t.Errorf("by pages %v, at once %v", got, all)
	}
	// A page was decided: what follows its last is what is left.
	for _, user := range all[:3] {
		must(t)(f.DecideJoinRequest(t.Context(), &repopb.DecideJoinRequestRequest{GroupId: id, ActorId: owner, UserId: user, Approve: true}))
	}
	if page, _ := f.requests(t, id, owner, all[2], 3); !slices.Equal(page, all[3:6]) {
		t.Errorf("after a decided one: %v, want %v", page, all[3:6])
	}
}
