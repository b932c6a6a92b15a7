package postgres

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/testenv"
	"github.com/gochat-im/gochat/repo/internal/sqlstore"
	"github.com/gochat-im/gochat/repo/repopb"
)

// appends are how many transactions of message batches went which way so far.
func appends(s *Store) (remembered, read, stale float64) {
	of := func(state string) float64 { return testutil.ToFloat64(s.m.appends.WithLabelValues(state)) }
	return of(appendRemembered), of(appendRead), of(appendStale)
}

// wantAppends tells what the store did since the counts before.
func wantAppends(t *testing.T, s *Store, what string, remembered, read, stale float64, do func()) {
	t.Helper()
	r0, d0, s0 := appends(s)
	do()
	r1, d1, s1 := appends(s)
	if r1-r0 != remembered || d1-d0 != read || s1-s0 != stale {
		t.Errorf("%s: %g remembered, %g read, %g stale; want %g, %g, %g", what, r1-r0, d1-d0, s1-s0, remembered, read, stale)
	}
}

// addGroup creates the users of a pair and their group, whose owner is 2n.
func addGroup(t *testing.T, s *Store, n int64) int64 {
	t.Helper()
	addPair(t, s, n)
	r, err := s.CreateGroup(t.Context(), &repopb.CreateGroupRequest{
		Group: &repopb.Group{Name: "g", OwnerId: 2 * n, MaxMembers: 10}, MemberIds: []int64{2*n + 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r.GetChange().GetGroup().GetId()
}

// settle sends until the store relies on what it remembers of a conversation.
func settle(t *testing.T, s *Store, id int64, sender int64) {
	t.Helper()
	for i := range 3 {
		wantAppends(t, s, fmt.Sprint("message ", i), float64(i/2), float64(1-i/2), 0, func() {
			send(t, s, text(id, sender, fmt.Sprint("settle-", i), "hi"))
		})
	}
}

// TestAnotherProcessWrites lets one process change what another one remembers: who may not write any more does not, and
// the log has neither a hole nor a seq twice.
func TestAnotherProcessWrites(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	a, b := openAt(t, testOptions(url)), openAt(t, testOptions(url))
	group := addGroup(t, a, 1)
	const owner, member = int64(2), int64(3)
	settle(t, a, group, member)
	settled := send(t, a, text(group, member, "settled", "hi"))[0].GetEvent().GetSeq()

	if seq := send(t, b, text(group, owner, "b", "from the other"))[0].GetEvent().GetSeq(); seq != settled+1 {
		t.Errorf("the other process's message has seq %d, want %d", seq, settled+1)
	}
	wantAppends(t, a, "after another's message", 0, 1, 1, func() {
		if ev := send(t, a, text(group, member, "a", "hi"))[0].GetEvent(); ev.GetSeq() != settled+2 {
			t.Errorf("its own has seq %d, want %d", ev.GetSeq(), settled+2)
		}
	})
	wantAppends(t, a, "after that", 0, 1, 0, func() { send(t, a, text(group, member, "a2", "hi")) })
	wantAppends(t, a, "alone again", 1, 0, 0, func() { send(t, a, text(group, member, "a3", "hi")) })

	until, never := int64(1)<<50, int64(0)
	mute := func(until *int64) {
		_, err := b.UpdateGroupMember(t.Context(), &repopb.UpdateGroupMemberRequest{GroupId: group, ActorId: owner, UserId: member, MutedUntil: until})
		if err != nil {
			t.Fatal(err)
		}
	}
	refused := func(key string, want errs.Code) {
		t.Helper()
		resp, err := a.CreateMessages(t.Context(), &repopb.CreateMessagesRequest{Messages: []*repopb.NewMessage{text(group, member, key, "hi")}})
		if err != nil || errs.Code(resp.GetResults()[0].GetCode()) != want {
			t.Errorf("%s: %v, %v; want %v", key, resp, err, want)
		}
	}
	mute(&until)
	refused("muted", errs.Forbidden)
	for i := range 2 {
		send(t, a, text(group, owner, fmt.Sprint("owner-", i), "hi"))
	}
	mute(&never)
	for i := range 3 { // the first in spite of what is remembered
		if r := send(t, a, text(group, member, fmt.Sprint("unmuted-", i), "hi"))[0]; r.GetEvent() == nil {
			t.Errorf("unmuted: %v", r)
		}
	}
	if _, err := b.RemoveGroupMember(t.Context(), &repopb.RemoveGroupMemberRequest{GroupId: group, ActorId: owner, UserId: member}); err != nil {
		t.Fatal(err)
	}
	refused("removed", errs.NotFound)
	checkLog(t, a, group)
}

// checkLog wants a log from 1 on without a hole, whose times never go back.
func checkLog(t *testing.T, s *Store, id int64) []*repopb.Event {
	t.Helper()
	page, err := s.Messages(t.Context(), &repopb.GetMessagesRequest{ConversationId: id, IncludeAll: true, AfterSet: true, Limit: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	last := int64(0)
	for i, ev := range page.GetEvents() {
		if ev.GetSeq() != int64(i+1) || ev.GetCreatedAt() < last {
			t.Fatalf("conversation %d: entry %d is %v after %d", id, i, ev, last)
		}
		last = ev.GetCreatedAt()
	}
	return page.GetEvents()
}

// TestRememberedAppendTellsWhatItStored compares what callers are told, in one round trip and in two, with what is read.
func TestRememberedAppendTellsWhatItStored(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	group := addGroup(t, s, 1)
	var told []*repopb.Event
	for i := range 4 {
		want := float64(i / 2)
		for now := int64(0); i > 0 && now <= told[len(told)-1].GetCreatedAt(); { // until the clock has moved
			if err := s.pool.QueryRow(t.Context(), timeQuery).Scan(&now); err != nil {
				t.Fatal(err)
			}
		}
		wantAppends(t, s, fmt.Sprint("batch ", i), want, 1-want, 0, func() {
			for _, r := range send(t, s,
				text(group, 2, fmt.Sprint(i), "one"), text(group, 3, fmt.Sprint(i), "two"), text(group, 2, fmt.Sprint(i, "again"), "three")) {
				told = append(told, r.GetEvent())
			}
		})
	}
	stored := checkLog(t, s, group)[1:] // behind its creation
	for i, ev := range told {
		if ev.GetSeq() != stored[i].GetSeq() || ev.GetCreatedAt() != stored[i].GetCreatedAt() || ev.GetContent() != stored[i].GetContent() {
			t.Errorf("told %v, stored %v", ev, stored[i])
		}
	}
	last := told[len(told)-1].GetCreatedAt() // what comes next is not earlier, should the database's clock be set back
	if head := s.heads.find(group).state; s.clock.last < last || head.UpdatedAt != last {
		t.Errorf("the last message is of %d, the conversation of %d, the clock at %d", last, head.UpdatedAt, s.clock.last)
	}
	var sent int64
	err := connect(t, s.opt.URL).QueryRow(t.Context(), "SELECT sent FROM members WHERE conversation_id = $1 AND user_id = 2", group).Scan(&sent)
	if err != nil || sent != 8 {
		t.Errorf("2 has sent %d (%v), want 8", sent, err)
	}
}

// TestRememberedAppendFindsKeys repeats keys where nothing is read before: of earlier batches and within one.
func TestRememberedAppendFindsKeys(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	id := addPair(t, s, 1)
	settle(t, s, id, 2)
	first := send(t, s, text(id, 2, "key", "hi"))[0].GetEvent()
	wantAppends(t, s, "a key of before", 0, 1, 1, func() {
		results := send(t, s, text(id, 2, "new", "hi"), text(id, 2, "key", "hi"), text(id, 2, "new", "hi"), text(id, 2, "key", "other"))
		if ev := results[0].GetEvent(); ev.GetSeq() != first.GetSeq()+1 {
			t.Errorf("the new one: %v", results[0])
		}
		if r := results[1]; !r.GetDuplicate() || r.GetEvent().GetSeq() != first.GetSeq() || r.GetEvent().GetCreatedAt() != first.GetCreatedAt() {
			t.Errorf("the repeated one: %v, want %v", r, first)
		}
		if r := results[2]; !r.GetDuplicate() || r.GetEvent().GetSeq() != first.GetSeq()+1 {
			t.Errorf("the one repeated at once: %v", r)
		}
		if r := results[3]; errs.Code(r.GetCode()) != errs.Conflict {
			t.Errorf("another body: %v", r)
		}
	})
	wantAppends(t, s, "a key twice", 0, 1, 1, func() {
		results := send(t, s, text(id, 2, "twice", "hi"), text(id, 2, "twice", "hi"))
		if results[0].GetEvent().GetSeq() != results[1].GetEvent().GetSeq() || !results[1].GetDuplicate() {
			t.Errorf("twice at once: %v", results)
		}
	})
	wantAppends(t, s, "a key used once", 1, 0, 0, func() { send(t, s, text(id, 2, "once", "hi")) })
	checkLog(t, s, id)
}

// TestLogThatLostItsEnd lets the database go back to an earlier state, as when a replica takes over that had not got
// everything: what was remembered of the other one is not relied on.
func TestLogThatLostItsEnd(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	id := addPair(t, s, 1)
	settle(t, s, id, 2)
	c := connect(t, s.opt.URL)
	if _, err := c.Exec(t.Context(), "DELETE FROM messages WHERE conversation_id = $1 AND seq > 1", id); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(t.Context(), `SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid()`); err != nil {
		t.Fatal(err)
	}
	for try := range 20 { // connections that are gone are found so
		_, err := s.CreateMessages(t.Context(), &repopb.CreateMessagesRequest{Messages: []*repopb.NewMessage{text(id, 2, fmt.Sprint("after-", try), "hi")}})
		if err == nil {
			break
		}
		if errs.CodeOf(err) != errs.Unavailable {
			t.Fatal(err)
		}
	}
	if events := checkLog(t, s, id); len(events) != 2 {
		t.Errorf("%d entries, want 2", len(events))
	}
}

// TestCommitThatFailsIsNotAcknowledged lets the database refuse at the commit what it took before.
func TestCommitThatFailsIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	id := addPair(t, s, 1)
	settle(t, s, id, 2)
	c := connect(t, s.opt.URL)
	for _, sql := range []string{
		`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no' USING ERRCODE = '58030'; END $$`,
		`CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON messages DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
			WHEN (NEW.content = 'refuse') EXECUTE FUNCTION refuse()`,
	} {
		if _, err := c.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	for _, forget := range []bool{false, true} {
		if forget {
			s.heads.connected()
		}
		_, err := s.CreateMessages(t.Context(), &repopb.CreateMessagesRequest{Messages: []*repopb.NewMessage{text(id, 2, "k", "refuse")}})
		if errs.CodeOf(err) != errs.Unavailable {
			t.Errorf("forgotten: %v: %v", forget, err)
		}
	}
	send(t, s, text(id, 2, "k", "good"))
	if events := checkLog(t, s, id); len(events) != 4 {
		t.Errorf("%d entries, want 4", len(events))
	}
}

// TestOneProcessIsNotInItsOwnWay lets callers write in the same conversations, in any order: no transaction runs again.
func TestOneProcessIsNotInItsOwnWay(t *testing.T) {
	t.Parallel()
	opt := testOptions(testenv.Postgres(t))
	opt.Writers = 4
	s := openAt(t, opt)
	ids := make([]int64, 10)
	for i := range ids {
		ids[i] = addPair(t, s, int64(i+1))
	}
	const callers, batches, size = 8, 50, 3
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(caller)))
			for n := range batches {
				r := &repopb.CreateMessagesRequest{}
				for i := range size {
					p := rng.IntN(len(ids))
					r.Messages = append(r.Messages, text(ids[p], int64(2*(p+1)), fmt.Sprint(caller, "-", n, "-", i), "hi"))
				}
				if _, err := s.CreateMessages(t.Context(), r); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	remembered, _, stale := appends(s)
	if retries := testutil.ToFloat64(s.m.retries); stale != 0 || retries != 0 || remembered == 0 {
		t.Errorf("%g remembered, %g stale, %g retries", remembered, stale, retries)
	}
	total := 0
	for _, id := range ids {
		total += len(checkLog(t, s, id))
	}
	if total != callers*batches*size {
		t.Errorf("%d messages, want %d", total, callers*batches*size)
	}
}

// TestHeadsAreBounded remembers more than is kept: the oldest go, and what is left is right.
func TestHeadsAreBounded(t *testing.T) {
	t.Parallel()
	h := newHeads()
	keep := func(id, seq int64) {
		k := known{
			[]int64{id},
			[]*sqlstore.Conversation{{ID: id, LastSeq: seq}},
			[]sqlstore.MemberKey{{ConversationID: id, UserID: 7}},
			[]*sqlstore.Member{{ConversationID: id, UserID: 7}},
		}
		h.keep(0, &k, map[int64]*sqlstore.Conversation{id: {ID: id, LastSeq: seq + 1}}, nil)
	}
	const many = 3 * maxHeads
	for id := range int64(many) {
		keep(id, 1)
		keep(id, 2)
	}
	if n := len(h.young) + len(h.old); h.size > maxHeads/2+2 || n > maxHeads || n < maxHeads/8 {
		t.Errorf("%d of a size of %d, bound %d", n, h.size, maxHeads)
	}
	recall := func(id int64) bool {
		k := known{[]int64{id}, make([]*sqlstore.Conversation, 1), []sqlstore.MemberKey{{ConversationID: id, UserID: 7}}, make([]*sqlstore.Member, 1)}
		return h.recall(&k) && k.states[0].LastSeq == 3
	}
	if recall(0) || !recall(many-1) {
		t.Errorf("the first is remembered: %v, the last: %v", recall(0), recall(many-1))
	}
	h.connected()
	keep(5, 1) // began before
	if recall(many-1) || h.find(5) != nil {
		t.Error("something is remembered over a new connection")
	}
}

// TestEditsGetTheirTurn edits in a one-to-one in which messages are stored without a pause, over a network: each edit
// reads, and by the time that it writes the next message is there, unless it gets a turn.
func TestEditsGetTheirTurn(t *testing.T) {
	t.Parallel()
	opt := testOptions(testenv.Postgres(t))
	at, err := url.Parse(opt.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := testenv.Proxy(t, at.Host)
	at.Host = proxy.Address()
	opt.URL = at.String()
	s := openAt(t, opt)
	id := addPair(t, s, 1)
	settle(t, s, id, 2)
	proxy.Delay(3 * time.Millisecond)
	ended := make(chan struct{})
	var senders sync.WaitGroup
	for caller := range 2 {
		senders.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-ended:
					return
				default:
				}
				if _, err := s.CreateMessages(t.Context(), &repopb.CreateMessagesRequest{Messages: []*repopb.NewMessage{
					text(id, 2, fmt.Sprint(caller, "-", n), "hi"),
				}}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	before, _, _ := appends(s)
	for n := range 10 {
		if _, err := s.EditMessage(t.Context(), &repopb.EditMessageRequest{ConversationId: id, Seq: 1, ActorId: 2, Content: fmt.Sprint("edit ", n)}); err != nil {
			t.Errorf("edit %d: %v", n, err)
		}
	}
	close(ended)
	senders.Wait()
	if after, _, _ := appends(s); after == before {
		t.Error("no message was stored in one round trip meanwhile")
	}
	edits := 0
	for _, ev := range checkLog(t, s, id) {
		if ev.GetKind() == repopb.EventKind_EVENT_KIND_EDIT {
			edits++
		}
	}
	if edits != 10 {
		t.Errorf("%d edits are in the log", edits)
	}
}
