package repotest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

// Messages holds an implementation to the contract of conversations, messages, pointers and sync.
func Messages(t *testing.T, open func(t testing.TB) repopb.RepoServiceServer) {
	for name, test := range map[string]func(*testing.T, *messageFixture){
		"one conversation a pair": testOnePair,
		"once":                    testMessageOnce,
		"own failures only":       testMessageFailures,
		"gapless":                 testGapless,
		"edit":                    testEdit,
		"recall":                  testRecall,
		"hide":                    testHide,
		"pages":                   testPages,
		"status":                  testStatus,
		"pointers":                testPointers,
		"delivered":               testDelivered,
		"senders and routes":      testSendersAndRoutes,
		"unread against a model":  testUnreadModel,
		"reading far behind":      testReadingFarBehind,
		"sync by cursor":          testSyncByCursor,
		"sync by seqs":            testSyncBySeqs,
		"sync by both":            testSyncByBoth,
		"sync of a left group":    testSyncLeft,
		"sync of another store":   testSyncOfAnotherStore,
		"sync of too much hidden": testSyncOfTooMuchHidden,
		"sync against a model":    testSyncModel,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, &messageFixture{groupFixture{RepoServiceServer: open(t)}})
		})
	}
}

type messageFixture struct{ groupFixture }

// pair makes two users and their conversation.
func (f *messageFixture) pair(t testing.TB) (conversation, a, b int64) {
	t.Helper()
	a = f.user(t)
	conversation, b = f.pairWith(t, a)
	return conversation, a, b
}

// pairWith makes a user and their conversation with another.
func (f *messageFixture) pairWith(t testing.TB, user int64) (conversation, peer int64) {
	t.Helper()
	peer = f.user(t)
	c, err := f.CreateConversation(t.Context(), &repopb.CreateConversationRequest{UserId: user, PeerId: peer})
	if err != nil {
		t.Fatal(err)
	}
	return c.GetConversation().GetConversation().GetId(), peer
}

// send stores one message, which must succeed.
func (f *messageFixture) send(t testing.TB, conversation, sender int64, key string) *repopb.Event {
	t.Helper()
	r := f.say(t, conversation, sender, key)
	if r.GetCode() != 0 {
		t.Fatalf("send: %v", r)
	}
	return r.GetEvent()
}

