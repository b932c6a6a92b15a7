package e2e

import (
	"net/http"
	"testing"
	"time"
)

// Each frame of a client has its error, with the frame's id, and keeps the connection.
func TestEveryFrameIsRefusedWhenWrong(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a, b, eve := register(t, s, "alice"), register(t, s, "bob"), register(t, s, "eve")
	chat := single(t, a, b)
	a.say(t, chat, "hello")
	other := str(register(t, s, "mallory").must(t, http.MethodPost, "/api/v1/auth/refresh", http.StatusUnauthorized, map[string]any{"refresh_token": "x"}), "message")
	if other == "" {
		t.Error("a refused refresh says nothing")
	}
	w := eve.dial(t)
	for name, c := range map[string]struct {
		frame string
		code  int64
	}{
		"message to another's conversation": {`{"type":"message","id":"1","data":{"conversation_id":"` + chat + `","content":"x","message_type":"text"}}`, 1003},
		"message without a type":            {`{"type":"message","id":"1","data":{"conversation_id":"` + chat + `","content":"x"}}`, 1001},
		"read of another's conversation":    {`{"type":"read","id":"1","data":{"conversation_id":"` + chat + `","seq":1}}`, 1003},
		"read of a negative seq":            {`{"type":"read","id":"1","data":{"conversation_id":"` + chat + `","seq":-1}}`, 1001},
		"typing in another's conversation":  {`{"type":"typing","id":"1","data":{"conversation_id":"` + chat + `"}}`, 1003},
		"open without a conversation":       {`{"type":"open","id":"1","data":{}}`, 1001},
		"close without a conversation":      {`{"type":"close","id":"1","data":{}}`, 1001},
		"sync with a forged cursor":         {`{"type":"sync","id":"1","data":{"cursor":"forged"}}`, 1001},
		"auth with a bad token":             {`{"type":"auth","id":"1","data":{"token":"x"}}`, 1002},
		"auth with another's token":         {`{"type":"auth","id":"1","data":{"token":"` + a.token + `"}}`, 1002},
		"ping with something":               {`{"type":"ping","id":"1","data":{"x":1}}`, 1001},
	} {
		w.send(t, c.frame)
		if f := w.next(t); f.Type != "error" || num(f.Data, "code") != c.code || f.ID != "1" {
			t.Errorf("%s: %+v, want code %d", name, f, c.code)
		}
	}
	w.send(t, `{"type":"ping"}`)
	if f := w.next(t); f.Type != "pong" {
		t.Errorf("the connection after them: %+v", f)
	}
	// A conversation that is not one's own is no part of a sync, whatever one claims to have of it.
	w.send(t, `{"type":"sync","id":"2","data":{"conversations":{"`+chat+`":0}}}`)
	if f := w.next(t); f.Type != "sync" || f.Data["complete"] != true {
		t.Errorf("a sync of another's conversation: %+v", f)
	}
	// What is open there shows nothing of it.
	w.send(t, `{"type":"open","id":"3","data":{"conversation_id":"`+chat+`"}}`)
	w.next(t)
	peer := b.dial(t)
	peer.send(t, `{"type":"typing","id":"4","data":{"conversation_id":"`+chat+`"}}`)
	peer.until(t, "ok")
	w.send(t, `{"type":"ping","id":"5"}`)
	if f := w.next(t); f.Type != "pong" {
		t.Errorf("a stranger got %+v", f)
	}
}

