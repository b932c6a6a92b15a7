package gochat_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	gochat "github.com/gochat-im/gochat/sdk/go"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("internal/poll.runtime_pollWait"),
		goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"), goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"))
}

const patience = 10 * time.Second

// connect opens a session on a fake server; it is closed at the test's end.
func connect(t *testing.T, f *fakeServer, cfg gochat.SessionConfig) *gochat.Session {
	t.Helper()
	s, err := client(t, f, gochat.WithTokens(gochat.Tokens{Access: "access"})).Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func client(t *testing.T, f *fakeServer, options ...gochat.Option) *gochat.Client {
	t.Helper()
	c, err := gochat.New(f.url, options...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// next returns the next event of that type and skips the others.
func next[E gochat.Event](t *testing.T, s *gochat.Session) E {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case e, ok := <-s.Events():
			if !ok {
				t.Fatalf("the session ended: %v", s.Err())
			}
			if e, ok := e.(E); ok {
				return e
			}
		case <-timeout:
			var want E
			t.Fatalf("no %T came", want)
		}
	}
}

// synced waits until the session is up to date.
func synced(t *testing.T, s *gochat.Session) {
	t.Helper()
	for next[gochat.StateEvent](t, s).State != gochat.Synced {
	}
}

// expect reads the next entries and compares their seqs.
func expect(t *testing.T, s *gochat.Session, seqs ...int64) {
	t.Helper()
	var got []int64
	for range seqs {
		got = append(got, next[gochat.EntryEvent](t, s).Entry.Seq)
	}
	if !slices.Equal(got, seqs) {
		t.Fatalf("got seqs %v, want %v", got, seqs)
	}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func TestSendIsAcknowledgedAndLogged(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	store := &gochat.MemoryStore{}
	s := connect(t, f, gochat.SessionConfig{Store: store, FromStart: true})
	ack, err := s.Send(t.Context(), gochat.Outgoing{ConversationID: "c", Content: "hi"})
	if err != nil || ack.Seq != 1 || ack.Duplicate {
		t.Fatalf("%+v, %v", ack, err)
	}
	expect(t, s, 1)
	if log := store.Log("c"); len(log) != 1 || log[0].Content != "hi" || log[0].FromUserID != "me" || log[0].MessageType != "text" {
		t.Fatalf("log %+v", log)
	}
}

func TestSendIsResentUntilAnswered(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	s := connect(t, f, gochat.SessionConfig{FromStart: true})
	synced(t, s)
	f.change(func() { f.loseAcks = 3 })
	var waits []*gochat.Sending
	for i := range 3 {
		w, err := s.Start(gochat.Outgoing{ConversationID: "c", Content: fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		waits = append(waits, w)
	}
	eventually(t, "the messages are stored", func() bool { return f.count(func() int { return len(f.logs["c"]) }) == 3 })
	f.drop()
	for i, w := range waits {
		ack, err := w.Wait(t.Context())
		if err != nil || !ack.Duplicate || ack.Seq != int64(i)+1 {
			t.Fatalf("%+v, %v", ack, err)
		}
	}
	expect(t, s, 1, 2, 3)
	if n := f.count(func() int { return len(f.logs["c"]) }); n != 3 {
		t.Fatalf("%d messages are stored", n)
	}
}

func TestSendIsRepeatedOnALivingConnection(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	f.loseAcks = 1
	s := connect(t, f, gochat.SessionConfig{FromStart: true, AckTimeout: 50 * time.Millisecond})
	if ack, err := s.Send(t.Context(), gochat.Outgoing{ConversationID: "c", Content: "hi"}); err != nil || !ack.Duplicate {
		t.Fatalf("%+v, %v", ack, err)
	}
}

func TestRefusalEndsASend(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	f.onMessage = func(m gochat.Outgoing) string {
		return fmt.Sprintf(`{"code":1007,"message":"slow down","details":{"retry_after_ms":"1500"},"client_msg_id":%q}`, m.ClientMsgID)
	}
	s := connect(t, f, gochat.SessionConfig{})
	_, err := s.Send(t.Context(), gochat.Outgoing{ConversationID: "c", Content: "hi"})
	refusal, ok := errors.AsType[*gochat.Error](err)
	if !ok || refusal.Code != gochat.CodeRateLimited || refusal.RetryAfter != 1500*time.Millisecond || !refusal.Temporary() || refusal.Uncertain {
		t.Fatalf("%v", err)
	}
}

// Of two copies one was stored, its ack lost, and the other refused.
func TestRefusalOfOneOfSeveralCopiesIsUncertain(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	f.loseAcks = 1
	copies := 0
	f.onMessage = func(gochat.Outgoing) string {
		if copies++; copies == 2 {
			return `{"code":1005,"message":"muted","client_msg_id":"m"}`
		}
		return ""
	}
	s := connect(t, f, gochat.SessionConfig{AckTimeout: time.Millisecond})
	message := gochat.Outgoing{ConversationID: "c", Content: "hi", ClientMsgID: "m"}
	_, err := s.Send(t.Context(), message)
	refusal, ok := errors.AsType[*gochat.Error](err)
	if !ok || refusal.Code != gochat.CodeForbidden || !refusal.Uncertain {
		t.Fatalf("%v", err)
	}
	if ack, err := s.Send(t.Context(), message); err != nil || !ack.Duplicate {
		t.Fatalf("%+v, %v", ack, err)
	}
}

func TestSendEndsWithItsContext(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	f.loseAcks = 1000
	s := connect(t, f, gochat.SessionConfig{MaxOutbox: 1})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	w, err := s.Start(gochat.Outgoing{ConversationID: "c", Content: "hi"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Start(gochat.Outgoing{ConversationID: "c", Content: "hi"}); !errors.Is(err, gochat.ErrOutboxFull) {
		t.Fatalf("the outbox takes more than its bound: %v", err)
	}
	if _, err := w.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if _, err := s.Start(gochat.Outgoing{ConversationID: "c", Content: "hi"}); err != nil {
		t.Fatalf("the outbox kept what nobody waits for: %v", err)
	}
}

func TestReorderedAndRepeatedEntries(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	s := connect(t, f, gochat.SessionConfig{FromStart: true, GapWait: time.Minute})
	synced(t, s)
	e := f.write("c", "1", "2", "3", "4")
	f.deliver(e[0], e[2], e[0], e[3], e[3], e[1])
	expect(t, s, 1, 2, 3, 4)
	if n := f.count(func() int { return len(f.pulls) }); n != 0 {
		t.Fatalf("%d pulls for what came by itself", n)
	}
}

func TestGapIsPulled(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	s := connect(t, f, gochat.SessionConfig{FromStart: true, GapWait: time.Millisecond})
	synced(t, s)
	e := f.write("c", slices.Repeat([]string{"x"}, 700)...)
	f.deliver(e[0], e[699])
	for seq := int64(1); seq <= 700; seq++ {
		expect(t, s, seq)
	}
}

func TestBehindMarkIsPulled(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	s := connect(t, f, gochat.SessionConfig{FromStart: true})
	synced(t, s)
	f.write("c", "1", "2")
	f.deliver(gochat.Entry{Kind: "behind", ConversationID: "c", Seq: 2})
	expect(t, s, 1, 2)
}

func TestResumeByCursor(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	f.write("c", "1", "2")
	s := connect(t, f, gochat.SessionConfig{FromStart: true})
	expect(t, s, 1, 2)
	synced(t, s)
	f.drop()
	f.write("c", "3", "4")
	expect(t, s, 3, 4)
	synced(t, s)
	f.mu.Lock()
	defer f.mu.Unlock()
	if last := string(f.syncs[len(f.syncs)-1]); last != `{"conversations":{"c":2},"cursor":"2"}` { // pulled after the cursor was made
		t.Fatalf("resumed with %s", last)
	}
}

// However soon connections break, each one brings the session further.
func TestCutResumeIsContinued(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	f.write("c", "1")
	f.write("quiet", "1")
	s := connect(t, f, gochat.SessionConfig{FromStart: true})
	synced(t, s)
	f.drop()
	synced(t, s) // both are covered by the cursor now
	f.deliver(f.write("live", "1")...)
	for next[gochat.EntryEvent](t, s).Entry.ConversationID != "live" {
	}
	f.change(func() { f.cutAfter = 2 })
	f.write("c", "2", "3", "4", "5", "6")
	f.drop()
	expect(t, s, 2, 3, 4, 5, 6)
	synced(t, s)
	f.mu.Lock()
	defer f.mu.Unlock()
	var got []string
	for _, data := range f.syncs[len(f.syncs)-4:] {
		got = append(got, string(data))
	}
	want := []string{
		`{"conversations":{"live":1},"cursor":"1"}`,
		`{"conversations":{"c":3,"live":1},"cursor":"1"}`,
		`{"conversations":{"c":5,"live":1},"cursor":"1"}`,
		`{"conversations":{"c":6,"live":1},"cursor":"1"}`,
	}
	if !slices.Equal(got, want) {
		t.Fatalf("resumed with %v", got)
	}
}

func TestResumeTooFarIsPaged(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	s := connect(t, f, gochat.SessionConfig{FromStart: true})
	synced(t, s)
	f.change(func() { f.tooFar = map[string]int64{"c": 450} })
	f.write("c", slices.Repeat([]string{"x"}, 450)...)
	f.drop()
	for seq := int64(1); seq <= 450; seq++ {
		expect(t, s, seq)
	}
}

func TestSecondSessionGoesOnWhereTheStoreIs(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	f.write("c", "1", "2")
	store := &gochat.MemoryStore{}
	s := connect(t, f, gochat.SessionConfig{Store: store, FromStart: true})
	expect(t, s, 1, 2)
	synced(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	f.write("c", "3")
	expect(t, connect(t, f, gochat.SessionConfig{Store: store, FromStart: true}), 3)
}

// A cursor promises that nothing before it is missing, so it is kept only once that is true.
func TestSecondSessionGetsWhatTheFirstHadNoTimeToPull(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	asked, closed := make(chan struct{}, 10), make(chan struct{})
	f.change(func() {
		f.tooFar = map[string]int64{"c": 3}
		f.onHistory = func() { asked <- struct{}{}; <-closed }
	})
	f.write("c", "1", "2", "3")
	store := &gochat.MemoryStore{}
	s := connect(t, f, gochat.SessionConfig{Store: store, FromStart: true})
	select {
	case <-asked:
	case <-time.After(10 * time.Second):
		t.Fatal("the first session pulls nothing")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	close(closed)
	f.change(func() { f.tooFar, f.onHistory = nil, nil })
	expect(t, connect(t, f, gochat.SessionConfig{Store: store, FromStart: true}), 1, 2, 3)
}

func TestWithoutHistoryALogBeginsNow(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	f.write("old", "1", "2")
	s := connect(t, f, gochat.SessionConfig{})
	synced(t, s)
	f.deliver(f.write("old", "3")...)
	expect(t, s, 3)
	f.deliver(f.write("new", "1")...)
	expect(t, s, 1)
}

func TestLeavingEndsALogAndRejoiningGoesOn(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	s := connect(t, f, gochat.SessionConfig{FromStart: true, GapWait: time.Millisecond})
	synced(t, s)
	f.deliver(f.write("g", "1")...)
	expect(t, s, 1)
	f.mu.Lock()
	f.appendLocked(gochat.Entry{Kind: gochat.KindMessage, ConversationID: "g", FromUserID: "peer"}) // not delivered
	removal := f.appendLocked(gochat.Entry{Kind: gochat.KindMemberRemoved, ConversationID: "g", UserID: "peer", TargetUserIDs: []string{"me"}})
	f.mu.Unlock()
	f.deliver(removal)
	if left := next[gochat.LeftEvent](t, s); left.ConversationID != "g" {
		t.Fatalf("%+v", left)
	}
	f.mu.Lock()
	join := f.appendLocked(gochat.Entry{Kind: gochat.KindMemberJoined, ConversationID: "g", TargetUserIDs: []string{"me"}})
	f.mu.Unlock()
	f.deliver(join)
	expect(t, s, 2, 3, 4)
}

func TestPullOfWhatOneMayNotSeeEndsTheLog(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	s := connect(t, f, gochat.SessionConfig{FromStart: true, GapWait: time.Millisecond})
	synced(t, s)
	f.deliver(gochat.Entry{Kind: gochat.KindMessage, ConversationID: "gone", Seq: 5})
	if left := next[gochat.LeftEvent](t, s); left.ConversationID != "gone" {
		t.Fatalf("%+v", left)
	}
}

// A pull that is refused while its conversation goes on live does not end the log: one was away and is back.
func TestRefusedPullOfWhatGoesOnIsRepeated(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	s := connect(t, f, gochat.SessionConfig{FromStart: true, GapWait: time.Millisecond})
	synced(t, s)
	heard := make(chan struct{})
	var once sync.Once
	f.change(func() {
		f.onHistory = func() {
			once.Do(func() { // the refusal is on its way when the rejoin comes
				entries := f.write("back", "1", "2", "3")
				f.deliver(entries[2])
				f.push(f.conn, `{"type":"typing","data":{"conversation_id":"back","user_id":"peer"}}`)
				<-heard
			})
		}
	})
	f.deliver(gochat.Entry{Kind: gochat.KindMessage, ConversationID: "back", Seq: 2})
	next[gochat.TypingEvent](t, s) // so the entry before it was heard
	close(heard)
	expect(t, s, 1, 2, 3)
}

// The members of a dissolved group can still read it: what is missing before its end is pulled.
func TestDissolvedGroupIsPulled(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	s := connect(t, f, gochat.SessionConfig{FromStart: true, GapWait: time.Millisecond})
	synced(t, s)
	f.write("c", "1", "2")
	f.mu.Lock()
	end := f.appendLocked(gochat.Entry{Kind: gochat.KindDissolved, ConversationID: "c", UserID: "peer"})
	f.mu.Unlock()
	f.deliver(end)
	expect(t, s, 1, 2, 3)
}

func TestTerminalCloseEndsTheSession(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	s := connect(t, f, gochat.SessionConfig{})
	synced(t, s)
	f.closeWith(gochat.CloseLoggedOut, "")
	for range s.Events() {
	}
	gone, ok := errors.AsType[*gochat.DisconnectError](s.Err())
	if !ok || gone.Code != gochat.CloseLoggedOut {
		t.Fatalf("%v", s.Err())
	}
	if _, err := s.Send(t.Context(), gochat.Outgoing{ConversationID: "c"}); !errors.Is(err, gochat.ErrClosed) {
		t.Fatal(err)
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	s := connect(t, f, gochat.SessionConfig{})
	synced(t, s)
	began := time.Now()
	f.closeWith(4200, `,"retry_after_ms":600`)
	for next[gochat.StateEvent](t, s).State != gochat.Connected {
	}
	if waited := time.Since(began); waited < 600*time.Millisecond {
		t.Fatalf("came back after %s", waited)
	}
}

func TestExpiredTokenIsRefreshedBeforeReconnecting(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	f.mux.HandleFunc("POST /api/v1/auth/refresh", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"access_token":"second","refresh_token":"r2","expires_in":900}`)
	})
	s, err := client(t, f, gochat.WithTokens(gochat.Tokens{Access: "first", Refresh: "r1"})).Connect(t.Context(), gochat.SessionConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	synced(t, s)
	f.closeWith(gochat.CloseTokenExpired, "")
	synced(t, s)
	f.mu.Lock()
	defer f.mu.Unlock()
	if want := []string{"Bearer first", "Bearer second"}; !slices.Equal(f.tokens, want) {
		t.Fatalf("tokens %v, want %v", f.tokens, want)
	}
}

func TestInvalidStateMakesAFullSync(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	f.write("c", "1")
	s := connect(t, f, gochat.SessionConfig{FromStart: true})
	expect(t, s, 1)
	synced(t, s)
	f.closeWith(gochat.CloseStateInvalid, "")
	f.write("c", "2")
	expect(t, s, 2)
	f.mu.Lock()
	defer f.mu.Unlock()
	if last := string(f.syncs[len(f.syncs)-1]); !strings.Contains(last, `"c":1`) {
		t.Fatalf("resumed with %s", last)
	}
}

// Logs that the server does not have cannot be mended: the application has to know.
func TestInvalidStateOfTheLogsEndsTheSession(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	f.write("c", "1")
	s := connect(t, f, gochat.SessionConfig{FromStart: true})
	expect(t, s, 1)
	synced(t, s)
	f.mu.Lock()
	f.foreign = true
	f.mu.Unlock()
	f.drop()
	for range s.Events() { //nolint:revive // until it ends
	}
	gone, ok := errors.AsType[*gochat.DisconnectError](s.Err())
	if !ok || gone.Code != gochat.CloseStateInvalid {
		t.Fatal(s.Err())
	}
}

func TestRefusedHandshake(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	f.reject = func(*http.Request) (int, string) {
		return http.StatusUnauthorized, `{"code":1002,"message":"no","request_id":"r7"}`
	}
	_, err := client(t, f, gochat.WithTokens(gochat.Tokens{Access: "bad"})).Connect(t.Context(), gochat.SessionConfig{})
	refusal, ok := errors.AsType[*gochat.Error](err)
	if !ok || refusal.Code != gochat.CodeUnauthorized || refusal.RequestID != "r7" {
		t.Fatal(err)
	}
}

func TestConnectTriesUntilTheServerIsThere(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	tries := 0
	f.reject = func(*http.Request) (int, string) {
		if tries++; tries < 3 {
			return http.StatusServiceUnavailable, `{"code":1009,"message":"starting"}`
		}
		return 0, ""
	}
	connect(t, f, gochat.SessionConfig{})
	if tries != 3 {
		t.Fatalf("%d tries", tries)
	}
	f.change(func() {
		f.reject = func(*http.Request) (int, string) { return http.StatusServiceUnavailable, "" }
	})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := client(t, f, gochat.WithTokens(gochat.Tokens{Access: "a"})).Connect(ctx, gochat.SessionConfig{})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}

func TestHeartbeatAndMarksAfterReconnect(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	s := connect(t, f, gochat.SessionConfig{})
	synced(t, s)
	s.Open("c")
	s.MarkRead("c", 3)
	s.Typing("c")
	sent := func(kind string) func() bool {
		return func() bool {
			return f.count(func() int { return strings.Count(strings.Join(f.received, " "), kind) }) > 0
		}
	}
	for _, kind := range []string{"ping", "open", "read", "typing"} {
		eventually(t, kind, sent(kind))
	}
	f.change(func() { f.received = nil })
	s.Reconnect()
	for _, kind := range []string{"open", "read"} {
		eventually(t, kind+" again", sent(kind))
	}
	s.CloseConversation("c")
	eventually(t, "close", sent("close"))
}

func TestOtherEvents(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	s := connect(t, f, gochat.SessionConfig{})
	synced(t, s)
	f.mu.Lock()
	conn := f.conn
	f.mu.Unlock()
	f.push(conn, `not json`)
	f.push(conn, `{"type":"of a later version","data":[1]}`)
	f.push(conn, `{"type":"read","data":{"conversation_id":"c","user_id":"u","seq":7}}`)
	f.push(conn, `{"type":"typing","data":{"conversation_id":"c","user_id":"u"}}`)
	f.push(conn, `{"type":"event","data":{"kind":"hidden","conversation_id":"c","target_seq":5}}`)
	if e := next[gochat.ReadEvent](t, s); e != (gochat.ReadEvent{ConversationID: "c", UserID: "u", Seq: 7}) {
		t.Errorf("%+v", e)
	}
	if e := next[gochat.TypingEvent](t, s); e != (gochat.TypingEvent{ConversationID: "c", UserID: "u"}) {
		t.Errorf("%+v", e)
	}
	if e := next[gochat.HiddenEvent](t, s); e != (gochat.HiddenEvent{ConversationID: "c", Seq: 5}) {
		t.Errorf("%+v", e)
	}
}

type brokenStore struct{ gochat.MemoryStore }

var errDisk = errors.New("disk full")

func (*brokenStore) Append(context.Context, string, []gochat.Entry) error { return errDisk }

func TestStoreThatFailsEndsTheSession(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	s := connect(t, f, gochat.SessionConfig{Store: &brokenStore{}, FromStart: true})
	synced(t, s)
	f.deliver(f.write("c", "1")...)
	for e := range s.Events() {
		if _, ok := e.(gochat.EntryEvent); ok {
			t.Error("an entry was handed out that is not stored")
		}
	}
	if !errors.Is(s.Err(), errDisk) {
		t.Fatal(s.Err())
	}
}
