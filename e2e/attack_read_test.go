package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// A conversation that does not exist: ids are 63 bits, of which 22 are random.
const nowhere = "4611686018427387001"

// secret is in every text that an attacker must never see.
const secret = "SECRET"

// attempt is a call or a frame that would show or change something of a conversation. %c is the conversation, %m a
// message of it, %u another member.
type attempt struct {
	name, method, path string
	body               string // of a call
	frame              string // instead of a call
}

func (a attempt) with(conversation, message, user string) attempt {
	r := strings.NewReplacer("%c", conversation, "%m", message, "%u", user)
	a.path, a.body, a.frame = r.Replace(a.path), r.Replace(a.body), r.Replace(a.frame)
	return a
}

// attempts need membership. Of a group the last ones.
var attempts = []attempt{
	{name: "history", method: http.MethodGet, path: "/api/v1/messages/history?conversation_id=%c"},
	{name: "the log", method: http.MethodGet, path: "/api/v1/messages/history?conversation_id=%c&include=all&after_seq=0&limit=100"},
	{name: "an old page", method: http.MethodGet, path: "/api/v1/messages/history?conversation_id=%c&before_seq=9007199254740991"},
	{name: "the conversation", method: http.MethodGet, path: "/api/v1/conversations/%c"},
	{name: "pin it", method: http.MethodPut, path: "/api/v1/conversations/%c", body: `{"pinned":true}`},
	{name: "rename it", method: http.MethodPut, path: "/api/v1/conversations/%c", body: `{"name":"mine"}`},
	{name: "send", method: http.MethodPost, path: "/api/v1/messages/send", body: `{"conversation_id":"%c","content":"x","message_type":"text"}`},
	{name: "mark as read", method: http.MethodPost, path: "/api/v1/messages/read", body: `{"conversation_id":"%c","seq":1}`},
	{name: "edit", method: http.MethodPut, path: "/api/v1/messages/%m", body: `{"content":"hacked"}`},
	{name: "recall", method: http.MethodDelete, path: "/api/v1/messages/%m"},
	{name: "hide", method: http.MethodDelete, path: "/api/v1/messages/%m?scope=self"},
	{name: "send by frame", frame: `{"type":"message","id":"i","data":{"conversation_id":"%c","content":"x","message_type":"text","client_msg_id":"k"}}`},
	{name: "read by frame", frame: `{"type":"read","id":"i","data":{"conversation_id":"%c","seq":1}}`},
	{name: "typing by frame", frame: `{"type":"typing","id":"i","data":{"conversation_id":"%c"}}`},
}

var groupAttempts = []attempt{
	{name: "members", method: http.MethodGet, path: "/api/v1/groups/%c/members"},
	{name: "requests", method: http.MethodGet, path: "/api/v1/groups/%c/requests"},
	{name: "decide", method: http.MethodPost, path: "/api/v1/groups/%c/requests/%u", body: `{"approve":true}`},
	{name: "change", method: http.MethodPut, path: "/api/v1/groups/%c", body: `{"description":"mine"}`},
	{name: "add", method: http.MethodPost, path: "/api/v1/groups/%c/members", body: `{"user_ids":["%u"]}`},
	{name: "remove", method: http.MethodDelete, path: "/api/v1/groups/%c/members/%u"},
	{name: "mute", method: http.MethodPut, path: "/api/v1/groups/%c/members/%u", body: `{"muted_until":"2999-01-01T00:00:00Z"}`},
	{name: "promote", method: http.MethodPut, path: "/api/v1/groups/%c/members/%u", body: `{"role":"admin"}`},
	{name: "transfer", method: http.MethodPost, path: "/api/v1/groups/%c/transfer", body: `{"user_id":"%u"}`},
	{name: "leave", method: http.MethodPost, path: "/api/v1/groups/%c/leave"},
	{name: "dissolve", method: http.MethodDelete, path: "/api/v1/groups/%c"},
}

// make makes the attempt and returns what a client can tell from the answer.
func (a *account) make(t testing.TB, w *socket, try attempt) string {
	t.Helper()
	var status int
	var answer map[string]any
	if try.frame != "" {
		w.send(t, try.frame)
		f, _ := w.until(t, "error")
		answer = f.Data
	} else {
		status, answer = a.try(t, try.method, try.path, rawJSON(try.body))
	}
	delete(answer, "request_id")
	return fmt.Sprint(status, mustJSON(t, answer))
}

