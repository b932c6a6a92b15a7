package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

func TestSocketRefusals(t *testing.T) {
	t.Parallel()
	s := deploy(t, "GOCHAT_GATEWAY_WEBSOCKET_AUTH_TIMEOUT=1s")
	a := register(t, s, "alice")
	for name, header := range map[string]http.Header{
		"bad token":   {"Authorization": {"Bearer nonsense"}},
		"cross-site":  {"Authorization": {"Bearer " + a.token}, "Origin": {"https://evil.example"}},
		"null origin": {"Authorization": {"Bearer " + a.token}, "Origin": {"null"}},
	} {
		conn, resp, err := websocket.Dial(t.Context(), s.socketURL(), &websocket.DialOptions{HTTPHeader: header})
		if err == nil {
			_ = conn.CloseNow()
			t.Errorf("%s: accepted", name)
			continue
		}
		want := http.StatusUnauthorized
		if name != "bad token" {
			want = http.StatusForbidden
		}
		if resp == nil || resp.StatusCode != want {
			t.Errorf("%s: %v, want %d", name, resp, want)
		}
	}
	if resp := get(t, s.url()+"/ws?token=nonsense"); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("not an upgrade: %d", resp.StatusCode)
	}
	if code, _ := s.dial(t, nil).closeCode(t); code != 4502 {
		t.Errorf("a silent socket closed with %d, want 4502", code)
	}
	w := s.dial(t, nil)
	w.send(t, `{"type":"auth","data":{"token":"nonsense"}}`)
	if code, _ := w.closeCode(t); code != 4500 {
		t.Errorf("a bad first frame closed with %d, want 4500", code)
	}
	w = s.dial(t, nil)
	w.send(t, `{"type":"ping"}`)
	if code, _ := w.closeCode(t); code != 4500 && code != 4501 && code != 4502 {
		t.Errorf("a frame before auth closed with %d", code)
	}
}