func (f *messageFixture) page(t testing.TB, r *repopb.GetMessagesRequest) *repopb.GetMessagesResponse {
	t.Helper()
	p, err := f.GetMessages(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (f *messageFixture) view(t testing.TB, conversation, user int64) *repopb.ConversationView {
	t.Helper()
	v, err := f.GetConversation(t.Context(), &repopb.GetConversationRequest{ConversationId: conversation, UserId: user})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (f *messageFixture) point(t testing.TB, conversation, user, seq int64, status repopb.MessageStatus) *repopb.UpdateMessageStatusResponse {
	t.Helper()
	r, err := f.UpdateMessageStatus(t.Context(), &repopb.UpdateMessageStatusRequest{
		ConversationId: conversation, ActorId: user, Seq: seq, Status: status,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const (
	statusSent      = repopb.MessageStatus_MESSAGE_STATUS_SENT
	statusDelivered = repopb.MessageStatus_MESSAGE_STATUS_DELIVERED
	statusRead      = repopb.MessageStatus_MESSAGE_STATUS_READ
	statusRecalled  = repopb.MessageStatus_MESSAGE_STATUS_RECALLED
)

func testOnePair(t *testing.T, f *messageFixture) {
	a, b := f.user(t), f.user(t)
	var mu sync.Mutex
	var wg sync.WaitGroup
	ids := map[int64]int{}
	created := 0
	for i := range 16 {
		wg.Go(func() {
			user, peer := a, b
			if i%2 == 1 {
				user, peer = b, a
			}
			c, err := f.CreateConversation(t.Context(), &repopb.CreateConversationRequest{UserId: user, PeerId: peer})
			if err != nil || c.GetConversation().GetPeerId() != peer {
				t.Errorf("create: %v %v", c, err)
			}
			mu.Lock()
			defer mu.Unlock()
			ids[c.GetConversation().GetConversation().GetId()]++
			if c.GetCreated() {
				created++
			}
		})
	}
	wg.Wait()
	if len(ids) != 1 || created != 1 {
		t.Errorf("conversations %v, created %d times", ids, created)
	}
	_, err := f.CreateConversation(t.Context(), &repopb.CreateConversationRequest{UserId: a, PeerId: 12345})
	wantCode(t, "with nobody", err, errs.NotFound)
	stranger := f.user(t)
	for id := range ids {
		_, err := f.GetConversation(t.Context(), &repopb.GetConversationRequest{ConversationId: id, UserId: stranger})
		wantCode(t, "a stranger's look", err, errs.NotFound)
		_, err = f.GetMessages(t.Context(), &repopb.GetMessagesRequest{ConversationId: id, UserId: stranger, Limit: 10})
		wantCode(t, "a stranger's history", err, errs.NotFound)
	}
}

func testMessageOnce(t *testing.T, f *messageFixture) {
	c, a, b := f.pair(t)
	other, _, _ := f.pair(t)
	m := &repopb.NewMessage{ConversationId: c, SenderId: a, ClientMsgId: "k", Content: "hi", MessageType: "text", EchoClientMsgId: true}
	create := func(ms ...*repopb.NewMessage) []*repopb.CreateMessageResult {
		t.Helper()
		r, err := f.CreateMessages(t.Context(), &repopb.CreateMessagesRequest{Messages: ms})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.GetResults()) != len(ms) {
			t.Fatalf("%d results of %d messages", len(r.GetResults()), len(ms))
		}
		return r.GetResults()
	}
	both := create(m, proto.CloneOf(m)) // also within one batch
	first := both[0].GetEvent()
	if first.GetContent() != "hi" || first.GetClientMsgId() != "k" || first.GetUserId() != a || first.GetPeerId() != b || first.GetCreatedAt() == 0 || both[0].GetDuplicate() {
		t.Errorf("first: %v", both[0])
	}
	for i, again := range []*repopb.CreateMessageResult{both[1], create(m)[0]} {
		if !again.GetDuplicate() || again.GetEvent().GetSeq() != first.GetSeq() || again.GetEvent().GetCreatedAt() != first.GetCreatedAt() {
			t.Errorf("retry %d: %v, first %v", i, again, first)
		}
	}
	for what, change := range map[string]func(m *repopb.NewMessage){
		"content":      func(m *repopb.NewMessage) { m.Content = "ho" },
		"type":         func(m *repopb.NewMessage) { m.MessageType = "image" },
		"conversation": func(m *repopb.NewMessage) { m.ConversationId = other },
	} {
		changed := proto.CloneOf(m)
		change(changed)
		got := errs.Code(create(changed)[0].GetCode())
		if got != errs.Conflict && (what != "conversation" || got != errs.NotFound) {
			t.Errorf("same key, other %s: %v", what, got)
		}
	}
	// An edit changes neither what the key stands for nor that it is used.
	if _, err := f.EditMessage(t.Context(), &repopb.EditMessageRequest{ConversationId: c, Seq: first.GetSeq(), ActorId: a, Content: "ho"}); err != nil {
		t.Fatal(err)
	}
	if again := create(m)[0]; !again.GetDuplicate() {
		t.Errorf("retry after an edit: %v", again)
	}
	edited := proto.CloneOf(m)
	edited.Content = "ho"
	if got := errs.Code(create(edited)[0].GetCode()); got != errs.Conflict {
		t.Errorf("another body that the edit made equal: %v", got)
	}
	// The key is the sender's.
	theirs := proto.CloneOf(m)
	theirs.SenderId = b
	if r := create(theirs)[0]; r.GetDuplicate() || r.GetCode() != 0 {
		t.Errorf("the peer's same key: %v", r)
	}
	m.ClientMsgId, m.EchoClientMsgId = "made up", false
	if r := create(m)[0]; r.GetEvent().GetClientMsgId() != "" {
		t.Errorf("a made up key is shown: %v", r)
	}
}

func testMessageFailures(t *testing.T, f *messageFixture) {
	c, a, b := f.pair(t)
	stranger := f.user(t)
	r, err := f.CreateMessages(t.Context(), &repopb.CreateMessagesRequest{PushOutbox: true, Messages: []*repopb.NewMessage{
		{ConversationId: c, SenderId: a, ClientMsgId: "1", Content: "x", MessageType: "text"},
		{ConversationId: c, SenderId: stranger, ClientMsgId: "2", Content: "x", MessageType: "text"},
		{ConversationId: 999, SenderId: a, ClientMsgId: "3", Content: "x", MessageType: "text"},
		{ConversationId: c, SenderId: b, ClientMsgId: "4", Content: "x", MessageType: "text"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	res := r.GetResults()
	if errs.Code(res[1].GetCode()) != errs.NotFound || errs.Code(res[2].GetCode()) != errs.NotFound || res[1].GetError() == "" {
		t.Errorf("refused: %v, %v", res[1], res[2])
	}
	if res[3].GetEvent().GetSeq() != res[0].GetEvent().GetSeq()+1 {
		t.Errorf("the refused ones left a hole: %v, %v", res[0], res[3])
	}
	if r.GetOutboxId() == 0 {
		t.Error("no outbox entry")
	}
	if len(r.GetRoutes()) != 1 || !slices.Equal(sorted(r.GetRoutes()[0].GetMemberIds()...), sorted(a, b)) {
		t.Errorf("routes: %v", r.GetRoutes())
	}
	for i, want := range res[:1] {
		again, err := f.CreateMessages(t.Context(), &repopb.CreateMessagesRequest{PushOutbox: true, Messages: []*repopb.NewMessage{
			{ConversationId: c, SenderId: a, ClientMsgId: "1", Content: "x", MessageType: "text"},
		}})
		if err != nil || again.GetOutboxId() != 0 || len(again.GetRoutes()) != 0 || again.GetResults()[0].GetEvent().GetSeq() != want.GetEvent().GetSeq() {
			t.Errorf("retry %d: %v %v", i, again, err)
		}
	}
}

func testGapless(t *testing.T, f *messageFixture) {
	c, a, b := f.pair(t)
	group := f.newGroup(t, a, b).GetId()
	before := map[int64]int{c: len(f.log(t, c)), group: len(f.log(t, group))}
	const writers, each = 64, 8
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				sender := []int64{a, b}[w%2]
				r, err := f.CreateMessages(t.Context(), &repopb.CreateMessagesRequest{Messages: []*repopb.NewMessage{
					{ConversationId: c, SenderId: sender, ClientMsgId: fmt.Sprintf("s-%d-%d", w, i), Content: fmt.Sprintf("%d:%d", w, i), MessageType: "text"},
					{ConversationId: group, SenderId: sender, ClientMsgId: fmt.Sprintf("g-%d-%d", w, i), Content: fmt.Sprintf("%d:%d", w, i), MessageType: "text"},
				}})
				if err != nil {
					t.Errorf("send: %v", err)
					return
				}
				for _, res := range r.GetResults() {
					if res.GetCode() != 0 {
						t.Errorf("send: %v", res)
					}
				}
			}
		})
	}
	wg.Wait()
	for conversation, n := range before {
		log := f.log(t, conversation)
		if len(log) != n+writers*each {
			t.Errorf("conversation %d: %d entries, want %d", conversation, len(log), n+writers*each)
		}
		last := map[string]string{}
		for i, ev := range log {
			if ev.GetSeq() != int64(i+1) {
				t.Fatalf("entry %d has seq %d", i+1, ev.GetSeq())
			}
			if i > 0 && ev.GetCreatedAt() < log[i-1].GetCreatedAt() {
				t.Errorf("time goes back at seq %d", ev.GetSeq())
			}
			if writer, number, ok := strings.Cut(ev.GetContent(), ":"); ok {
				if number <= last[writer] && last[writer] != "" {
					t.Errorf("writer %s: %s comes after %s", writer, number, last[writer])
				}
				last[writer] = number
			}
		}
	}
}

func testEdit(t *testing.T, f *messageFixture) {
	c, a, b := f.pair(t)
	m := f.send(t, c, a, "old text")
	edit, err := f.EditMessage(t.Context(), &repopb.EditMessageRequest{ConversationId: c, Seq: m.GetSeq(), ActorId: a, Content: "new text"})
	if err != nil {
		t.Fatal(err)
	}
	if edit.GetKind() != repopb.EventKind_EVENT_KIND_EDIT || edit.GetSeq() != m.GetSeq()+1 || edit.GetTargetSeq() != m.GetSeq() || edit.GetContent() != "new text" {
		t.Errorf("edit: %v", edit)
	}
	log := f.page(t, &repopb.GetMessagesRequest{ConversationId: c, UserId: b, IncludeAll: true, Limit: 10}).GetEvents()
	now, ev := log[len(log)-2], log[len(log)-1]
	if now.GetContent() != "new text" || now.GetUpdatedAt() != edit.GetCreatedAt() || ev.GetContent() != "new text" || ev.GetTargetSeq() != m.GetSeq() {
		t.Errorf("log: %v", log)
	}
	try := func(what string, want errs.Code, r *repopb.EditMessageRequest) {
		t.Helper()
		_, err := f.EditMessage(t.Context(), r)
		wantCode(t, what, err, want)
	}
	try("the peer's", errs.Forbidden, &repopb.EditMessageRequest{ConversationId: c, Seq: m.GetSeq(), ActorId: b, Content: "x"})
	try("a stranger's", errs.NotFound, &repopb.EditMessageRequest{ConversationId: c, Seq: m.GetSeq(), ActorId: f.user(t), Content: "x"})
	try("of nothing", errs.NotFound, &repopb.EditMessageRequest{ConversationId: c, Seq: 99, ActorId: a, Content: "x"})
	try("of an event", errs.NotFound, &repopb.EditMessageRequest{ConversationId: c, Seq: edit.GetSeq(), ActorId: a, Content: "x"})
	try("too late", errs.Conflict, &repopb.EditMessageRequest{ConversationId: c, Seq: m.GetSeq(), ActorId: a, Content: "x", NotBefore: m.GetCreatedAt() + 1})
	f.point(t, c, a, m.GetSeq(), statusRecalled)
	try("recalled", errs.Conflict, &repopb.EditMessageRequest{ConversationId: c, Seq: m.GetSeq(), ActorId: a, Content: "x"})
}

func testRecall(t *testing.T, f *messageFixture) {
	c, a, b := f.pair(t)
	m := f.send(t, c, a, "secret one")
	if _, err := f.EditMessage(t.Context(), &repopb.EditMessageRequest{ConversationId: c, Seq: m.GetSeq(), ActorId: a, Content: "secret two"}); err != nil {
		t.Fatal(err)
	}
	recall := func(r *repopb.UpdateMessageStatusRequest) error {
		r.ConversationId, r.Seq, r.Status = c, m.GetSeq(), statusRecalled
		_, err := f.UpdateMessageStatus(t.Context(), r)
		return err
	}
	wantCode(t, "by the peer", recall(&repopb.UpdateMessageStatusRequest{ActorId: b}), errs.Forbidden)
	wantCode(t, "by a stranger", recall(&repopb.UpdateMessageStatusRequest{ActorId: f.user(t)}), errs.NotFound)
	wantCode(t, "too late", recall(&repopb.UpdateMessageStatusRequest{ActorId: a, NotBefore: m.GetCreatedAt() + 1}), errs.Conflict)
	wantCode(t, "in time", recall(&repopb.UpdateMessageStatusRequest{ActorId: a, NotBefore: m.GetCreatedAt()}), errs.OK)
	wantCode(t, "twice", recall(&repopb.UpdateMessageStatusRequest{ActorId: a}), errs.Conflict)

	noSecret := func(what string, events ...*repopb.Event) {
		t.Helper()
		for _, ev := range events {
			if strings.Contains(ev.String(), "secret") {
				t.Errorf("%s: recalled text survives in %v", what, ev)
			}
		}
	}
	for _, user := range []int64{a, b, 0} {
		all := f.page(t, &repopb.GetMessagesRequest{ConversationId: c, UserId: user, IncludeAll: true, Limit: 10}).GetEvents()
		noSecret("log", all...)
		noSecret("history", f.page(t, &repopb.GetMessagesRequest{ConversationId: c, UserId: user, Limit: 10}).GetEvents()...)
		if ev := all[m.GetSeq()-1]; ev.GetStatus() != statusRecalled || ev.GetUserId() != a || ev.GetUpdatedAt() == 0 {
			t.Errorf("recalled message: %v", ev)
		}
		if ev := all[len(all)-1]; ev.GetKind() != repopb.EventKind_EVENT_KIND_RECALL || ev.GetTargetSeq() != m.GetSeq() {
			t.Errorf("recall event: %v", ev)
		}
	}
	noSecret("list", f.view(t, c, b).GetLastMessage())
	again := f.say(t, c, a, "secret one") // the same key and body as at first
	if !again.GetDuplicate() {
		t.Errorf("retry of what was recalled: %v", again)
	}
	noSecret("retry", again.GetEvent())
	retry := func(conversation int64, content string) *repopb.CreateMessageResult {
		t.Helper()
		r, err := f.CreateMessages(t.Context(), &repopb.CreateMessagesRequest{Messages: []*repopb.NewMessage{
			{ConversationId: conversation, SenderId: a, ClientMsgId: "secret one", Content: content, MessageType: "text"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetResults()[0]
	}
	// Nothing is kept that could tell whether a guess of the text is right.
	if guess := retry(c, "a guess"); !guess.GetDuplicate() || guess.GetEvent().GetSeq() != m.GetSeq() {
		t.Errorf("retry of what was recalled with another body: %v", guess)
	}
	elsewhere, err := f.CreateConversation(t.Context(), &repopb.CreateConversationRequest{UserId: a, PeerId: f.user(t)})
	if err != nil {
		t.Fatal(err)
	}
	if guess := retry(elsewhere.GetConversation().GetConversation().GetId(), "secret one"); errs.Code(guess.GetCode()) != errs.Conflict {
		t.Errorf("the key in another conversation: %v", guess)
	}
	changes, err := f.GetChanges(t.Context(), &repopb.GetChangesRequest{UserId: b, Have: map[int64]int64{c: 1}, MaxEvents: 100, MaxPerConversation: 100})
	if err != nil {
		t.Fatal(err)
	}
	noSecret("sync", changes.GetEvents()...)
}

func testHide(t *testing.T, f *messageFixture) {
	c, a, b := f.pair(t)
	m := f.send(t, c, a, "hide me")
	keep := f.send(t, c, b, "keep me")
	hide := func(user, seq int64) error {
		_, err := f.HideMessage(t.Context(), &repopb.HideMessageRequest{ConversationId: c, Seq: seq, UserId: user})
		return err
	}
	for range 2 {
		wantCode(t, "hide", hide(b, m.GetSeq()), errs.OK)
	}
	wantCode(t, "hide nothing", hide(b, 99), errs.NotFound)
	wantCode(t, "hide as a stranger", hide(f.user(t), m.GetSeq()), errs.NotFound)
	seqs := func(user int64, all bool) (seqs []int64) {
		t.Helper()
		for _, ev := range f.page(t, &repopb.GetMessagesRequest{ConversationId: c, UserId: user, Limit: 10, IncludeAll: all}).GetEvents() {
			if ev.GetKind() == repopb.EventKind_EVENT_KIND_MESSAGE {
				seqs = append(seqs, ev.GetSeq())
			}
			if user == b && ev.GetSeq() == m.GetSeq() && ev.GetContent() != "" {
				t.Errorf("hidden content: %v", ev)
			}
		}
		return seqs
	}
	if got := seqs(b, false); !slices.Equal(got, []int64{keep.GetSeq()}) {
		t.Errorf("history of who hid: %v", got)
	}
	for _, got := range [][]int64{seqs(a, false), seqs(a, true), seqs(b, true)} {
		if !slices.Equal(got, []int64{m.GetSeq(), keep.GetSeq()}) {
			t.Errorf("history: %v", got)
		}
	}
	wantCode(t, "hide the last", hide(b, keep.GetSeq()), errs.OK)
	if last := f.view(t, c, b).GetLastMessage(); last.GetKind() == repopb.EventKind_EVENT_KIND_MESSAGE {
		t.Errorf("last message of who hid all: %v", last)
	}
	if last := f.view(t, c, a).GetLastMessage(); last.GetSeq() != keep.GetSeq() {
		t.Errorf("last message: %v", last)
	}
}

func testPages(t *testing.T, f *messageFixture) {
	c, a, b := f.pair(t)
	var want []int64
	for i := range 25 {
		want = append(want, f.send(t, c, a, fmt.Sprint("m", i)).GetSeq())
		if i%5 == 0 {
			_, err := f.EditMessage(t.Context(), &repopb.EditMessageRequest{ConversationId: c, Seq: want[i], ActorId: a, Content: "edited"})
			wantCode(t, "edit", err, errs.OK)
		}
	}
	messages := func(events []*repopb.Event) (seqs []int64) {
		for _, ev := range events {
			if ev.GetKind() == repopb.EventKind_EVENT_KIND_MESSAGE {
				seqs = append(seqs, ev.GetSeq())
			}
		}
		return seqs
	}
	for _, all := range []bool{false, true} {
		for _, limit := range []int32{1, 7, 25, 100} {
			var down []int64
			before := int64(0)
			for {
				p := f.page(t, &repopb.GetMessagesRequest{ConversationId: c, UserId: b, BeforeSeq: before, Limit: limit, IncludeAll: all})
				if len(p.GetEvents()) > int(limit) {
					t.Fatalf("%d events of at most %d", len(p.GetEvents()), limit)
				}
				down = append(messages(p.GetEvents()), down...)
				if !p.GetHasMore() {
					break
				}
				before = p.GetEvents()[0].GetSeq()
			}
			var up []int64
			after := int64(0)
			for {
				p := f.page(t, &repopb.GetMessagesRequest{ConversationId: c, UserId: b, AfterSeq: after, AfterSet: true, Limit: limit, IncludeAll: all})
				up = append(up, messages(p.GetEvents())...)
				for i, ev := range p.GetEvents() {
					if all && ev.GetSeq() != after+int64(i)+1 {
						t.Fatalf("hole at %d", ev.GetSeq())
					}
				}
				if !p.GetHasMore() {
					break
				}
				after = p.GetEvents()[len(p.GetEvents())-1].GetSeq()
			}
			if !slices.Equal(up, want) || !slices.Equal(down, want) {
				t.Errorf("all %v, limit %d: up %v, down %v, want %v", all, limit, up, down, want)
			}
		}
	}
}

func testStatus(t *testing.T, f *messageFixture) {
	c, a, b := f.pair(t)
	first, second := f.send(t, c, a, "1"), f.send(t, c, a, "2")
	check := func(wantFirst, wantSecond repopb.MessageStatus) {
		t.Helper()
		log := f.page(t, &repopb.GetMessagesRequest{ConversationId: c, UserId: a, Limit: 2}).GetEvents()
		if log[0].GetStatus() != wantFirst || log[1].GetStatus() != wantSecond {
			t.Errorf("status %v and %v, want %v and %v", log[0].GetStatus(), log[1].GetStatus(), wantFirst, wantSecond)
		}
	}
	check(statusSent, statusSent)
	f.deliver(t, 1, &repopb.DeliveredPointer{ConversationId: c, UserId: b, Seq: first.GetSeq()})
	check(statusDelivered, statusSent)
	f.deliver(t, 1, &repopb.DeliveredPointer{ConversationId: c, UserId: b, Seq: second.GetSeq()})
	check(statusDelivered, statusDelivered)
	f.point(t, c, b, first.GetSeq(), statusRead)
	check(statusRead, statusDelivered)
	f.point(t, c, b, 1000, statusRead)
	check(statusRead, statusRead)
	f.point(t, c, a, first.GetSeq(), statusRecalled)
	check(statusRecalled, statusRead)
}

func (f *messageFixture) deliver(t testing.TB, moved int, pointers ...*repopb.DeliveredPointer) []*repopb.DeliveredPointer {
	t.Helper()
	r, err := f.MarkDelivered(t.Context(), &repopb.MarkDeliveredRequest{Pointers: pointers})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.GetMoved()) != moved {
		t.Fatalf("moved %v, want %d pointers", r.GetMoved(), moved)
	}
	return r.GetMoved()
}

func testDelivered(t *testing.T, f *messageFixture) {
	c, a, b := f.pair(t)
	other, d, e := f.pair(t)
	stranger := f.user(t)
	var last int64
	for i := range 3 {
		last = f.send(t, c, a, fmt.Sprint(i)).GetSeq()
	}
	f.send(t, other, d, "x")
	moved := f.deliver(t, 2,
		&repopb.DeliveredPointer{ConversationId: other, UserId: e, Seq: 1 << 60},
		&repopb.DeliveredPointer{ConversationId: c, UserId: b, Seq: last - 1},
		&repopb.DeliveredPointer{ConversationId: c, UserId: stranger, Seq: last},
		&repopb.DeliveredPointer{ConversationId: 1, UserId: b, Seq: last},
	)
	for _, m := range moved {
		want := &repopb.DeliveredPointer{ConversationId: c, UserId: b, Seq: last - 1, PeerId: a}
		if m.GetConversationId() == other {
			want = &repopb.DeliveredPointer{ConversationId: other, UserId: e, Seq: 1, PeerId: d}
		}
		if !proto.Equal(m, want) {
			t.Errorf("moved %v, want %v", m, want)
		}
	}
	for _, seq := range []int64{-1, 0, 1, last - 1} {
		f.deliver(t, 0, &repopb.DeliveredPointer{ConversationId: c, UserId: b, Seq: seq})
	}
	f.point(t, c, b, last, statusRead)
	f.deliver(t, 0, &repopb.DeliveredPointer{ConversationId: c, UserId: b, Seq: last}) // what is read is delivered
}

func testPointers(t *testing.T, f *messageFixture) {
	c, a, b := f.pair(t)
	var last int64
	for i := range 5 {
		last = f.send(t, c, a, fmt.Sprint(i)).GetSeq()
	}
	r := f.point(t, c, b, last-1, statusRead)
	if !r.GetMoved() || r.GetSeq() != last-1 || r.GetPeerId() != a || r.GetType() != repopb.ConversationType_CONVERSATION_TYPE_SINGLE {
		t.Errorf("forward: %v", r)
	}
	for _, seq := range []int64{1, last - 1, 0, -5} {
		if r := f.point(t, c, b, seq, statusRead); r.GetMoved() || r.GetSeq() != last-1 {
			t.Errorf("to %d: %v", seq, r)
		}
	}
	if r := f.point(t, c, b, 1<<60, statusRead); !r.GetMoved() || r.GetSeq() != last {
		t.Errorf("beyond the end: %v", r)
	}
	_, err := f.UpdateMessageStatus(t.Context(), &repopb.UpdateMessageStatusRequest{ConversationId: c, ActorId: f.user(t), Seq: 1, Status: statusRead})
	wantCode(t, "a stranger's", err, errs.NotFound)
}

func testSendersAndRoutes(t *testing.T, f *messageFixture) {
	c, a, b := f.pair(t)
	stranger := f.user(t)
	group := f.newGroup(t, a, b).GetId()
	ask := func(pairs ...int64) []*repopb.SenderState {
		t.Helper()
		r := &repopb.CheckSendersRequest{}
		for i := 0; i < len(pairs); i += 2 {
			r.Senders = append(r.Senders, &repopb.CheckSendersRequest_Sender{ConversationId: pairs[i], UserId: pairs[i+1]})
		}
		got, err := f.CheckSenders(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		return got.GetSenders()
	}
	for range 2 { // cold, then from the caches
		s := ask(c, a, c, stranger, group, b, 999, a, c, 999)
		if !s[0].GetMember() || !s[0].GetActive() || s[0].GetPeerId() != b || s[0].GetType() != repopb.ConversationType_CONVERSATION_TYPE_SINGLE {
			t.Errorf("member: %v", s[0])
		}
		if s[1].GetMember() || s[3].GetMember() || s[4].GetMember() || s[4].GetActive() || !s[1].GetActive() {
			t.Errorf("strangers: %v", s)
		}
		if !s[2].GetMember() || s[2].GetRole() != repopb.Role_ROLE_MEMBER {
			t.Errorf("group member: %v", s[2])
		}
	}
	disabled := repopb.UserStatus_USER_STATUS_DISABLED
	if _, err := f.UpdateUser(t.Context(), &repopb.UpdateUserRequest{Id: b, Status: &disabled}); err != nil {
		t.Fatal(err)
	}
	if s := ask(c, b); s[0].GetActive() || !s[0].GetMember() {
		t.Errorf("disabled: %v", s[0])
	}
	f.remove(t, group, a, b)
	if s := ask(group, b); s[0].GetMember() {
		t.Errorf("removed: %v", s[0])
	}
	routes, err := f.GetRoutes(t.Context(), &repopb.GetRoutesRequest{ConversationIds: []int64{c, group, 999}})
	if err != nil || len(routes.GetRoutes()) != 2 {
		t.Fatalf("routes: %v %v", routes, err)
	}
	for _, r := range routes.GetRoutes() {
		want := sorted(a, b)
		if r.GetConversationId() == group {
			want = []int64{a}
		}
		if !slices.Equal(sorted(r.GetMemberIds()...), want) {
			t.Errorf("route: %v", r)
		}
	}
}
