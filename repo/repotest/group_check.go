package repotest

import (
	"strconv"
	"testing"

	"github.com/gochat-im/gochat/repo/repopb"
)

func itoa(v int64) string { return strconv.FormatInt(v, 10) }

// checkGroup replays a group's log from its creation and compares what it
// tells with what the store keeps: the log alone must explain the group.
func checkGroup(t testing.TB, f *groupFixture, group int64) {
	t.Helper()
	log := f.log(t, group)
	r := replay{t: t, group: group, roles: map[int64]repopb.Role{}, muted: map[int64]int64{}}
	kept := f.members(t, group)
	if len(kept) == 0 { // nobody sees its card any more
		r.max = len(log)
		r.play(log, kept)
		if !r.dissolved {
			t.Errorf("group %d: everybody has left", group)
		}
		return
	}
	owner := int64(0)
	for _, m := range kept {
		if m.GetRole() == repopb.Role_ROLE_OWNER {
			if owner != 0 {
				t.Errorf("group %d: two owners", group)
			}
			owner = m.GetUserId()
		}
	}
	card := f.card(t, group, kept[0].GetUserId())
	if owner == 0 && card.GetDissolvedAt() == 0 || owner != 0 && card.GetOwnerId() != owner {
		t.Errorf("group %d: the card's owner is %d, the member row's %d", group, card.GetOwnerId(), owner)
	}
	if int(card.GetMemberCount()) != len(kept) {
		t.Errorf("group %d: counts %d members, has %d", group, card.GetMemberCount(), len(kept))
	}
	if card.GetMemberCount() > card.GetMaxMembers() {
		t.Errorf("group %d: %d members of at most %d", group, card.GetMemberCount(), card.GetMaxMembers())
	}
	r.max = int(card.GetMaxMembers())
	r.play(log, kept)
	if r.dissolved != (card.GetDissolvedAt() != 0) {
		t.Errorf("group %d: dissolved %v by its log, at %d by its card", group, r.dissolved, card.GetDissolvedAt())
	}
	for _, m := range kept {
		if r.roles[m.GetUserId()] != m.GetRole() {
			t.Errorf("group %d: user %d is %v by the log, %v by the row", group, m.GetUserId(), r.roles[m.GetUserId()], m.GetRole())
		}
	}
}

// replay is a group as its log tells it.
type replay struct {
	t         testing.TB
	group     int64
	max       int
	roles     map[int64]repopb.Role
	muted     map[int64]int64
	dissolved bool
}

// play applies a whole log, after which the members are those of the store.
func (r *replay) play(log []*repopb.Event, kept []*repopb.Member) {
	r.t.Helper()
	// Who came with the group stands in no event: those whose first event is not their joining.
	r.seed(log, kept)
	for i, ev := range log {
		if ev.GetSeq() != int64(i+1) {
			r.t.Fatalf("group %d: entry %d has seq %d", r.group, i+1, ev.GetSeq())
		}
		if i > 0 && ev.GetCreatedAt() < log[i-1].GetCreatedAt() {
			r.t.Errorf("group %d: time goes back at seq %d", r.group, ev.GetSeq())
		}
		r.apply(ev)
	}
	if len(r.roles) != len(kept) {
		r.t.Errorf("group %d: %d members by its log, %d rows", r.group, len(r.roles), len(kept))
	}
}

// seed makes members of who must have been in the group from its creation.
func (r *replay) seed(log []*repopb.Event, kept []*repopb.Member) {
	joinedLater := map[int64]bool{}
	seen := map[int64]bool{}
	for _, ev := range log {
		for _, u := range ev.GetTargetUserIds() {
			if !seen[u] && ev.GetKind() == repopb.EventKind_EVENT_KIND_MEMBER_JOINED {
				joinedLater[u] = true
			}
			seen[u] = true
		}
	}
	for u := range seen {
		if !joinedLater[u] {
			r.roles[u] = repopb.Role_ROLE_MEMBER
		}
	}
	for _, m := range kept {
		if !seen[m.GetUserId()] {
			r.roles[m.GetUserId()] = repopb.Role_ROLE_MEMBER
		}
	}
	r.roles[log[0].GetUserId()] = repopb.Role_ROLE_OWNER
}