// Whatever a stranger tries with a conversation answers exactly as for one that does not exist, and shows nothing.
func TestStrangersSeeNothing(t *testing.T) {
	t.Parallel()
	for _, threshold := range []string{"500", "2"} {
		t.Run("threshold "+threshold, func(t *testing.T) {
			t.Parallel()
			s := deploy(t, "GOCHAT_DELIVERY_LARGE_GROUP_THRESHOLD="+threshold)
			a, b, c, eve := register(t, s, "alice"), register(t, s, "bob"), register(t, s, "carol"), register(t, s, "eve")
			chat, g := single(t, a, b), group(t, a, map[string]any{"name": secret + " group", "join_policy": "invite"}, b, c)
			mine := single(t, eve, c)
			own := str(eve.say(t, mine, "eve's own"), "id")
			w, phone := eve.dial(t), b.dial(t)
			ids := map[string]string{chat: "", g: ""}
			for conversation := range ids {
				ids[conversation] = str(a.say(t, conversation, secret), "id")
				w.send(t, `{"type":"open","data":{"conversation_id":"`+conversation+`"}}`) // allowed, and no use
			}
			for conversation, message := range ids {
				tries := attempts
				if conversation == g {
					tries = slices.Concat(attempts, groupAttempts)
				}
				for _, try := range tries {
					real, none := eve.make(t, w, try.with(conversation, message, b.id)), eve.make(t, w, try.with(nowhere, nowhere+"-1", b.id))
					if real != none {
						t.Errorf("%s: %s, and of none %s", try.name, real, none)
					}
				}
				// Mixing: the caller's own conversation with another's seq, and back.
				_, seq, _ := strings.Cut(message, "-")
				for name, id := range map[string]string{"own conversation": mine + "-9" + seq, "another's": conversation + "-" + strings.Split(own, "-")[1]} {
					for _, method := range []string{http.MethodPut, http.MethodDelete} {
						body := ""
						if method == http.MethodPut {
							body = `{"content":"hacked"}`
						}
						if status, answer := eve.try(t, method, "/api/v1/messages/"+id, rawJSON(body)); status != http.StatusNotFound {
							t.Errorf("%s of a mixed id, %s: %d %v", method, name, status, answer)
						}
					}
				}
			}
			// What happens there meanwhile.
			b.must(t, http.MethodPost, "/api/v1/messages/read", http.StatusNoContent, map[string]any{"conversation_id": chat, "seq": 1})
			phone.send(t, `{"type":"typing","data":{"conversation_id":"`+g+`"}}`)
			a.must(t, http.MethodPut, "/api/v1/messages/"+ids[g], http.StatusOK, map[string]any{"content": secret + " edited"})
			a.must(t, http.MethodPut, "/api/v1/groups/"+g, http.StatusOK, map[string]any{"name": secret + " renamed"})
			a.must(t, http.MethodDelete, "/api/v1/messages/"+ids[chat], http.StatusNoContent, nil)
			for range 3 {
				phone.until(t, "event")
			}
			c.say(t, mine, "the end")
			if f, before := w.until(t, "message"); len(before) != 0 || str(f.Data, "content") != "the end" {
				t.Errorf("a stranger's socket got %v %v", before, f)
			}
			// Lists, counts and catching up, by whatever the client says that it has.
			for _, path := range []string{"/api/v1/conversations", "/api/v1/messages/unread", "/api/v1/users?query=a"} {
				if answer := mustJSON(t, eve.must(t, http.MethodGet, path, http.StatusOK, nil)); strings.Contains(answer, secret) || strings.Contains(answer, g) || strings.Contains(answer, chat) {
					t.Errorf("%s: %s", path, answer)
				}
			}
			for _, have := range []string{
				fmt.Sprintf(`{"conversations":{"%s":0,"%s":0,"%s":0}}`, chat, g, mine), `{"conversations":{}}`, `{"cursor":""}`,
			} {
				w.send(t, `{"type":"sync","data":`+have+`}`)
				done, got := w.until(t, "sync")
				if said := mustJSON(t, got) + mustJSON(t, done); strings.Contains(said, secret) || strings.Contains(said, g) || strings.Contains(said, chat) {
					t.Errorf("sync with %s: %s", have, said)
				}
			}
		})
	}
}
