package e2e

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// However a token travels, right or wrong, it is in no log, no metric and no answer of anybody else.
func TestTokensAreKeptNowhere(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a, b := register(t, s, "alice"), register(t, s, "bob")
	chat := single(t, a, b)
	phone := b.dial(t)
	a.say(t, chat, secret+" body")
	heard, _ := phone.until(t, "message")

	refreshed := a.must(t, http.MethodPost, "/api/v1/auth/refresh", http.StatusOK, map[string]any{"refresh_token": a.refresh})
	tokens := map[string]string{
		"a first access token": a.token, "an access token": str(refreshed, "access_token"), "another's access token": b.token,
		"a used refresh token": a.refresh, "a refresh token": str(refreshed, "refresh_token"), "another's refresh token": b.refresh,
	}
	for name, token := range tokens {
		for _, bad := range []string{token, token + "x"} {
			for _, header := range []string{"Bearer " + bad, "bearer  " + bad, bad, "Basic " + bad} {
				refuse(t, s, "", http.Header{"Authorization": {header}})
			}
			refuse(t, s, "?token="+bad, nil)
			refuse(t, s, "?access_token="+bad, nil)
			for _, path := range []string{"/api/v1/users/profile?token=" + bad, "/api/v1/users/" + bad, "/" + bad, "/docs?token=" + bad} {
				resp := get(t, s.url()+path)
				raw, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(string(raw), token) {
					t.Errorf("GET %s with %s repeats it", path[:12], name)
				}
			}
			w := s.dial(t, nil)
			w.send(t, `{"type":"auth","data":{"token":"`+bad+`"}}`)
			w.send(t, `{"type":"auth","data":{"token":"`+bad+`"}}`)
			w.send(t, `{"type":"`+bad[:min(len(bad), 60)]+`"}`)
			_ = w.conn.CloseNow()
			anonymous := &account{s: s}
			anonymous.try(t, http.MethodPost, "/api/v1/auth/refresh", map[string]any{"refresh_token": bad + "y"})
		}
	}
	if raw := mustJSON(t, heard); strings.Contains(raw, "example.org") || strings.Contains(raw, "argon2") {
		t.Errorf("an event holds what is private: %s", raw)
	}
	metrics := get(t, s.gateways[0].privateURL()+"/metrics")
	exposed, err := io.ReadAll(metrics.Body)
	if err != nil {
		t.Fatal(err)
	}
	s.stop()
	for where, text := range map[string]string{"log": s.log(), "metrics": string(exposed)} {
		for name, token := range tokens {
			if strings.Contains(text, token) || strings.Contains(text, token[len(token)-30:]) {
				t.Errorf("the %s holds %s", where, name)
			}
		}
		for _, private := range []string{secret, testPassword, "alice@example.org", "$argon2"} {
			if strings.Contains(text, private) {
				t.Errorf("the %s holds %q", where, private)
			}
		}
	}
}

// refuse opens a socket by a token and closes it at once, whatever the server thinks of it.
func refuse(t testing.TB, s *deployment, query string, header http.Header) {
	t.Helper()
	conn, resp, err := websocket.Dial(t.Context(), s.socketURL()+query, &websocket.DialOptions{HTTPHeader: header})
	if err == nil {
		_ = conn.CloseNow()
	}
	if resp != nil && resp.Body != nil {
		resp.Body.Close()
	}
}

// An answer is its asker's: no cache mixes them up, and no profile but one's own shows what is private.
func TestAnswersAreNobodyElses(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a, b := register(t, s, "alice"), register(t, s, "bob")
	g := group(t, a, nil, b)
	a.say(t, g, "hello")
	for range 3 { // the first answer may be cached; the next must not be the first one's
		for path, field := range map[string]string{"/api/v1/users/profile": "username", "/api/v1/users/" + a.id: "username"} {
			mine := a.must(t, http.MethodGet, path, http.StatusOK, nil)
			theirs := b.must(t, http.MethodGet, path, http.StatusOK, nil)
			if str(mine, "user", field) != "alice" || str(mine, "user", "email") == "" {
				t.Errorf("%s: %v", path, mine)
			}
			if str(theirs, "user", "email") == "alice@example.org" {
				t.Errorf("%s shows bob alice's e-mail", path)
			}
		}
		if mine, theirs := a.must(t, http.MethodGet, "/api/v1/groups/"+g, http.StatusOK, nil), b.must(t, http.MethodGet, "/api/v1/groups/"+g, http.StatusOK, nil); str(mine, "group", "my_role") != "owner" || str(theirs, "group", "my_role") != "member" {
			t.Errorf("roles: %v and %v", mine, theirs)
		}
		if mine, theirs := a.must(t, http.MethodGet, "/api/v1/conversations/"+g, http.StatusOK, nil), b.must(t, http.MethodGet, "/api/v1/conversations/"+g, http.StatusOK, nil); num(mine, "conversation", "unread") != 0 || num(theirs, "conversation", "unread") != 1 {
			t.Errorf("unread: %v and %v", mine, theirs)
		}
	}
	for _, path := range []string{"/api/v1/groups/" + g + "/members", "/api/v1/users?query=a", "/api/v1/messages/history?conversation_id=" + g + "&include=all", "/api/v1/conversations"} {
		if raw := mustJSON(t, b.must(t, http.MethodGet, path, http.StatusOK, nil)); strings.Contains(raw, "example.org") || strings.Contains(raw, "argon2") || strings.Contains(raw, "password") {
			t.Errorf("%s: %s", path, raw)
		}
	}
}
