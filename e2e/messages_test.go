package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func history(t testing.TB, a *account, query string) []any {
	t.Helper()
	list, _ := a.must(t, http.MethodGet, "/api/v1/messages/history?"+query, http.StatusOK, nil)["messages"].([]any)
	return list
}

func TestSendAndRead(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a, b := register(t, s, "alice"), register(t, s, "bob")
	chat := single(t, a, b)
	if again := single(t, b, a); again != chat {
		t.Errorf("the same pair has two conversations: %s and %s", chat, again)
	}
	phone := b.dial(t)
	for i := range 5 {
		m := a.say(t, chat, fmt.Sprint("text ", i))
		if num(m, "seq") != int64(i+1) || str(m, "content") != fmt.Sprint("text ", i) || str(m, "from_user_id") != a.id || str(m, "to_user_id") != b.id || str(m, "status") != "sent" {
			t.Fatalf("sent: %v", m)
		}
		f, _ := phone.until(t, "message")
		if num(f.Data, "seq") != int64(i+1) || str(f.Data, "id") != str(m, "id") {
			t.Errorf("delivered: %+v", f)
		}
	}
	unread := b.must(t, http.MethodGet, "/api/v1/messages/unread", http.StatusOK, nil)
	if num(unread, "total") != 5 {
		t.Errorf("unread: %v", unread)
	}
	if mine := a.must(t, http.MethodGet, "/api/v1/messages/unread", http.StatusOK, nil); num(mine, "total") != 0 {
		t.Errorf("one's own messages are unread: %v", mine)
	}
	b.must(t, http.MethodPost, "/api/v1/messages/read", http.StatusNoContent, map[string]any{"conversation_id": chat, "seq": 3})
	b.must(t, http.MethodPost, "/api/v1/messages/read", http.StatusNoContent, map[string]any{"conversation_id": chat, "seq": 1})
	if unread := b.must(t, http.MethodGet, "/api/v1/messages/unread", http.StatusOK, nil); num(unread, "total") != 2 {
		t.Errorf("after reading 3 of 5, and going back: %v", unread)
	}
	if f, _ := phone.until(t, "read"); num(f.Data, "seq") != 3 {
		t.Errorf("another device: %+v", f)
	}
	b.must(t, http.MethodPost, "/api/v1/messages/read", http.StatusNoContent, map[string]any{"conversation_id": chat, "seq": 1 << 40})
	if unread := b.must(t, http.MethodGet, "/api/v1/messages/unread", http.StatusOK, nil); num(unread, "total") != 0 {
		t.Errorf("after reading past the end: %v", unread)
	}
	if m := history(t, a, "conversation_id="+chat+"&limit=1"); len(m) != 1 || str(m[0], "status") != "read" || num(m[0], "seq") != 5 {
		t.Errorf("the newest page as the sender sees it: %v", m)
	}
	list, _ := b.must(t, http.MethodGet, "/api/v1/conversations", http.StatusOK, nil)["conversations"].([]any)
	if len(list) != 1 || str(list[0], "name") != "alice" || str(list[0], "last_message", "content") != "text 4" || num(list[0], "read_seq") != 5 {
		t.Errorf("conversations: %v", list)
	}
}

