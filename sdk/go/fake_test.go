package gochat_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	gochat "github.com/gochat-im/gochat/sdk/go"
)

// fakeServer is just enough of a server to be unreliable in every way: one user
// "me", logs in memory, and switches for what goes wrong.
type fakeServer struct {
	t   *testing.T
	url string
	mux *http.ServeMux

	mu        sync.Mutex // guards what follows
	logs      map[string][]gochat.Entry
	byKey     map[string]gochat.Entry
	conn      *websocket.Conn
	connects  int
	tokens    []string // Authorization of each handshake
	syncs     []json.RawMessage
	pulls     []string // queries for history
	received  []string // type of each frame
	loseAcks  int      // answers to messages to swallow
	reject    func(r *http.Request) (status int, body string)
	onMessage func(m gochat.Outgoing) (refusal string) // data of an error frame
	tooFar    map[string]int64
	cutAfter  int    // when positive: a sync that misses something breaks after so many entries
	foreign   bool   // every position is one of another server
	onHistory func() // before a request for history is looked at
}

func newFakeServer(t *testing.T) *fakeServer {
	t.Helper()
	f := &fakeServer{t: t, logs: map[string][]gochat.Entry{}, byKey: map[string]gochat.Entry{}, mux: http.NewServeMux()}
	f.mux.HandleFunc("GET /ws", f.socket)
	f.mux.HandleFunc("GET /api/v1/messages/history", f.history)
	f.mux.HandleFunc("GET /api/v1/conversations", f.conversations)
	server := httptest.NewServer(f.mux)
	t.Cleanup(server.Close)
	t.Cleanup(f.drop)
	f.url = server.URL
	return f
}

func (f *fakeServer) socket(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.tokens = append(f.tokens, r.Header.Get("Authorization"))
	reject := f.reject
	f.mu.Unlock()
	if reject != nil {
		if status, body := reject(r); status != 0 {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
			return
		}
	}
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	f.mu.Lock()
	f.conn = conn
	f.connects++
	f.mu.Unlock()
	f.push(conn, `{"type":"hello","data":{"session_id":"1","user_id":"me","heartbeat_ms":400,"max_message_bytes":16384,"feature_level":1}}`) //nolint:contextcheck // a push belongs to no request
	for {
		_, data, err := conn.Read(context.WithoutCancel(r.Context()))
		if err != nil {
			return
		}
		f.handle(conn, data) //nolint:contextcheck // a push belongs to no request
	}
}

func (f *fakeServer) push(conn *websocket.Conn, text string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = conn.Write(ctx, websocket.MessageText, []byte(text))
}

func (f *fakeServer) handle(conn *websocket.Conn, data []byte) {
	var frame struct {
		ID, Type string
		Data     json.RawMessage
	}
	if err := json.Unmarshal(data, &frame); err != nil {
		f.t.Errorf("frame %q: %v", data, err)
		return
	}
	f.mu.Lock()
	f.received = append(f.received, frame.Type)
	f.mu.Unlock()
	switch frame.Type {
	case "ping":
		f.push(conn, `{"type":"pong"}`)
	case "message":
		f.message(conn, frame.Data)
	case "sync":
		f.sync(conn, frame.ID, frame.Data)
	}
}

func (f *fakeServer) message(conn *websocket.Conn, data json.RawMessage) {
	var m gochat.Outgoing
	if err := json.Unmarshal(data, &m); err != nil {
		f.t.Errorf("message %q: %v", data, err)
	}
	f.mu.Lock()
	onMessage := f.onMessage
	f.mu.Unlock()
	if onMessage != nil {
		if refusal := onMessage(m); refusal != "" {
			f.push(conn, `{"type":"error","data":`+refusal+`}`)
			return
		}
	}
	f.mu.Lock()
	e, duplicate := f.byKey[m.ClientMsgID]
	if !duplicate {
		e = f.appendLocked(gochat.Entry{
			Kind: gochat.KindMessage, ConversationID: m.ConversationID, FromUserID: "me", Content: m.Content,
			MessageType: m.MessageType, ClientMsgID: m.ClientMsgID, Status: gochat.StatusSent,
		})
		f.byKey[m.ClientMsgID] = e
	}
	lose := f.loseAcks > 0
	if lose {
		f.loseAcks--
	}
	f.mu.Unlock()
	if !lose {
		f.push(conn, fmt.Sprintf(`{"type":"ack","data":{"client_msg_id":%q,"conversation_id":%q,"message_id":%q,"seq":%d,"created_at":%q,"duplicate":%t}}`,
			m.ClientMsgID, e.ConversationID, e.ID, e.Seq, e.CreatedAt.Format(time.RFC3339Nano), duplicate))
	}
}

