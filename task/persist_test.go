package task

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
	"github.com/gochat-im/gochat/task/taskpb"
)

func TestPersistAnswersAndDeliversABatchInOneCall(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.store.group(7, 1, 2, 3)
	muted := message(7, 2, "b")
	muted.Message.Content = "muted"
	ctx, after := bus.CollectAfter(t.Context())
	if err := f.handlePersist(ctx, message(7, 1, "a"), muted, message(7, 2, "c"), message(7, 1, "a")); err != nil {
		t.Fatal(err)
	}
	if len(f.sockets.requests) != 1 || f.store.created != 1 {
		t.Fatalf("%d deliver calls and %d store calls, want one each", len(f.sockets.requests), f.store.created)
	}
	after.Call(t.Context())
	var got []string
	for _, r := range f.sockets.results() {
		got = append(got, fmt.Sprint(r.Origin.ConnectionId, r.ClientMsgId, r.Event.GetSeq(), r.Duplicate, r.Code))
	}
	equal(t, "results", got, []string{"1a1 false 0", "2c2 false 0", "1a1 true 0", "2b0 false 1005"})
	equal(t, "delivered", f.sockets.seqs(7), []int64{1, 2})
	d := f.sockets.deliveries()[0]
	equal(t, "receivers", d.UserIds, []int64{1, 2, 3})
	if d.Except.GetConnectionId() != 1 || d.GetEvent().ConversationType != repopb.ConversationType_CONVERSATION_TYPE_GROUP {
		t.Errorf("delivery = %v", d)
	}
	if stored := f.store.logs[7][0]; stored.ConversationType != 0 {
		t.Error("the shared event was changed")
	}
	if f.topics.count(taskpb.PushTopic) != 0 || f.store.outboxLen() != 0 || f.sockets.requests[0].ReportOffline {
		t.Error("push is off, but its machinery ran")
	}
}

// The process that stored a message may have ended before it delivered it, so
// a young duplicate goes to the gateways, which drop what they have delivered.
func TestPersistDeliversYoungDuplicatesAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		f.store.group(7, 1, 2)
		f.persistAll(t, message(7, 1, "old"))
		time.Sleep(2 * redeliverWithin)
		f.persistAll(t, message(7, 1, "recent"))
		f.sockets.requests = nil
		f.persistAll(t, message(7, 1, "old"), message(7, 1, "recent"), message(7, 2, "new"))
		equal(t, "delivered", f.sockets.seqs(7), []int64{2, 3})
		for i, r := range f.sockets.results() {
			if r.Event.Seq != int64(i)+1 || r.Duplicate != (i < 2) {
				t.Errorf("result %d = %v", i, r)
			}
		}
	})
}

func TestPersistDeliversAConversationSideBySide(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.store.group(7, 1, 2)
	f.store.group(8, 1, 2)
	edit := f.store.commit(7, repopb.EventKind_EVENT_KIND_EDIT)
	f.persistAll(t, message(8, 1, "a"), message(7, 1, "b"), message(8, 1, "c"), committed(edit))
	var got []string
	for _, d := range f.sockets.deliveries() {
		got = append(got, fmt.Sprint(d.GetEvent().ConversationId, "-", d.GetEvent().Seq))
	}
	equal(t, "delivered", got, []string{"7-1", "7-2", "8-1", "8-2"})
}

func TestPersistAsksOnceForTheRoutesThatItLacks(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.store.group(7, 1, 2)
	f.store.group(8, 1, 3)
	f.persistAll(t, committed(f.store.commit(7, repopb.EventKind_EVENT_KIND_EDIT)),
		committed(f.store.commit(8, repopb.EventKind_EVENT_KIND_EDIT)), committed(f.store.commit(9, repopb.EventKind_EVENT_KIND_EDIT)))
	all := f.sockets.deliveries()
	if len(all) != 3 || f.store.routed != 1 {
		t.Fatalf("%d deliveries after %d calls, want 3 after 1", len(all), f.store.routed)
	}
	equal(t, "receivers of 7", all[0].UserIds, []int64{1, 2})
	equal(t, "receivers of 8", all[1].UserIds, []int64{1, 3})
	equal(t, "receivers of no conversation", all[2].UserIds, nil)
}

