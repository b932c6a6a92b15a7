package repotest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/gochat-im/gochat/repo/repopb"
)

// Lists holds an implementation to the contract of a user's list of conversations.
func Lists(t *testing.T, open func(t testing.TB) repopb.RepoServiceServer) {
	for name, test := range map[string]func(*testing.T, *messageFixture){
		"list":                    testConversationList,
		"against a model":         testListModel,
		"while the order changes": testListWhileItMoves,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, &messageFixture{groupFixture{RepoServiceServer: open(t)}})
		})
	}
}

// list follows the pages of a user's list to its end. between, if any, runs after each page.
func (f *messageFixture) list(t testing.TB, user int64, limit int32, between func()) (all []*repopb.ConversationView) {
	t.Helper()
	r := &repopb.GetConversationsRequest{UserId: user, Limit: limit}
	for {
		p, err := f.GetConversations(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		page := p.GetConversations()
		if len(page) > int(limit) || p.GetHasMore() && len(page) < int(limit) {
			t.Fatalf("%d conversations on a page of %d", len(page), limit)
		}
		all = append(all, page...)
		if !p.GetHasMore() {
			return all
		}
		last := page[len(page)-1].GetConversation()
		r.BeforeId, r.BeforeUpdatedAt = last.GetId(), last.GetUpdatedAt()
		if between != nil {
			between()
		}
	}
}

func listed(views []*repopb.ConversationView) []int64 {
	ids := make([]int64, len(views))
	for i, v := range views {
		ids[i] = v.GetConversation().GetId()
	}
	return ids
}

func testConversationList(t *testing.T, f *messageFixture) {
	me := f.user(t)
	var want []int64 // newest activity first
	for i := range 12 {
		id, peer := f.pairWith(t, me)
		f.send(t, id, peer, fmt.Sprint("m", i))
		want = append([]int64{id}, want...)
	}
	list := func(limit int32) []int64 { return listed(f.list(t, me, limit, nil)) }
	sameTimes := func(ids []int64) { // of equal times the order is by id
		t.Helper()
		if !slices.Equal(sorted(ids...), sorted(want...)) {
			t.Errorf("list %v, want %v", ids, want)
		}
		for i := 1; i < len(ids); i++ {
			if f.view(t, ids[i-1], me).GetConversation().GetUpdatedAt() < f.view(t, ids[i], me).GetConversation().GetUpdatedAt() {
				t.Errorf("order: %v", ids)
			}
		}
	}
	for _, limit := range []int32{1, 5, 12, 50} {
		sameTimes(list(limit))
	}
	oldest := want[len(want)-1]
	ev := f.send(t, oldest, me, "again")
	v := f.view(t, oldest, me)
	if v.GetLastMessage().GetSeq() != ev.GetSeq() || v.GetLastMessage().GetContent() != "again" || v.GetUnread() != 1 || v.GetConversation().GetLastSeq() != ev.GetSeq() {
		t.Errorf("view: %v", v)
	}
	sameTimes(list(5))
	yes := true
	if _, err := f.UpdateConversation(t.Context(), &repopb.UpdateConversationRequest{ConversationId: oldest, UserId: me, Pinned: &yes, Muted: &yes}); err != nil {
		t.Fatal(err)
	}
	if v := f.view(t, oldest, me); !v.GetMuted() || !v.GetPinned() {
		t.Errorf("settings: %v", v)
	}
	if v := f.view(t, oldest, v.GetPeerId()); v.GetMuted() || v.GetPinned() {
		t.Errorf("the peer's settings: %v", v)
	}
}

// listWorld does random things to the conversations of two users.
type listWorld struct {
	*messageFixture
	rng     *rand.Rand
	me      int64
	other   int64
	singles map[int64]int64 // conversation: peer
	groups  []int64
	in      map[int64]bool // groups that the first one is in
	sent    int
}

func newListWorld(t testing.TB, f *messageFixture, seed uint64) *listWorld {
	t.Helper()
	return &listWorld{
		messageFixture: f, rng: rand.New(rand.NewPCG(seed, seed)), me: f.user(t), other: f.user(t),
		singles: map[int64]int64{}, in: map[int64]bool{},
	}
}

// step does one thing and returns the conversation to which it happened.
func (w *listWorld) step(t testing.TB) int64 {
	t.Helper()
	what := w.rng.IntN(10)
	switch {
	case len(w.singles) == 0 || what == 0 && len(w.singles) < 20:
		id, peer := w.pairWith(t, w.me)
		w.singles[id] = peer
		return id
	case len(w.groups) == 0 || what == 1 && len(w.groups) < 10:
		id := w.newGroup(t, w.other, w.me).GetId()
		w.groups = append(w.groups, id)
		w.in[id] = true
		return id
	case what <= 3:
		id := w.groups[w.rng.IntN(len(w.groups))]
		if w.in[id] {
			w.remove(t, id, w.other, w.me)
		} else {
			w.add(t, id, w.other, w.me)
		}
		w.in[id] = !w.in[id]
		return id
	case what <= 5:
		id := w.groups[w.rng.IntN(len(w.groups))]
		w.talk(t, id, w.other)
		return id
	}
	ids := w.mine()
	id := ids[w.rng.IntN(len(ids))]
	w.talk(t, id, w.me)
	return id
}

func (w *listWorld) talk(t testing.TB, id, sender int64) {
	t.Helper()
	w.sent++
	e := w.send(t, id, sender, fmt.Sprint(sender, "-", w.sent))
	if w.rng.IntN(4) == 0 {
		w.point(t, id, sender, e.GetSeq(), statusRecalled)
	}
}

// mine are the conversations of the first user, by id.
func (w *listWorld) mine() []int64 {
	var ids []int64
	for id := range w.singles {
		ids = append(ids, id)
	}
	for _, id := range w.groups {
		if w.in[id] {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// testListModel compares pages of the list with the conversations read one by one and sorted.
func testListModel(t *testing.T, f *messageFixture) {
	w := newListWorld(t, f, 5)
	for round := range 120 {
		for range 1 + w.rng.IntN(6) {
			w.step(t)
		}
		var want []*repopb.ConversationView
		for _, id := range w.mine() {
			want = append(want, w.view(t, id, w.me))
		}
		slices.SortFunc(want, func(a, b *repopb.ConversationView) int {
			x, y := a.GetConversation(), b.GetConversation()
			return cmp.Or(cmp.Compare(y.GetUpdatedAt(), x.GetUpdatedAt()), cmp.Compare(y.GetId(), x.GetId()))
		})
		got := w.list(t, w.me, int32(1+w.rng.IntN(8)), nil)
		if !slices.EqualFunc(got, want, func(a, b *repopb.ConversationView) bool { return proto.Equal(a, b) }) {
			t.Fatalf("round %d: listed %v\nwant %v", round, got, want)
		}
	}
}

// testListWhileItMoves: whatever moves between two pages, what did not move comes once.
func testListWhileItMoves(t *testing.T, f *messageFixture) {
	w := newListWorld(t, f, 6)
	for range 60 {
		w.step(t)
	}
	for round := range 30 {
		before, moved := w.mine(), map[int64]bool{}
		got := listed(w.list(t, w.me, int32(1+w.rng.IntN(4)), func() { moved[w.step(t)] = true }))
		for _, id := range before {
			n := 0
			for _, other := range got {
				if other == id {
					n++
				}
			}
			if n != 1 && !moved[id] {
				t.Fatalf("round %d: conversation %d came %d times in %v", round, id, n, got)
			}
		}
	}
}
