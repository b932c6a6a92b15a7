package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Who has left or was removed is a stranger: by every call and frame, by every way of catching up, and on the socket
// that had the group on screen.
func TestWhoLeftIsAStranger(t *testing.T) {
	t.Parallel()
	for _, threshold := range []string{"500", "2"} {
		t.Run("threshold "+threshold, func(t *testing.T) {
			t.Parallel()
			s := deploy(t, "GOCHAT_DELIVERY_LARGE_GROUP_THRESHOLD="+threshold)
			owner, stays := register(t, s, "owner"), register(t, s, "stays")
			for how, leave := range map[string]func(g string, who *account){
				"left": func(g string, who *account) {
					who.must(t, http.MethodPost, "/api/v1/groups/"+g+"/leave", http.StatusNoContent, nil)
				},
				"removed": func(g string, who *account) {
					owner.must(t, http.MethodDelete, "/api/v1/groups/"+g+"/members/"+who.id, http.StatusNoContent, nil)
				},
			} {
				t.Run(how, func(t *testing.T) {
					gone := register(t, s, how)
					g := group(t, owner, map[string]any{"join_policy": "invite"}, stays, gone)
					w, other := gone.dial(t), stays.dial(t)
					w.send(t, `{"type":"open","data":{"conversation_id":"`+g+`"}}`)
					w.send(t, `{"type":"sync","data":{"conversations":{}}}`)
					f, _ := w.until(t, "sync")
					cursor := str(f.Data, "cursor")
					message := str(gone.say(t, g, "mine"), "id")
					// What the member sees last: to be compared with what may be seen after.
					w.until(t, "message")
					leave(g, gone)
					w.until(t, "event")

					for i := range 3 {
						owner.say(t, g, fmt.Sprint(secret, i))
					}
					other.send(t, `{"type":"typing","data":{"conversation_id":"`+g+`"}}`)
					owner.must(t, http.MethodPut, "/api/v1/groups/"+g, http.StatusOK, map[string]any{"name": secret})
					edited := str(owner.say(t, g, "x"), "id")
					owner.must(t, http.MethodPut, "/api/v1/messages/"+edited, http.StatusOK, map[string]any{"content": secret})
					owner.must(t, http.MethodDelete, "/api/v1/messages/"+edited, http.StatusNoContent, nil)
					w.send(t, `{"type":"ping"}`)
					if _, before := w.until(t, "pong"); len(before) != 0 {
						t.Errorf("the socket of who %s got %v", how, before)
					}

					for _, try := range slices.Concat(attempts, groupAttempts) {
						real, none := gone.make(t, w, try.with(g, message, stays.id)), gone.make(t, w, try.with(nowhere, nowhere+"-1", stays.id))
						if real != none {
							t.Errorf("%s: %s, and of none %s", try.name, real, none)
						}
					}
					if status, answer := gone.try(t, http.MethodPost, "/api/v1/groups/"+g+"/join", nil); status != http.StatusForbidden {
						t.Errorf("joining a group that one must be invited to: %d %v", status, answer)
					}
					for _, path := range []string{"/api/v1/conversations", "/api/v1/messages/unread"} {
						if answer := mustJSON(t, gone.must(t, http.MethodGet, path, http.StatusOK, nil)); strings.Contains(answer, g) {
							t.Errorf("%s: %s", path, answer)
						}
					}
					for _, have := range []string{
						`{"conversations":{"` + g + `":0}}`, `{"conversations":{"` + g + `":4}}`, `{"conversations":{"` + g + `":9007199254740991}}`,
						`{"cursor":"` + cursor + `"}`, `{"cursor":""}`,
					} {
						again := gone.dial(t)
						again.send(t, `{"type":"sync","data":`+have+`}`)
						_, got := again.until(t, "sync")
						for _, f := range got {
							if kind := str(f.Data, "kind"); kind != "member_left" && kind != "member_removed" {
								t.Errorf("sync with %s: %+v", have, f)
							}
						}
						_ = again.conn.CloseNow()
					}
				})
			}
		})
	}
}

// Cursors and limits are the server's own: forged, negative and huge ones are refused or change nothing.
func TestForgedCursors(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a, b := register(t, s, "alice"), register(t, s, "bob")
	chat := single(t, a, b)
	a.say(t, chat, "hello")
	for _, path := range []string{"/api/v1/conversations", "/api/v1/users?query=a", "/api/v1/messages/history?conversation_id=" + chat} {
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		for _, limit := range []string{"-1", "0", "-9223372036854775808", "9223372036854775808", "1e9", "1.5", "0x10", "%00", "1;drop"} {
			status, answer := b.try(t, http.MethodGet, path+sep+"limit="+limit, nil)
			if status != http.StatusBadRequest || num(answer, "code") != 1001 {
				t.Errorf("%s, limit %q: %d %v", path, limit, status, answer)
			}
		}
		b.must(t, http.MethodGet, path+sep+"limit=2147483647", http.StatusOK, nil)
		if strings.Contains(path, "history") {
			continue
		}
		for _, cursor := range []string{"-1", "0", "AAAA", strings.Repeat("A", 4000), "%00", "%F0%28", "'", "djE6Y29udjox"} {
			status, answer := b.try(t, http.MethodGet, path+sep+"cursor="+cursor, nil)
			if status != http.StatusBadRequest || num(answer, "code") != 1001 {
				t.Errorf("%s, cursor %q: %d %v", path, cursor, status, answer)
			}
		}
	}
	w := b.dial(t)
	for _, data := range []string{
		`{"cursor":"x"}`, `{"cursor":"-1"}`, `{"cursor":"99999999999999999999"}`, `{"cursor":7}`, `{"cursor":"x","conversations":{}}`,
		`{"conversations":{"` + chat + `":-1}}`, `{"conversations":{"` + chat + `":1.5}}`, `{"conversations":{"x":1}}`, `{"conversations":{"-1":1}}`,
		`{"conversations":{"` + chat + `":1e99}}`, `{"conversations":{"` + chat + `":99999999999999999999}}`, `{"conversations":[]}`,
	} {
		w.send(t, `{"type":"sync","data":`+data+`}`)
		if f := w.next(t); f.Type != "error" || num(f.Data, "code") != 1001 {
			t.Errorf("sync with %s: %+v", data, f)
		}
		if data == `{"conversations":{"`+chat+`":-1}}` {
			w = b.dial(t) // ten malformed frames a minute and socket
		}
	}
	w = b.dial(t)
	w.send(t, `{"type":"sync","data":{"conversations":{"`+chat+`":9007199254740991}}}`)
	if code, _ := w.closeCode(t); code != 4101 {
		t.Errorf("a sync from beyond the end closed with %d, want 4101", code)
	}
}