func (r *replay) apply(ev *repopb.Event) {
	t, u := r.t, ev.GetUserId()
	t.Helper()
	if r.dissolved && ev.GetKind() != repopb.EventKind_EVENT_KIND_MEMBER_LEFT {
		t.Errorf("group %d: %v at seq %d after it was dissolved", r.group, ev.GetKind(), ev.GetSeq())
	}
	joins := ev.GetKind() == repopb.EventKind_EVENT_KIND_MEMBER_JOINED
	if r.roles[u] == 0 && !joins {
		t.Errorf("group %d: %v at seq %d by %d, who is not in it", r.group, ev.GetKind(), ev.GetSeq(), u)
	}
	for _, target := range ev.GetTargetUserIds() {
		if (r.roles[target] != 0) == joins {
			t.Errorf("group %d: %v at seq %d of %d, who is %v", r.group, ev.GetKind(), ev.GetSeq(), target, r.roles[target])
		}
		r.change(ev, target)
	}
	switch ev.GetKind() {
	case repopb.EventKind_EVENT_KIND_MESSAGE:
		if r.muted[u] > ev.GetCreatedAt() {
			t.Errorf("group %d: message %d by %d, who is muted", r.group, ev.GetSeq(), u)
		}
	case repopb.EventKind_EVENT_KIND_DISSOLVED:
		r.dissolved = true
		if r.roles[u] != repopb.Role_ROLE_OWNER {
			t.Errorf("group %d: dissolved by %v", r.group, r.roles[u])
		}
	default:
	}
	owners := 0
	for _, role := range r.roles {
		if role == repopb.Role_ROLE_OWNER {
			owners++
		}
	}
	if owners != 1 && !r.dissolved || len(r.roles) > r.max {
		t.Errorf("group %d at seq %d: %d owners, %d members of at most %d", r.group, ev.GetSeq(), owners, len(r.roles), r.max)
	}
}

// change does to one member what an event tells, and checks that its actor was allowed to.
func (r *replay) change(ev *repopb.Event, target int64) {
	actor := r.roles[ev.GetUserId()]
	allowed := true
	switch ev.GetKind() {
	case repopb.EventKind_EVENT_KIND_MEMBER_JOINED:
		allowed = ev.GetUserId() == target || actor >= repopb.Role_ROLE_ADMIN
		r.roles[target] = repopb.Role_ROLE_MEMBER
	case repopb.EventKind_EVENT_KIND_MEMBER_LEFT:
		allowed = ev.GetUserId() == target && (actor != repopb.Role_ROLE_OWNER || r.dissolved)
		delete(r.roles, target)
	case repopb.EventKind_EVENT_KIND_MEMBER_REMOVED:
		allowed = actor >= repopb.Role_ROLE_ADMIN && actor > r.roles[target]
		delete(r.roles, target)
	case repopb.EventKind_EVENT_KIND_ROLE_CHANGED:
		allowed = actor == repopb.Role_ROLE_OWNER && ev.GetUserId() != target
		if ev.GetRole() == repopb.Role_ROLE_OWNER {
			r.roles[ev.GetUserId()] = repopb.Role_ROLE_ADMIN
			r.muted[target] = 0
		}
		r.roles[target] = ev.GetRole()
	case repopb.EventKind_EVENT_KIND_MEMBER_MUTED:
		allowed = actor >= repopb.Role_ROLE_ADMIN && actor > r.roles[target]
		r.muted[target] = ev.GetMutedUntil()
	default:
	}
	if !allowed {
		r.t.Errorf("group %d: %v at seq %d by %v", r.group, ev.GetKind(), ev.GetSeq(), actor)
	}
}