// appendLocked stores an entry under the next seq; the lock is held.
func (f *fakeServer) appendLocked(e gochat.Entry) gochat.Entry {
	e.Seq = int64(len(f.logs[e.ConversationID])) + 1
	e.ID = fmt.Sprintf("%s-%d", e.ConversationID, e.Seq)
	e.CreatedAt = time.Unix(e.Seq, 0).UTC()
	f.logs[e.ConversationID] = append(f.logs[e.ConversationID], e)
	return e
}

// write stores entries as someone else's without delivering them.
func (f *fakeServer) write(conversation string, contents ...string) []gochat.Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []gochat.Entry
	for _, content := range contents {
		out = append(out, f.appendLocked(gochat.Entry{
			Kind: gochat.KindMessage, ConversationID: conversation, FromUserID: "peer", Content: content, Status: gochat.StatusSent,
		}))
	}
	return out
}

// deliver pushes entries over the present connection, in the order given.
func (f *fakeServer) deliver(entries ...gochat.Entry) {
	f.mu.Lock()
	conn := f.conn
	f.mu.Unlock()
	for _, e := range entries {
		data, err := json.Marshal(e)
		if err != nil {
			f.t.Error(err)
		}
		kind := "event"
		if e.Kind == gochat.KindMessage {
			kind = "message"
		}
		f.push(conn, fmt.Sprintf(`{"type":%q,"data":%s}`, kind, data))
	}
}

func (f *fakeServer) sync(conn *websocket.Conn, id string, data json.RawMessage) {
	var request struct {
		Conversations map[string]int64
		Cursor        string
	}
	if err := json.Unmarshal(data, &request); err != nil {
		f.t.Errorf("sync %q: %v", data, err)
	}
	f.mu.Lock()
	f.syncs = append(f.syncs, data)
	if f.foreign {
		f.mu.Unlock()
		f.closeWith(gochat.CloseStateInvalid, "")
		return
	}
	var missed []gochat.Entry
	total, _ := strconv.Atoi(request.Cursor)
	for conversation, log := range f.logs {
		switch have, known := request.Conversations[conversation]; {
		case known:
			missed = append(missed, log[have:]...)
		case request.Cursor != "" && f.tooFar[conversation] == 0:
			missed = append(missed, log[min(total, len(log)):]...)
		}
	}
	if f.cutAfter > 0 && len(missed) > 0 {
		missed = missed[:min(f.cutAfter, len(missed))]
		f.mu.Unlock()
		f.deliver(missed...)
		f.drop()
		return
	}
	var far []map[string]any
	for conversation, last := range f.tooFar {
		far = append(far, map[string]any{"conversation_id": conversation, "after_seq": 0, "last_seq": last})
	}
	cursor := 0
	for _, log := range f.logs {
		cursor = max(cursor, len(log))
	}
	f.mu.Unlock()
	f.deliver(missed...)
	answer, err := json.Marshal(map[string]any{"cursor": strconv.Itoa(cursor), "complete": len(far) == 0, "too_far": far})
	if err != nil {
		f.t.Error(err)
	}
	f.push(conn, fmt.Sprintf(`{"type":"sync","id":%q,"data":%s}`, id, answer))
}

func (f *fakeServer) history(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	after, err := strconv.Atoi(q.Get("after_seq"))
	limit, limitErr := strconv.Atoi(q.Get("limit"))
	if err != nil || limitErr != nil || q.Get("include") != "all" {
		f.t.Errorf("history %s", r.URL.RawQuery)
	}
	f.mu.Lock()
	f.pulls = append(f.pulls, r.URL.RawQuery)
	log, found := f.logs[q.Get("conversation_id")]
	onHistory := f.onHistory
	f.mu.Unlock()
	if onHistory != nil {
		onHistory()
	}
	if !found {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"code":1003,"message":"not found","request_id":"r"}`)
		return
	}
	page := log[min(after, len(log)):]
	more := len(page) > limit
	_ = json.NewEncoder(w).Encode(gochat.HistoryPage{Messages: page[:min(limit, len(page))], HasMore: more})
}

func (f *fakeServer) conversations(w http.ResponseWriter, _ *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var page gochat.ConversationPage
	for id, log := range f.logs {
		page.Conversations = append(page.Conversations, gochat.Conversation{ID: id, LastSeq: int64(len(log))})
	}
	_ = json.NewEncoder(w).Encode(page)
}

// drop breaks the present connection without a word.
func (f *fakeServer) drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.conn != nil {
		_ = f.conn.CloseNow()
	}
}

// closeWith ends the present connection with a disconnect frame and a code.
func (f *fakeServer) closeWith(code int, more string) {
	f.mu.Lock()
	conn := f.conn
	f.mu.Unlock()
	f.push(conn, fmt.Sprintf(`{"type":"disconnect","data":{"code":%d,"reason":"test","reconnect":true%s}}`, code, more))
	_ = conn.Close(websocket.StatusCode(code), "test")
}

func (f *fakeServer) count(read func() int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return read()
}

// change sets switches.
func (f *fakeServer) change(set func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	set()
}