func TestPersistCompletesOneToOneMessages(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.store.routes[7] = &repopb.Route{ConversationId: 7, Type: repopb.ConversationType_CONVERSATION_TYPE_SINGLE, MemberIds: []int64{1, 2}}
	f.persistAll(t, message(7, 2, "a"))
	e := f.sockets.deliveries()[0].GetEvent()
	if e.PeerId != 1 || e.ConversationType != repopb.ConversationType_CONVERSATION_TYPE_SINGLE {
		t.Errorf("event = %v, want peer 1 of a one-to-one", e)
	}
}

func TestPersistWaitsForTheStoreThenRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		f.store.group(7, 1, 2)
		event := f.store.commit(7, repopb.EventKind_EVENT_KIND_GROUP_UPDATED)
		f.store.setDown(errs.New(errs.Unavailable, "disk"))
		for range 9 {
			if err := f.handlePersist(t.Context(), message(7, 1, "a")); errs.CodeOf(err) != errs.Unavailable {
				t.Fatalf("error = %v, want unavailable, so that the bus tries again", err)
			}
			time.Sleep(time.Second)
		}
		if n := len(f.sockets.results()); n != 0 {
			t.Fatalf("%d answers before the time was over", n)
		}
		time.Sleep(time.Second)
		f.persistAll(t, message(7, 1, "a"), committed(event))
		f.persistAll(t, message(7, 2, "b")) // whoever comes later is told at once
		results := f.sockets.results()
		if len(results) != 2 {
			t.Fatalf("%d answers, want 2", len(results))
		}
		for _, r := range results {
			if r.Code != int32(errs.Unavailable) || r.Details["retry_after_ms"] == "" {
				t.Errorf("answer = %v, want unavailable with a time", r)
			}
		}
		f.store.setDown(nil)
		f.persistAll(t, message(7, 1, "a"))
		if r := f.sockets.results()[2]; r.Code != 0 || r.Event.Seq != 2 {
			t.Errorf("answer = %v, want an ack of seq 2", r)
		}
	})
}

func TestPersistDeliversWhatTheGatewaysRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.store.group(7, 1, 2)
	f.persistAll(t, message(7, 1, "a"))
	f.sockets.down = errs.New(errs.Unavailable, "gone")
	if err := f.handlePersist(t.Context(), message(7, 1, "b")); errs.CodeOf(err) != errs.Unavailable {
		t.Fatalf("error = %v", err)
	}
	f.sockets.down = nil
	f.persistAll(t, message(7, 1, "b"))
	equal(t, "delivered", f.sockets.seqs(7), []int64{1, 2})
}

// A refusal is told once the batch will not come again; until then it may still be stored.
func TestPersistTellsOfARefusalWhenTheBatchIsDone(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.store.group(7, 1, 2)
	muted := message(7, 2, "b")
	muted.Message.Content = "muted"
	ctx, after := bus.CollectAfter(t.Context())
	if err := f.handlePersist(ctx, message(7, 1, "a"), muted); err != nil {
		t.Fatal(err)
	}
	if r := f.sockets.results(); len(r) != 1 || r[0].ClientMsgId != "a" {
		t.Fatalf("told before the batch is done: %v", r)
	}
	after.Call(t.Context())
	if r := f.sockets.results(); len(r) != 2 || r[1].ClientMsgId != "b" || r[1].Code != int32(errs.Forbidden) {
		t.Errorf("told afterwards: %v", r)
	}
}

// What was refused stays refused when a copy of it comes, and what its sender sends again is judged anew.
func TestPersistKeepsToItsRefusal(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.store.group(7, 1, 2)
	muted := func(request string) *taskpb.Persist {
		m := message(7, 2, "b")
		m.Message.Content, m.Message.RequestId = "muted", request
		return m
	}
	f.persistAll(t, muted("first"))
	f.store.lenient = true
	f.persistAll(t, message(7, 1, "a"), muted("first"), message(7, 1, "c"))
	f.persistAll(t, muted("first"))
	equal(t, "stored", f.sockets.seqs(7), []int64{1, 2})
	codes := map[string][]int32{}
	for _, r := range f.sockets.results() {
		codes[r.ClientMsgId] = append(codes[r.ClientMsgId], r.Code)
	}
	forbidden := int32(errs.Forbidden)
	equal(t, "answers to the copies", codes["b"], []int32{forbidden, forbidden, forbidden})
	equal(t, "answers to the one before", codes["a"], []int32{0})
	equal(t, "answers to the one behind", codes["c"], []int32{0})
	f.persistAll(t, muted("second"))
	equal(t, "stored then", f.sockets.seqs(7), []int64{1, 2, 3})
}

