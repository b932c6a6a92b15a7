package e2e

import (
	"net/http"
	"testing"
)

// A message is delivered once a device of its receiver has it: live, or by the
// sync of a device that comes later. Its sender's devices are told.
func TestDelivered(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a, b := register(t, s, "alice"), register(t, s, "bob")
	chat := single(t, a, b)
	alice := a.dial(t)

	a.say(t, chat, "anybody there?")
	if status := statusOf(t, a, chat, 0); status != "sent" {
		t.Errorf("nobody has it, its status is %s", status)
	}
	bob := b.dial(t)
	bob.send(t, `{"type":"sync","data":{"conversations":{"`+chat+`":0}}}`)
	bob.until(t, "sync")
	go bob.drain(t)
	if f := alice.untilDelivered(t); str(f.Data, "conversation_id") != chat || str(f.Data, "user_id") != b.id || num(f.Data, "seq") != 1 {
		t.Errorf("after the sync: %+v", f)
	}
	a.say(t, chat, "good to see you")
	if f := alice.untilDelivered(t); num(f.Data, "seq") != 2 {
		t.Errorf("after the live message: %+v", f)
	}
	for i := range 2 {
		if status := statusOf(t, a, chat, i); status != "delivered" {
			t.Errorf("message %d is %s", i+1, status)
		}
	}
	b.must(t, http.MethodPost, "/api/v1/messages/read", http.StatusNoContent, map[string]any{"conversation_id": chat, "seq": 1})
	if first, second := statusOf(t, a, chat, 0), statusOf(t, a, chat, 1); first != "read" || second != "delivered" {
		t.Errorf("after the first was read they are %s and %s", first, second)
	}
}

// drain reads what comes until the connection ends, as every client does.
func (w *socket) drain(t testing.TB) {
	for {
		if _, err := w.read(t.Context()); err != nil {
			return
		}
	}
}

func (w *socket) untilDelivered(t testing.TB) frame {
	t.Helper()
	for {
		f, err := w.read(t.Context())
		if err != nil {
			t.Fatalf("wait for a delivered frame: %v", err)
		}
		if f.Type == "delivered" {
			return f
		}
	}
}

func statusOf(t testing.TB, a *account, conversation string, place int) string {
	t.Helper()
	page := a.must(t, http.MethodGet, "/api/v1/messages/history?conversation_id="+conversation, http.StatusOK, nil)
	messages, _ := page["messages"].([]any)
	if place >= len(messages) {
		t.Fatalf("%d messages", len(messages))
	}
	return str(messages[place], "status")
}