func TestMalformedFrames(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a := register(t, s, "alice")
	bad := []string{
		`{`, `[]`, `"x"`, `{"type":7}`, `{"type":"no-such"}`, `{"type":"read","data":{"conversation_id":"1"}}`, `{"type":"read","data":{"conversation_id":"x","seq":1}}`,
		`{"type":"ping","more":1}`, strings.Repeat(`{"data":`, 200),
	}
	w := a.dial(t)
	for _, raw := range bad {
		w.send(t, raw)
		if f := w.next(t); f.Type != "error" || num(f.Data, "code") == 0 || str(f.Data, "message") == "" {
			t.Errorf("%s: %+v, want an error", raw, f)
		}
	}
	w.send(t, `{"type":"ping"}`)
	if f := w.next(t); f.Type != "pong" {
		t.Errorf("the connection is gone after %d bad frames: %+v", len(bad), f)
	}
	for range 200 { // abuse
		if err := w.conn.Write(t.Context(), websocket.MessageText, []byte(`{`)); err != nil {
			break
		}
	}
	if code, _ := w.closeCode(t); code != 4508 {
		t.Errorf("abuse closed with %d, want 4508", code)
	}
	huge := a.dial(t)
	_ = huge.conn.Write(t.Context(), websocket.MessageText, []byte(`{"type":"ping","data":{"x":"`+strings.Repeat("x", 4<<20)+`"}}`))
	if code, _ := huge.closeCode(t); code != 4501 && code != 1009 && code != -1 {
		t.Errorf("a huge frame closed with %d", code)
	}
	binary := a.dial(t)
	if err := binary.conn.Write(t.Context(), websocket.MessageBinary, []byte{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	if f, err := binary.read(t.Context()); err == nil && f.Type != "error" && f.Type != "disconnect" {
		t.Errorf("a binary frame: %+v", f)
	}
}

func TestManyDevices(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a, b := register(t, s, "alice"), register(t, s, "bob")
	chat := single(t, a, b)
	sender, own, peer1, peer2 := a.dial(t), a.dial(t), b.dial(t), b.dial(t)
	sender.send(t, `{"type":"message","id":"1","data":{"conversation_id":"`+chat+`","content":"hi","message_type":"text","client_msg_id":"m1"}}`)
	if f := sender.next(t); f.Type != "ack" || f.ID != "1" {
		t.Errorf("the sender: %+v", f)
	}
	for name, w := range map[string]*socket{"own other device": own, "peer's first": peer1, "peer's second": peer2} {
		if f := w.next(t); f.Type != "message" || str(f.Data, "content") != "hi" || str(f.Data, "client_msg_id") != "m1" {
			t.Errorf("%s: %+v", name, f)
		}
	}
	sender.send(t, `{"type":"ping"}`)
	if f := sender.next(t); f.Type != "pong" {
		t.Errorf("the sending connection got its own message: %+v", f)
	}
}

func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	s := deploy(t, "GOCHAT_GATEWAY_LIMITS_CONNECTIONS_PER_USER=2")
	a := register(t, s, "alice")
	s.gateways = s.gateways[:1] // each counts its own
	first, second := a.dial(t), a.dial(t)
	header := http.Header{"Authorization": {"Bearer " + a.token}}
	if code, _ := s.dial(t, header).closeCode(t); code != 4505 {
		t.Errorf("the third connection closed with %d, want 4505", code)
	}
	for _, w := range []*socket{first, second} {
		w.send(t, `{"type":"ping"}`)
		if f := w.next(t); f.Type != "pong" {
			t.Errorf("an earlier connection: %+v", f)
		}
	}
}

func TestSilentSocketIsClosed(t *testing.T) {
	t.Parallel()
	s := deploy(t, "GOCHAT_GATEWAY_WEBSOCKET_HEARTBEAT=1s")
	a := register(t, s, "alice")
	if code, _ := a.dial(t).closeCode(t); code != 4004 {
		t.Errorf("a silent socket closed with %d, want 4004", code)
	}
}

// A client that was away gets everything it missed, edits and recalls included, once, also when messages arrive during
// the resume.
func TestResumeUnderFire(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a, b := register(t, s, "alice"), register(t, s, "bob")
	chat := single(t, a, b)
	w := b.dial(t)
	for i := range 10 {
		a.say(t, chat, fmt.Sprint("seen ", i))
	}
	for range 10 {
		w.until(t, "message")
	}
	w.send(t, `{"type":"sync","data":{"conversations":{"`+chat+`":10}}}`)
	f, _ := w.until(t, "sync")
	cursor := str(f.Data, "cursor")
	_ = w.conn.CloseNow()

	edited := str(a.say(t, chat, "to be edited"), "id")
	recalled := str(a.say(t, chat, "to be recalled"), "id")
	a.must(t, http.MethodPut, "/api/v1/messages/"+edited, http.StatusOK, map[string]any{"content": "edited"})
	if status, _ := a.try(t, http.MethodDelete, "/api/v1/messages/"+recalled, nil); status >= 300 {
		t.Fatalf("recall: %d", status)
	}
	for name, since := range map[string]string{"seqs": `{"conversations":{"` + chat + `":10}}`, "cursor": `{"cursor":"` + cursor + `"}`} {
		t.Run(name, func(t *testing.T) {
			done := make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-done:
						return
					default:
						a.say(t, chat, fmt.Sprint("meanwhile ", i))
					}
				}
			})
			w := b.dial(t)
			w.send(t, `{"type":"sync","id":"s","data":`+since+`}`)
			seen := map[int64]bool{}
			highest := int64(10)
			note := func(f frame) {
				if f.Type != "message" && f.Type != "event" {
					return
				}
				seq := num(f.Data, "seq")
				if seen[seq] {
					t.Errorf("seq %d came twice", seq)
				}
				seen[seq] = true
				highest = max(highest, seq)
			}
			for {
				f := w.next(t)
				note(f)
				if f.Type == "sync" {
					if f.ID != "s" || f.Data["complete"] != true {
						t.Errorf("sync: %+v", f)
					}
					break
				}
			}
			for range 30 {
				note(w.next(t))
			}
			close(done)
			wg.Wait()
			for seq := int64(11); seq <= highest; seq++ {
				if !seen[seq] {
					t.Errorf("seq %d never came (up to %d did)", seq, highest)
				}
			}
			if seen[10] {
				t.Error("seq 10 came again")
			}
		})
	}
}

func TestGracefulStop(t *testing.T) {
	t.Parallel()
	s := deploy(t, "GOCHAT_GATEWAY_WEBSOCKET_DRAIN_WINDOW=500ms")
	a := register(t, s, "alice")
	sockets := []*socket{a.dial(t), a.dial(t), a.dial(t)}
	stopped := make(chan struct{})
	go func() { defer close(stopped); s.stop() }()
	for _, w := range sockets {
		code, frames := w.closeCode(t)
		if code != 4001 {
			t.Errorf("closed with %d, want 4001", code)
		}
		if len(frames) == 0 || frames[len(frames)-1].Type != "disconnect" || frames[len(frames)-1].Data["reconnect"] != true {
			t.Errorf("the last frames: %+v", frames)
		}
	}
	<-stopped // stop has looked at the exit code
}

// Who holds more than the server has is told that it has to begin anew.
func TestSyncOfAnotherServersPosition(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a, b := register(t, s, "alice"), register(t, s, "bob")
	chat := single(t, a, b)
	a.say(t, chat, "only this")
	w := b.dial(t)
	w.send(t, `{"type":"sync","data":{"conversations":{"`+chat+`":2}}}`)
	if code, _ := w.closeCode(t); code != 4101 {
		t.Errorf("closed with %d, want 4101", code)
	}
	w = b.dial(t)
	w.send(t, `{"type":"sync","data":{"conversations":{"`+chat+`":1}}}`)
	w.until(t, "sync")
}