func TestRefusalsAreBounded(t *testing.T) {
	t.Parallel()
	var r refusals
	numbered := func(n int) []*repopb.NewMessage { return []*repopb.NewMessage{{ConversationId: int64(n)}} }
	refused := []*repopb.CreateMessageResult{{Code: int32(errs.Forbidden)}}
	for n := range refusalsKept + 3 {
		r.note(numbered(n), refused)
		r.note(numbered(n), refused)
	}
	if len(r.by) != refusalsKept || len(r.ring) != refusalsKept {
		t.Fatalf("%d and %d are kept", len(r.by), len(r.ring))
	}
	for n, kept := range map[int]bool{0: false, 2: false, 3: true, refusalsKept + 2: true} {
		if before, _ := r.split(numbered(n)); (before != nil) != kept {
			t.Errorf("number %d is kept: %v, want %v", n, before != nil, kept)
		}
	}
}

func TestPersistTellsTheSenderOfAPoisonMessage(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	onDead := f.topics.topic[taskpb.PersistTopic].OnDead
	if err := onDead(t.Context(), bus.Record{Key: 7, Message: message(7, 1, "a")}, errs.New(errs.Internal, "secret")); err != nil {
		t.Fatal(err)
	}
	r := f.sockets.results()
	if len(r) != 1 || r[0].Code != int32(errs.Internal) || r[0].ClientMsgId != "a" {
		t.Fatalf("results = %v", r)
	}
	if f.topics.count(taskpb.DeadLetterTopic) != 0 {
		t.Error("a refused message was kept")
	}
	if err := f.handlePersist(t.Context(), &taskpb.Persist{}); errs.CodeOf(err) != errs.Invalid {
		t.Errorf("empty record: %v, want invalid", err)
	}
}

func TestCommittedMembership(t *testing.T) {
	t.Parallel()
	joined, large := repopb.EventKind_EVENT_KIND_MEMBER_JOINED, repopb.ConversationType_CONVERSATION_TYPE_GROUP
	t.Run("passes attachments and the removed on", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.store.group(7, 1, 2)
		e := f.store.commit(7, joined)
		f.persistAll(t, &taskpb.Persist{Committed: &taskpb.Committed{
			Event: e, AttachUserIds: []int64{2}, DetachUserIds: []int64{9},
		}})
		d := f.sockets.deliveries()[0]
		equal(t, "receivers", d.UserIds, []int64{1, 2})
		equal(t, "attached", d.AttachUserIds, []int64{2})
		equal(t, "detached", d.DetachUserIds, []int64{9})
		equal(t, "the shared route", f.store.routes[7].MemberIds, []int64{1, 2})
		if d.Index || d.Interested {
			t.Error("a small group was indexed")
		}
	})
	t.Run("indexes everyone when the group became large", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, func(c *Config) { c.WalkBatch = 2 })
		f.store.routes[7] = &repopb.Route{ConversationId: 7, Type: large, Large: true}
		f.store.members[7] = []int64{1, 2, 3, 4, 5}
		e := f.store.commit(7, joined)
		f.persistAll(t, message(7, 1, "after"), &taskpb.Persist{Committed: &taskpb.Committed{Event: e, AttachUserIds: []int64{5}, BecameLarge: true}})
		all := f.sockets.deliveries()
		if len(all) != 2 || !all[0].Index || !all[1].Interested {
			t.Fatalf("deliveries = %v", all)
		}
		equal(t, "receivers", all[0].UserIds, []int64{1, 2, 3, 4, 5})
		equal(t, "attached", all[0].AttachUserIds, []int64{1, 2, 3, 4, 5})
	})
}

func BenchmarkPersist(b *testing.B) {
	const size = 250
	f := newFixture(b, nil)
	f.persist.repo = &quickStore{route: &repopb.Route{ConversationId: 7, MemberIds: []int64{1, 2}}}
	f.persist.gateway = quickSockets{}
	batch := make([]bus.Record, size)
	for i := range batch {
		batch[i].Message = message(7, 1, "key")
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := f.persist.handle(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/message")
}
