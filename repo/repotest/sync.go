package repotest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

// sync follows a sync to its end and returns its answers as one.
func (f *messageFixture) sync(t testing.TB, r *repopb.GetChangesRequest) *repopb.GetChangesResponse {
	t.Helper()
	all := &repopb.GetChangesResponse{}
	r = proto.CloneOf(r)
	for range 10_000 {
		p, err := f.GetChanges(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if r.GetMaxEvents() > 0 && len(p.GetEvents())+len(p.GetTooFar()) > int(r.GetMaxEvents()) {
			t.Fatalf("%d events and %d too far of at most %d", len(p.GetEvents()), len(p.GetTooFar()), r.GetMaxEvents())
		}
		all.Events = append(all.Events, p.GetEvents()...)
		all.TooFar = append(all.TooFar, p.GetTooFar()...)
		all.Reads = append(all.Reads, p.GetReads()...)
		all.Hidden = append(all.Hidden, p.GetHidden()...)
		all.Cursor = p.GetCursor()
		if p.GetNext() == nil {
			return all
		}
		r.Position = p.GetNext()
	}
	t.Fatal("the sync never ends")
	return nil
}

func (f *messageFixture) cursor(t testing.TB, user int64) int64 {
	t.Helper()
	c := f.sync(t, &repopb.GetChangesRequest{UserId: user})
	if len(c.GetEvents()) != 0 || c.GetCursor() == 0 {
		t.Fatalf("a first cursor: %v", c)
	}
	return c.GetCursor()
}

func seqsOf(events []*repopb.Event, conversation int64) (seqs []int64) {
	for _, ev := range events {
		if ev.GetConversationId() == conversation {
			seqs = append(seqs, ev.GetSeq())
		}
	}
	return seqs
}

func testSyncByCursor(t *testing.T, f *messageFixture) {
	c, a, b := f.pair(t)
	old := f.send(t, c, a, "before")
	cursor := f.cursor(t, b)
	if got := f.sync(t, &repopb.GetChangesRequest{UserId: b, Since: cursor, MaxEvents: 10, MaxPerConversation: 10}); len(got.GetEvents()) != 0 {
		t.Errorf("nothing happened, but: %v", got)
	}
	m := f.send(t, c, a, "after")
	if _, err := f.EditMessage(t.Context(), &repopb.EditMessageRequest{ConversationId: c, Seq: old.GetSeq(), ActorId: a, Content: "edited"}); err != nil {
		t.Fatal(err)
	}
	f.point(t, c, a, m.GetSeq(), statusRead)
	f.point(t, c, b, old.GetSeq(), statusRead)
	if _, err := f.HideMessage(t.Context(), &repopb.HideMessageRequest{ConversationId: c, Seq: old.GetSeq(), UserId: b}); err != nil {
		t.Fatal(err)
	}
	got := f.sync(t, &repopb.GetChangesRequest{UserId: b, Since: cursor, MaxEvents: 1, MaxPerConversation: 10})
	if seqs := seqsOf(got.GetEvents(), c); !slices.Equal(seqs, []int64{m.GetSeq(), m.GetSeq() + 1}) {
		t.Errorf("events: %v", got.GetEvents())
	}
	reads := map[int64]int64{}
	for _, r := range got.GetReads() {
		reads[r.GetUserId()] = r.GetSeq()
	}
	if reads[a] != m.GetSeq() || reads[b] != old.GetSeq() || len(got.GetReads()) != 2 {
		t.Errorf("reads: %v", got.GetReads())
	}
	if len(got.GetHidden()) != 1 || got.GetHidden()[0].GetSeq() != old.GetSeq() {
		t.Errorf("hidden: %v", got.GetHidden())
	}
	again := f.sync(t, &repopb.GetChangesRequest{UserId: b, Since: got.GetCursor(), MaxEvents: 10, MaxPerConversation: 10})
	if len(again.GetEvents())+len(again.GetReads())+len(again.GetHidden()) != 0 {
		t.Errorf("told twice: %v", again)
	}
	for i := range 5 {
		f.send(t, c, a, fmt.Sprint("many", i))
	}
	far := f.sync(t, &repopb.GetChangesRequest{UserId: b, Since: got.GetCursor(), MaxEvents: 10, MaxPerConversation: 4})
	if len(far.GetEvents()) != 0 || len(far.GetTooFar()) != 1 || far.GetTooFar()[0].GetAfterSeq() != m.GetSeq()+1 || far.GetTooFar()[0].GetLastSeq() != m.GetSeq()+6 {
		t.Errorf("too far: %v", far)
	}
}

func testSyncBySeqs(t *testing.T, f *messageFixture) {
	c, a, b := f.pair(t)
	other, _, _ := f.pair(t)
	group := f.newGroup(t, a, b).GetId()
	first := f.send(t, c, a, "1")
	f.send(t, c, a, "2")
	f.send(t, group, a, "g")
	got := f.sync(t, &repopb.GetChangesRequest{UserId: b, Have: map[int64]int64{c: first.GetSeq(), other: 0, 999: 5}, MaxEvents: 10, MaxPerConversation: 10})
	if seqs := seqsOf(got.GetEvents(), c); !slices.Equal(seqs, []int64{first.GetSeq() + 1}) || len(got.GetEvents()) != 1 {
		t.Errorf("events: %v", got.GetEvents())
	}
	// What the client does not know of is told, so that nothing is missing silently.
	if len(got.GetTooFar()) != 1 || got.GetTooFar()[0].GetConversationId() != group || got.GetTooFar()[0].GetAfterSeq() != 0 {
		t.Errorf("too far: %v", got.GetTooFar())
	}
	if got.GetCursor() == 0 {
		t.Error("no cursor")
	}
	if len(got.GetReads()) != 0 {
		t.Errorf("nobody has read anything, but: %v", got.GetReads())
	}
	f.point(t, c, a, 2, statusRead)
	f.point(t, c, b, 1, statusRead)
	f.point(t, group, b, 1, statusRead) // not named by the client
	got = f.sync(t, &repopb.GetChangesRequest{UserId: b, Have: map[int64]int64{c: 0, other: 0}, MaxEvents: 1, MaxPerConversation: 10})
	read := map[int64]int64{}
	for _, p := range got.GetReads() {
		if p.GetConversationId() == c {
			read[p.GetUserId()] = p.GetSeq()
		}
	}
	if len(got.GetReads()) != 2 || read[a] != 2 || read[b] != 1 {
		t.Errorf("reads: %v", got.GetReads())
	}
}

// Who has a cursor and, of some conversations, more than that: a part of the last sync, or what came live since.
func testSyncByBoth(t *testing.T, f *messageFixture) {
	c, a, me := f.pair(t)
	other, b := f.pairWith(t, me)
	quiet, d := f.pairWith(t, me)
	left, unaware := f.newGroup(t, a, me).GetId(), f.newGroup(t, a, me).GetId()
	behind := f.send(t, quiet, d, "of before the cursor, and missed")
	cursor := f.cursor(t, me)
	have := f.send(t, c, a, "had")
	f.send(t, c, a, "missed")
	unnamed := f.send(t, other, b, "missed")
	f.point(t, c, a, have.GetSeq(), statusRead)
	gone := f.remove(t, left, a, me).GetEvent()
	kicked := f.remove(t, unaware, a, me).GetEvent()
	got := f.sync(t, &repopb.GetChangesRequest{
		UserId: me, Since: cursor, MaxEvents: 1, MaxPerConversation: 10,
		Have: map[int64]int64{c: have.GetSeq(), quiet: behind.GetSeq() - 1, left: gone.GetSeq(), 999: 5},
	})
	for conversation, want := range map[int64][]int64{
		c: {have.GetSeq() + 1}, other: {unnamed.GetSeq()}, quiet: {behind.GetSeq()}, left: nil, unaware: {kicked.GetSeq()},
	} {
		if seqs := seqsOf(got.GetEvents(), conversation); !slices.Equal(seqs, want) {
			t.Errorf("conversation %d brings %v, want %v", conversation, seqs, want)
		}
	}
	if len(got.GetTooFar()) != 0 || len(got.GetEvents()) != 4 {
		t.Errorf("%v", got)
	}
	if len(got.GetReads()) != 1 || got.GetReads()[0].GetUserId() != a {
		t.Errorf("reads: %v", got.GetReads())
	}
}

// A client that holds more than there is has a log of another time, or of another store.
func testSyncOfAnotherStore(t *testing.T, f *messageFixture) {
	c, a, b := f.pair(t)
	last := f.send(t, c, a, "1").GetSeq()
	for name, r := range map[string]*repopb.GetChangesRequest{
		"seq":    {Have: map[int64]int64{c: last + 1}},
		"cursor": {Since: f.cursor(t, b) + 24*time.Hour.Milliseconds()},
		"both":   {Since: f.cursor(t, b), Have: map[int64]int64{c: last + 1}},
	} {
		r.UserId = b
		_, err := f.GetChanges(t.Context(), r)
		if wantCode(t, name, err, errs.Conflict); errs.From(err).Details["reason"] != "state_invalid" {
			t.Errorf("%s: details %v", name, errs.From(err).Details)
		}
	}
	f.sync(t, &repopb.GetChangesRequest{UserId: b, Have: map[int64]int64{c: last}})
}

// testSyncOfTooMuchHidden: what a sync cannot tell whole it does not tell in part.
func testSyncOfTooMuchHidden(t *testing.T, f *messageFixture) {
	const most = 1000
	c, a, b := f.pair(t)
	r := &repopb.CreateMessagesRequest{}
	for i := range most + 1 {
		key := fmt.Sprint(i)
		r.Messages = append(r.Messages, &repopb.NewMessage{ConversationId: c, SenderId: a, ClientMsgId: key, Content: key, MessageType: "text"})
	}
	if _, err := f.CreateMessages(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	since := f.cursor(t, b)
	hide := func(seq int64) {
		if _, err := f.HideMessage(t.Context(), &repopb.HideMessageRequest{ConversationId: c, Seq: seq, UserId: b}); err != nil {
			t.Error(err)
		}
	}
	var hiding sync.WaitGroup
	for i := range 8 {
		hiding.Go(func() {
			for seq := int64(i + 1); seq <= most; seq += 8 {
				hide(seq)
			}
		})
	}
	hiding.Wait()
	if got := f.sync(t, &repopb.GetChangesRequest{UserId: b, Since: since}); len(got.GetHidden()) != most {
		t.Errorf("%d hidden messages are told, want %d", len(got.GetHidden()), most)
	}
	hide(most + 1)
	_, err := f.GetChanges(t.Context(), &repopb.GetChangesRequest{UserId: b, Since: since})
	if wantCode(t, "more hidden than it tells", err, errs.Conflict); errs.From(err).Details["reason"] != "state_invalid" {
		t.Errorf("details %v", errs.From(err).Details)
	}
}

func testSyncLeft(t *testing.T, f *messageFixture) {
	owner, me := f.user(t), f.user(t)
	group := f.newGroup(t, owner, me).GetId()
	before := f.send(t, group, owner, "before")
	cursor := f.cursor(t, me)
	f.send(t, group, owner, "missed, and not to be seen any more")
	removed := f.remove(t, group, owner, me).GetEvent()
	f.send(t, group, owner, "after")
	for what, r := range map[string]*repopb.GetChangesRequest{
		"by cursor": {Since: cursor},
		"by seqs":   {Have: map[int64]int64{group: before.GetSeq()}},
	} {
		r.UserId, r.MaxEvents, r.MaxPerConversation = me, 10, 10
		got := f.sync(t, r)
		if seqs := seqsOf(got.GetEvents(), group); !slices.Equal(seqs, []int64{removed.GetSeq()}) || len(got.GetTooFar()) != 0 {
			t.Errorf("%s: %v", what, got)
		}
	}
	cursor = f.cursor(t, me)
	f.add(t, group, owner, me)
	f.send(t, group, owner, "welcome back")
	got := f.sync(t, &repopb.GetChangesRequest{UserId: me, Since: cursor, MaxEvents: 10, MaxPerConversation: 10})
	if seqs := seqsOf(got.GetEvents(), group); !slices.Equal(seqs, []int64{removed.GetSeq() + 2, removed.GetSeq() + 3}) {
		t.Errorf("joined again: %v", got.GetEvents())
	}
}

// testSyncModel lets one user be away while others act at random, and compares what a sync in pages of any size brings
// with the logs.
func testSyncModel(t *testing.T, f *messageFixture) {
	rng := rand.New(rand.NewPCG(11, 11))
	me := f.user(t)
	others := f.users(t, 4)
	var ids []int64
	for _, o := range others {
		c, err := f.CreateConversation(t.Context(), &repopb.CreateConversationRequest{UserId: me, PeerId: o})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, c.GetConversation().GetConversation().GetId())
	}
	group := f.newGroup(t, me, others...).GetId()
	ids = append(ids, group)
	have, cursor := map[int64]int64{}, f.cursor(t, me)
	for _, id := range ids {
		have[id] = int64(len(f.log(t, id)))
	}
	sent := 0
	for round := range 25 {
		for range rng.IntN(12) {
			at := rng.IntN(len(ids))
			sender := others[min(at, len(others)-1)]
			sent++
			ev := f.send(t, ids[at], sender, fmt.Sprint("model", sent))
			if rng.IntN(4) == 0 {
				f.point(t, ids[at], sender, ev.GetSeq(), statusRecalled)
			}
		}
		var next int64
		maxEvents := int32(rng.IntN(5) + 1)
		some := map[int64]int64{} // a part of what was missed has come
		for _, id := range ids {
			if rng.IntN(2) == 0 {
				some[id] = have[id] + rng.Int64N(int64(len(f.log(t, id)))-have[id]+1)
			}
		}
		for what, r := range map[string]*repopb.GetChangesRequest{"cursor": {Since: cursor}, "seqs": {Have: have}, "both": {Since: cursor, Have: some}} {
			r.UserId, r.MaxEvents, r.MaxPerConversation = me, maxEvents, 1000
			got := f.sync(t, r)
			for _, id := range ids {
				var want []int64
				last, named := r.GetHave()[id]
				if !named {
					last = have[id]
				}
				for seq := last + 1; seq <= int64(len(f.log(t, id))); seq++ {
					want = append(want, seq)
				}
				if seqs := seqsOf(got.GetEvents(), id); !slices.Equal(seqs, want) {
					t.Fatalf("round %d by %s, %d a page: conversation %d brings %v, want %v", round, what, maxEvents, id, seqs, want)
				}
			}
			next = got.GetCursor()
		}
		cursor = next // nothing happened since: either sync's cursor stands for the same
		for _, id := range ids {
			have[id] = int64(len(f.log(t, id)))
		}
	}
}