// Each frame that has no answer of its own is confirmed, and does its work.
func TestFramesWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a, b := register(t, s, "alice"), register(t, s, "bob")
	chat := single(t, a, b)
	a.say(t, chat, "hello")
	w, own, peer := b.dial(t), b.dial(t), a.dial(t)
	peer.send(t, `{"type":"open","id":"1","data":{"conversation_id":"`+chat+`"}}`)
	peer.until(t, "ok")
	w.send(t, `{"type":"typing","id":"2","data":{"conversation_id":"`+chat+`"}}`)
	w.until(t, "ok")
	if f, _ := peer.until(t, "typing"); str(f.Data, "user_id") != b.id {
		t.Errorf("typing: %+v", f)
	}
	peer.send(t, `{"type":"close","id":"3","data":{"conversation_id":"`+chat+`"}}`)
	peer.until(t, "ok")
	w.send(t, `{"type":"typing","id":"4","data":{"conversation_id":"`+chat+`"}}`)
	w.until(t, "ok")
	w.send(t, `{"type":"read","id":"5","data":{"conversation_id":"`+chat+`","seq":1}}`)
	if f, _ := w.until(t, "ok"); f.ID != "5" {
		t.Errorf("the answer to a read: %+v", f)
	}
	for name, device := range map[string]*socket{"the peer": peer, "one's other device": own} {
		f := device.next(t) // nothing of the typing before it
		if f.Type != "read" || num(f.Data, "seq") != 1 || str(f.Data, "user_id") != b.id {
			t.Errorf("%s got %+v, want the read", name, f)
		}
	}
	body := b.must(t, http.MethodPost, "/api/v1/auth/refresh", http.StatusOK, map[string]any{"refresh_token": b.refresh})
	w.send(t, `{"type":"auth","id":"6","data":{"token":"`+str(body, "access_token")+`"}}`)
	if f, _ := w.until(t, "ok"); f.ID != "6" {
		t.Errorf("a fresh token: %+v", f)
	}
}

// A socket that says nothing is asked once, and an answer keeps it.
func TestSilentSocketIsAsked(t *testing.T) {
	t.Parallel()
	s := deploy(t, "GOCHAT_GATEWAY_WEBSOCKET_HEARTBEAT=1s")
	w := register(t, s, "alice").dial(t)
	began := time.Now()
	for range 3 {
		if f := w.next(t); f.Type != "ping" {
			t.Fatalf("asked with %+v", f)
		}
		w.send(t, `{"type":"pong"}`)
	}
	if time.Since(began) < time.Second {
		t.Errorf("asked three times within %v", time.Since(began))
	}
}

// Every change of a group is an event to every member, in the order of the log.
func TestGroupEvents(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	owner, member, guest := register(t, s, "owner"), register(t, s, "member"), register(t, s, "guest")
	w := member.dial(t)
	g := group(t, owner, nil, member)
	path := "/api/v1/groups/" + g
	until := time.Now().Add(time.Hour).UTC().Format("2006-01-02T15:04:05.000Z")
	for _, c := range []struct {
		who          *account
		method, path string
		body         map[string]any
		kind         string
	}{
		{owner, http.MethodPut, path, map[string]any{"name": "renamed"}, "group_updated"},
		{guest, http.MethodPost, path + "/join", nil, "member_joined"},
		{owner, http.MethodPut, path + "/members/" + guest.id, map[string]any{"role": "admin"}, "role_changed"},
		{owner, http.MethodPut, path + "/members/" + guest.id, map[string]any{"muted_until": until}, "member_muted"},
		{guest, http.MethodPost, path + "/leave", nil, "member_left"},
		{owner, http.MethodPost, path + "/members", map[string]any{"user_ids": []string{guest.id}}, "member_joined"},
		{owner, http.MethodDelete, path + "/members/" + guest.id, nil, "member_removed"},
		{owner, http.MethodPost, path + "/transfer", map[string]any{"user_id": member.id}, "role_changed"},
		{member, http.MethodDelete, path, nil, "dissolved"},
	} {
		if status, answer := c.who.try(t, c.method, c.path, c.body); status >= 300 {
			t.Fatalf("%s %s: %d %v", c.method, c.path, status, answer)
		}
		for {
			f, _ := w.until(t, "event")
			if str(f.Data, "kind") == c.kind {
				break
			}
		}
	}
	// The log says the same, without a hole.
	var kinds []string
	for i, e := range history(t, member, "conversation_id="+g+"&include=all&after_seq=0") {
		if num(e, "seq") != int64(i)+1 {
			t.Errorf("seq %d at place %d", num(e, "seq"), i)
		}
		kinds = append(kinds, str(e, "kind"))
	}
	if len(kinds) < 10 || kinds[0] != "created" {
		t.Errorf("the log: %v", kinds)
	}
}