func TestHistoryPages(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a, b, eve := register(t, s, "alice"), register(t, s, "bob"), register(t, s, "eve")
	chat := single(t, a, b)
	for i := range 25 {
		a.say(t, chat, fmt.Sprint(i+1))
	}
	seqs := func(list []any) string {
		var sb strings.Builder
		for _, m := range list {
			fmt.Fprint(&sb, num(m, "seq"), " ")
		}
		return strings.TrimSpace(sb.String())
	}
	for query, want := range map[string]string{
		"limit=3":                            "23 24 25",
		"limit=3&before_seq=23":              "20 21 22",
		"limit=3&after_seq=0":                "1 2 3",
		"limit=3&after_seq=23":               "24 25",
		"limit=3&after_seq=25":               "",
		"limit=3&before_seq=1":               "",
		"limit=100000&after_seq=20":          "21 22 23 24 25",
		"limit=3&after_seq=0&include=all":    "1 2 3",
		"limit=3&after_seq=9999999999999999": "",
	} {
		if got := seqs(history(t, b, "conversation_id="+chat+"&"+query)); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	for _, query := range []string{"limit=-1", "limit=x", "before_seq=-1", "after_seq=x", "include=everything", "before_seq=1&after_seq=1", "nothing=1&conversation_id=x"} {
		if status, answer := b.try(t, http.MethodGet, "/api/v1/messages/history?conversation_id="+chat+"&"+query, nil); status != http.StatusBadRequest && !strings.HasPrefix(query, "nothing") {
			t.Errorf("%s: %d %v", query, status, answer)
		}
	}
	if status, _ := eve.try(t, http.MethodGet, "/api/v1/messages/history?conversation_id="+chat, nil); status != http.StatusNotFound {
		t.Errorf("another's history: %d, want 404 like one that does not exist", status)
	}
}

func TestEditRecallHide(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a, b, eve := register(t, s, "alice"), register(t, s, "bob"), register(t, s, "eve")
	chat := single(t, a, b)
	other := single(t, a, eve)
	phone := b.dial(t)
	id := str(a.say(t, chat, "frist"), "id")
	phone.until(t, "message")

	edited := a.must(t, http.MethodPut, "/api/v1/messages/"+id, http.StatusOK, map[string]any{"content": "first"})
	_ = edited
	if f, _ := phone.until(t, "event"); str(f.Data, "kind") != "edit" || num(f.Data, "seq") != 2 || num(f.Data, "target_seq") != 1 || str(f.Data, "content") != "first" {
		t.Errorf("the edit's event: %+v", f)
	}
	if m := history(t, b, "conversation_id="+chat); len(m) != 1 || str(m[0], "content") != "first" || str(m[0], "updated_at") == "" {
		t.Errorf("history after the edit: %v", m)
	}
	for name, c := range map[string]struct {
		who    *account
		id     string
		status int
	}{
		"the peer":                  {b, id, http.StatusForbidden},
		"a stranger":                {eve, id, http.StatusNotFound},
		"mixed with another chat":   {eve, other + "-" + strings.Split(id, "-")[1], http.StatusNotFound},
		"a message that is not":     {a, chat + "-99", http.StatusNotFound},
		"an event, not a message":   {a, chat + "-2", http.StatusNotFound},
		"something else than an id": {a, "x", http.StatusBadRequest},
	} {
		if status, answer := c.who.try(t, http.MethodPut, "/api/v1/messages/"+c.id, map[string]any{"content": "hacked"}); status != c.status {
			t.Errorf("edit by %s: %d %v, want %d", name, status, answer, c.status)
		}
	}
	if status, _ := eve.try(t, http.MethodDelete, "/api/v1/messages/"+id, nil); status != http.StatusNotFound {
		t.Errorf("recall by a stranger: %d", status)
	}

	// For oneself: only here it is gone.
	second := str(a.say(t, chat, "second"), "id")
	phone.until(t, "message")
	if status, answer := b.try(t, http.MethodDelete, "/api/v1/messages/"+second+"?scope=self", nil); status != http.StatusNoContent {
		t.Errorf("hide: %d %v", status, answer)
	}
	if m := history(t, b, "conversation_id="+chat); len(m) != 1 {
		t.Errorf("the hidden message is still there: %v", m)
	}
	if m := history(t, a, "conversation_id="+chat); len(m) != 2 {
		t.Errorf("the message that the peer hid: %v", m)
	}

	// For everyone: nothing of the text survives, anywhere.
	if status, answer := a.try(t, http.MethodDelete, "/api/v1/messages/"+id, nil); status != http.StatusNoContent && status != http.StatusOK {
		t.Errorf("recall: %d %v", status, answer)
	}
	if f, _ := phone.until(t, "event"); str(f.Data, "kind") == "hidden" {
		f, _ = phone.until(t, "event")
		if str(f.Data, "kind") != "recall" || num(f.Data, "target_seq") != 1 {
			t.Errorf("the recall's event: %+v", f)
		}
	}
	for _, who := range []*account{a, b} {
		log := mustJSON(t, history(t, who, "conversation_id="+chat+"&include=all&after_seq=0"))
		if strings.Contains(log, "first") || strings.Contains(log, "frist") {
			t.Errorf("the recalled text survives: %s", log)
		}
		if !strings.Contains(log, `"status":"recalled"`) {
			t.Errorf("the recalled message has no such status: %s", log)
		}
	}
	if status, _ := a.try(t, http.MethodPut, "/api/v1/messages/"+id, map[string]any{"content": "again"}); status != http.StatusConflict {
		t.Errorf("edit of a recalled message: %d", status)
	}
}

func TestSendRefusals(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a, b, eve := register(t, s, "alice"), register(t, s, "bob"), register(t, s, "eve")
	chat := single(t, a, b)
	w := a.dial(t)
	for name, c := range map[string]struct {
		who    *account
		body   map[string]any
		status int
	}{
		"not a member":       {eve, map[string]any{"conversation_id": chat, "content": "x", "message_type": "text"}, http.StatusNotFound},
		"no conversation":    {a, map[string]any{"conversation_id": "1", "content": "x", "message_type": "text"}, http.StatusNotFound},
		"no type":            {a, map[string]any{"conversation_id": chat, "content": "x"}, http.StatusBadRequest},
		"system":             {a, map[string]any{"conversation_id": chat, "content": "x", "message_type": "system"}, http.StatusBadRequest},
		"other type":         {a, map[string]any{"conversation_id": chat, "content": "x", "message_type": "poem"}, http.StatusBadRequest},
		"empty":              {a, map[string]any{"conversation_id": chat, "content": "", "message_type": "text"}, http.StatusBadRequest},
		"as somebody else":   {a, map[string]any{"conversation_id": chat, "content": "x", "message_type": "text", "from_user_id": b.id}, http.StatusBadRequest},
		"content is a map":   {a, map[string]any{"conversation_id": chat, "content": map[string]any{"a": 1}, "message_type": "text"}, http.StatusBadRequest},
		"too large":          {a, map[string]any{"conversation_id": chat, "content": strings.Repeat("x", 20_000), "message_type": "text"}, http.StatusRequestEntityTooLarge},
		"client id too long": {a, map[string]any{"conversation_id": chat, "content": "x", "message_type": "text", "client_msg_id": strings.Repeat("x", 65)}, http.StatusBadRequest},
	} {
		status, answer := c.who.try(t, http.MethodPost, "/api/v1/messages/send", c.body)
		if status != c.status {
			t.Errorf("%s over HTTP: %d %v, want %d", name, status, answer, c.status)
		}
		if c.who != a {
			continue
		}
		w.send(t, mustJSON(t, map[string]any{"type": "message", "id": "7", "data": c.body}))
		if f := w.next(t); f.Type != "error" || f.ID != "7" || num(f.Data, "code") != num(answer, "code") {
			t.Errorf("%s over the socket: %+v, want the code of %v", name, f, answer)
		}
	}
	if m := history(t, a, "conversation_id="+chat+"&include=all"); len(m) != 0 {
		t.Errorf("refused messages were stored: %v", m)
	}
}

func TestOnceOverBothWays(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a, b := register(t, s, "alice"), register(t, s, "bob")
	chat := single(t, a, b)
	body := map[string]any{"conversation_id": chat, "content": "x", "message_type": "text", "client_msg_id": "c-1"}
	first := a.must(t, http.MethodPost, "/api/v1/messages/send", http.StatusOK, body)
	again := a.must(t, http.MethodPost, "/api/v1/messages/send", http.StatusOK, body)
	if mustJSON(t, first) != mustJSON(t, again) {
		t.Errorf("a retry answers %v, the first try %v", again, first)
	}
	w := a.dial(t)
	w.send(t, mustJSON(t, map[string]any{"type": "message", "data": body}))
	f := w.next(t)
	if f.Type != "ack" || f.Data["duplicate"] != true || num(f.Data, "seq") != 1 || str(f.Data, "created_at") != str(first, "message", "created_at") {
		t.Errorf("a retry over the socket: %+v", f)
	}
	body["content"] = "y"
	if status, answer := a.try(t, http.MethodPost, "/api/v1/messages/send", body); status != http.StatusConflict || num(answer, "code") != 1006 {
		t.Errorf("the same key with another body: %d %v", status, answer)
	}
	// The key is the sender's own.
	if m := b.must(t, http.MethodPost, "/api/v1/messages/send", http.StatusOK, body); num(m, "message", "seq") != 2 {
		t.Errorf("another sender with the same key: %v", m)
	}
	if m := history(t, a, "conversation_id="+chat); len(m) != 2 {
		t.Errorf("history: %v", m)
	}
}
