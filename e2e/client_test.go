package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// account is a registered, logged-in user.
type account struct {
	s       *deployment
	name    string
	id      string
	token   string
	refresh string
}

const testPassword = "correct horse battery"

// register makes an account and logs it in.
func register(t testing.TB, s *deployment, name string) *account {
	t.Helper()
	a := &account{s: s, name: name}
	status, body := a.try(t, http.MethodPost, "/api/v1/users/register",
		map[string]any{"username": name, "password": testPassword, "email": name + "@example.org"})
	if status != http.StatusCreated {
		t.Fatalf("register %s: %d %v", name, status, body)
	}
	a.login(t)
	return a
}

func (a *account) login(t testing.TB) {
	t.Helper()
	a.token = ""
	body := a.must(t, http.MethodPost, "/api/v1/auth/login", http.StatusOK, map[string]any{"username": a.name, "password": testPassword})
	a.token, a.refresh = str(body, "access_token"), str(body, "refresh_token")
	a.id = str(body, "user", "id")
}

// must calls the API and wants a status; it returns the decoded answer.
func (a *account) must(t testing.TB, method, path string, want int, body any) map[string]any {
	t.Helper()
	status, answer := a.try(t, method, path, body)
	if status != want {
		t.Fatalf("%s %s: status %d, want %d: %v", method, path, status, want, answer)
	}
	return answer
}

// try calls the API and returns status and decoded answer.
func (a *account) try(t testing.TB, method, path string, body any) (int, map[string]any) {
	t.Helper()
	resp := a.call(t, method, path, body)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer map[string]any
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &answer); err != nil {
			t.Fatalf("%s %s answers %d with something else than a JSON object: %q", method, path, resp.StatusCode, raw)
		}
	}
	return resp.StatusCode, answer
}

// call calls the API. Every answer has a request id, and none may be stored by a cache.
func (a *account) call(t testing.TB, method, path string, body any) *http.Response {
	t.Helper()
	var reader io.Reader
	if m, ok := body.(map[string]any); ok && m == nil {
		body = nil
	}
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		reader = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, a.s.url()+path, reader)
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	covered.call(method, path, resp.StatusCode)
	cached := path == "/.well-known/jwks.json" // public, and the same for everybody
	if resp.Header.Get("X-Request-Id") == "" || !cached && resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s %s: X-Request-Id %q, Cache-Control %q", method, path, resp.Header.Get("X-Request-Id"), resp.Header.Get("Cache-Control"))
	}
	if s := resp.StatusCode; (s == http.StatusTooManyRequests || s == http.StatusServiceUnavailable) && resp.Header.Get("Retry-After") == "" {
		t.Errorf("%s %s: %d without Retry-After", method, path, s)
	}
	return resp
}

// socket is a raw WebSocket connection: what any client could do, nothing more.
type socket struct {
	conn  *websocket.Conn
	early []frame // for a test that reads more than it looks for
}

// dial opens an authenticated socket and reads its hello.
func (a *account) dial(t testing.TB) *socket {
	t.Helper()
	header := http.Header{}
	header.Set("Authorization", "Bearer "+a.token)
	w := a.s.dial(t, header)
	if hello := w.next(t); hello.Type != "hello" {
		t.Fatalf("first frame is %+v, want hello", hello)
	}
	return w
}

func (s *deployment) dial(t testing.TB, header http.Header) *socket {
	t.Helper()
	conn, resp, err := websocket.Dial(t.Context(), s.socketURL(), &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		t.Fatalf("open a socket: %v", err)
	}
	if resp.Body != nil {
		resp.Body.Close()
	}
	conn.SetReadLimit(1 << 20)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &socket{conn: conn}
}

// frame is any frame.
type frame struct {
	Type string         `json:"type"`
	ID   string         `json:"id,omitempty"`
	Data map[string]any `json:"data,omitempty"`
}

func (w *socket) send(t testing.TB, raw string) {
	t.Helper()
	if err := w.conn.Write(t.Context(), websocket.MessageText, []byte(raw)); err != nil {
		t.Fatalf("send %s: %v", raw, err)
	}
	covered.sent(raw)
}

// read returns the next frame or the error that ended the connection.
func (w *socket) read(ctx context.Context) (frame, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	_, raw, err := w.conn.Read(ctx)
	if err != nil {
		return frame{}, err
	}
	var f frame
	if err := json.Unmarshal(raw, &f); err != nil {
		return f, err
	}
	covered.received(f)
	return f, nil
}

// next returns the next frame, but for those that come when the server has a moment.
func (w *socket) next(t testing.TB) frame {
	t.Helper()
	for {
		f, err := w.read(t.Context())
		if err != nil {
			t.Fatalf("read a frame: %v", err)
		}
		if f.Type != "delivered" {
			return f
		}
	}
}

// until reads frames until one has the type, and returns it and those before it.
func (w *socket) until(t testing.TB, kind string) (frame, []frame) {
	t.Helper()
	var before []frame
	for {
		f := w.next(t)
		if f.Type == kind {
			return f, before
		}
		before = append(before, f)
	}
}

// closeCode reads to the end of the connection and returns its close code and the frames before it.
func (w *socket) closeCode(t testing.TB) (int, []frame) {
	t.Helper()
	var before []frame
	for {
		f, err := w.read(t.Context())
		if err != nil {
			return int(websocket.CloseStatus(err)), before
		}
		before = append(before, f)
	}
}

// str walks into a decoded object.
func str(v any, path ...string) string {
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	s, _ := v.(string)
	return s
}

func num(v any, path ...string) int64 {
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	f, _ := v.(float64)
	return int64(f)
}

// single opens the one-to-one conversation of two accounts.
func single(t testing.TB, a, b *account) string {
	t.Helper()
	status, body := a.try(t, http.MethodPost, "/api/v1/conversations/create", map[string]any{"type": "single", "peer_user_id": b.id})
	if status != http.StatusCreated && status != http.StatusOK {
		t.Fatalf("create a conversation: %d %v", status, body)
	}
	return str(body, "conversation", "id")
}

// group creates a group with members.
func group(t testing.TB, owner *account, more map[string]any, members ...*account) string {
	t.Helper()
	ids := make([]string, len(members))
	for i, m := range members {
		ids[i] = m.id
	}
	req := map[string]any{"name": "test group", "member_ids": ids}
	maps.Copy(req, more)
	return str(owner.must(t, http.MethodPost, "/api/v1/groups/create", http.StatusCreated, req), "group", "id")
}

// say sends a text over HTTP and returns the message.
func (a *account) say(t testing.TB, conversation, content string) map[string]any {
	t.Helper()
	body := a.must(t, http.MethodPost, "/api/v1/messages/send", http.StatusOK,
		map[string]any{"conversation_id": conversation, "content": content, "message_type": "text"})
	m, _ := body["message"].(map[string]any)
	return m
}

func get(t testing.TB, url string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// rawJSON is a body that is sent as it is; nothing of it is no body.
func rawJSON(s string) any {
	if s == "" {
		return nil
	}
	return json.RawMessage(s)
}
