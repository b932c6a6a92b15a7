package e2e

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jwt"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	anonymous := &account{s: deploy(t)}
	for _, path := range []string{"/healthz", "/readyz"} {
		if answer := anonymous.must(t, http.MethodGet, path, http.StatusOK, nil); str(answer, "status") != "ok" {
			t.Errorf("%s: %v", path, answer)
		}
	}
}

// Anybody can verify a token with what the server publishes; a token of another signature fails.
func TestPublishedKeysVerifyTokens(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a := register(t, s, "alice")
	resp := a.call(t, http.MethodGet, "/.well-known/jwks.json", nil)
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := jwk.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Parse([]byte(a.token), jwt.WithKeySet(keys))
	if err != nil {
		t.Fatalf("the published keys do not verify an access token: %v", err)
	}
	subject, _ := token.Subject()
	expiry, _ := token.Expiration()
	if subject != a.id || time.Until(expiry) <= 0 || time.Until(expiry) > 15*time.Minute {
		t.Errorf("subject %q, want %q; expires %v", subject, a.id, expiry)
	}
	forged := a.token[:len(a.token)-8] + "AAAAAAAA"
	if _, err := jwt.Parse([]byte(forged), jwt.WithKeySet(keys)); err == nil {
		t.Error("the published keys verify a forged token")
	}
	if !strings.Contains(resp.Header.Get("Cache-Control"), "max-age") {
		t.Errorf("Cache-Control of the keys is %q", resp.Header.Get("Cache-Control"))
	}
}

func TestRevokeOneSession(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a := register(t, s, "alice")
	phone := *a
	phone.login(t)
	w, own := phone.dial(t), a.dial(t)
	list, _ := a.must(t, http.MethodGet, "/api/v1/auth/sessions", http.StatusOK, nil)["sessions"].([]any)
	other := ""
	for _, session := range list {
		if m, _ := session.(map[string]any); m["current"] != true {
			other = str(session, "id")
		}
	}
	if len(list) != 2 || other == "" {
		t.Fatalf("sessions: %v", list)
	}
	a.must(t, http.MethodDelete, "/api/v1/auth/sessions/"+other, http.StatusNoContent, nil)
	if code, _ := w.closeCode(t); code != 4503 {
		t.Errorf("the revoked session's socket closed with %d, want 4503", code)
	}
	if status, _ := phone.try(t, http.MethodGet, "/api/v1/users/profile", nil); status != http.StatusUnauthorized {
		t.Errorf("the revoked session: %d", status)
	}
	own.send(t, `{"type":"ping"}`)
	if f := own.next(t); f.Type != "pong" {
		t.Errorf("the session that revoked got %+v", f)
	}
	for path, want := range map[string]int{other: http.StatusNoContent, "12345": http.StatusNotFound, "x": http.StatusBadRequest} {
		if status, answer := a.try(t, http.MethodDelete, "/api/v1/auth/sessions/"+path, nil); status != want {
			t.Errorf("revoke %s: %d %v, want %d", path, status, answer, want)
		}
	}
}

// A limit says when to come back, in the header and in the body.
func TestLimitsSayWhenToComeBack(t *testing.T) {
	t.Parallel()
	s := deploy(t, "GOCHAT_GATEWAY_LIMITS_SEND_RATE=1", "GOCHAT_GATEWAY_LIMITS_SEND_BURST=2")
	a, b := register(t, s, "alice"), register(t, s, "bob")
	chat := single(t, a, b)
	body := map[string]any{"conversation_id": chat, "content": "x", "message_type": "text"}
	for range 50 {
		resp := a.call(t, http.MethodPost, "/api/v1/messages/send", body) // it wants Retry-After of every 429
		if resp.StatusCode == http.StatusOK {
			continue
		}
		var answer map[string]any
		decode(t, resp, &answer)
		if resp.StatusCode != http.StatusTooManyRequests || num(answer, "code") != 1007 || str(answer, "details", "retry_after_ms") == "" {
			t.Errorf("over the limit: %d %v", resp.StatusCode, answer)
		}
		w := a.dial(t)
		w.send(t, mustJSON(t, map[string]any{"type": "message", "id": "1", "data": body}))
		if f := w.next(t); f.Type != "error" || num(f.Data, "code") != 1007 || str(f.Data, "details", "retry_after_ms") == "" {
			t.Errorf("over the limit on the socket: %+v", f)
		}
		return
	}
	t.Error("50 messages at once and no limit")
}

func TestConversationCalls(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a, b, eve := register(t, s, "alice"), register(t, s, "bob"), register(t, s, "eve")
	chat := single(t, a, b)
	a.say(t, chat, "hello")
	created := a.must(t, http.MethodPost, "/api/v1/conversations/create", http.StatusCreated,
		map[string]any{"type": "group", "name": "team", "member_ids": []string{b.id}})
	team := str(created, "conversation", "id")
	if str(created, "conversation", "type") != "group" || str(created, "conversation", "name") != "team" || team == "" {
		t.Errorf("created: %v", created)
	}
	for name, body := range map[string]map[string]any{
		"with oneself": {"type": "single", "peer_user_id": a.id}, "with nobody": {"type": "single", "peer_user_id": "12345"},
		"no peer": {"type": "single"}, "no name": {"type": "group"}, "other type": {"type": "channel", "name": "x"},
	} {
		if status, answer := a.try(t, http.MethodPost, "/api/v1/conversations/create", body); status < 400 || status > 404 || num(answer, "code") == 0 {
			t.Errorf("create %s: %d %v", name, status, answer)
		}
	}
	path := "/api/v1/conversations/"
	if one := b.must(t, http.MethodGet, path+chat, http.StatusOK, nil); num(one, "conversation", "unread") != 1 || str(one, "conversation", "last_message", "content") != "hello" {
		t.Errorf("one conversation: %v", one)
	}
	changed := b.must(t, http.MethodPut, path+chat, http.StatusOK, map[string]any{"muted": true, "pinned": true})
	if m, _ := changed["conversation"].(map[string]any); m["muted"] != true || m["pinned"] != true {
		t.Errorf("one's own settings: %v", changed)
	}
	if other := a.must(t, http.MethodGet, path+chat, http.StatusOK, nil); strings.Contains(mustJSON(t, other), `"muted":true`) {
		t.Errorf("another's settings are seen: %v", other)
	}
	a.must(t, http.MethodPut, path+team, http.StatusOK, map[string]any{"name": "the team"})
	for name, c := range map[string]struct {
		who      *account
		method   string
		id       string
		body     map[string]any
		statuses []int
	}{
		"a stranger reads":      {eve, http.MethodGet, chat, nil, []int{404}},
		"a stranger changes":    {eve, http.MethodPut, chat, map[string]any{"muted": true}, []int{404}},
		"a member renames":      {b, http.MethodPut, team, map[string]any{"name": "mine"}, []int{403}},
		"a one-to-one's name":   {a, http.MethodPut, chat, map[string]any{"name": "x"}, []int{400, 403}},
		"muted is no number":    {a, http.MethodPut, chat, map[string]any{"muted": 1}, []int{400}},
		"an id that is no id":   {a, http.MethodGet, "x", nil, []int{400}},
		"none of that id":       {a, http.MethodGet, "12345", nil, []int{404}},
		"read by a stranger":    {eve, http.MethodPost, "", map[string]any{"conversation_id": chat, "seq": 1}, []int{404}},
		"read of a negative":    {b, http.MethodPost, "", map[string]any{"conversation_id": chat, "seq": -1}, []int{400}},
		"read without a number": {b, http.MethodPost, "", map[string]any{"conversation_id": chat}, []int{400}},
	} {
		url := path + c.id
		if c.method == http.MethodPost {
			url = "/api/v1/messages/read"
		}
		status, answer := c.who.try(t, c.method, url, c.body)
		if !slices.Contains(c.statuses, status) {
			t.Errorf("%s: %d %v, want %v", name, status, answer, c.statuses)
		}
	}
	for _, query := range []string{"limit=-1", "limit=x", "cursor=forged"} {
		if status, answer := a.try(t, http.MethodGet, "/api/v1/conversations?"+query, nil); status != http.StatusBadRequest {
			t.Errorf("list with %s: %d %v", query, status, answer)
		}
	}
}

// The list is paged by activity: every conversation once, the newest first.
func TestListsArePaged(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	owner := register(t, s, "owner")
	var members []*account
	for i := range 7 {
		members = append(members, register(t, s, fmt.Sprint("member", i)))
	}
	want := []string{}
	for _, m := range members {
		chat := single(t, owner, m)
		owner.say(t, chat, "hi")
		want = append([]string{chat}, want...)
	}
	pages := func(path, list, id string) (got []string) {
		for cursor, n := "", 0; n < 20; n++ {
			page := owner.must(t, http.MethodGet, path+"limit=3&cursor="+cursor, http.StatusOK, nil)
			items, _ := page[list].([]any)
			if len(items) > 3 {
				t.Errorf("%s: a page of %d", path, len(items))
			}
			for _, item := range items {
				got = append(got, str(item, id))
			}
			if cursor = str(page, "next_cursor"); cursor == "" {
				return got
			}
		}
		t.Fatalf("%s does not end", path)
		return nil
	}
	if got := pages("/api/v1/conversations?", "conversations", "id"); mustJSON(t, got) != mustJSON(t, want) {
		t.Errorf("conversations: %v, want %v", got, want)
	}
	g := group(t, owner, nil, members...)
	got := pages("/api/v1/groups/"+g+"/members?", "members", "user_id")
	seen := map[string]bool{}
	for _, id := range got {
		seen[id] = true
	}
	if len(got) != 8 || len(seen) != 8 || !seen[owner.id] {
		t.Errorf("members: %v", got)
	}
	if status, _ := owner.try(t, http.MethodGet, "/api/v1/groups/"+g+"/members?cursor=forged", nil); status != http.StatusBadRequest {
		t.Errorf("members with a forged cursor: %d", status)
	}
	if got := pages("/api/v1/users?query=member&", "users", "username"); len(got) != 7 {
		t.Errorf("users: %v", got)
	}
}

func TestGroupCallsRefuse(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	owner, member, outsider := register(t, s, "owner"), register(t, s, "member"), register(t, s, "outsider")
	g := group(t, owner, map[string]any{"join_policy": "approval"}, member)
	path := "/api/v1/groups/" + g
	updated := owner.must(t, http.MethodPut, path, http.StatusOK, map[string]any{"name": "renamed", "description": "d", "join_policy": "approval", "max_members": 50})
	if str(updated, "group", "name") != "renamed" || num(updated, "group", "max_members") != 50 {
		t.Errorf("updated: %v", updated)
	}
	for name, c := range map[string]struct {
		who          *account
		method, path string
		body         map[string]any
		status       int
	}{
		"a policy that is none":      {owner, http.MethodPut, path, map[string]any{"join_policy": "maybe"}, 400},
		"too large":                  {owner, http.MethodPut, path, map[string]any{"max_members": 1_000_000_000}, 400},
		"created too large":          {owner, http.MethodPost, "/api/v1/groups/create", map[string]any{"name": "x", "max_members": 1_000_000_000}, 400},
		"leave of an outsider":       {outsider, http.MethodPost, path + "/leave", nil, 404},
		"join of nothing":            {outsider, http.MethodPost, "/api/v1/groups/12345/join", nil, 404},
		"requests seen by a member":  {member, http.MethodGet, path + "/requests", nil, 403},
		"approval by a member":       {member, http.MethodPost, path + "/requests/" + outsider.id, map[string]any{"approve": true}, 403},
		"approval of nobody":         {owner, http.MethodPost, path + "/requests/" + outsider.id, map[string]any{"approve": true}, 404},
		"approval without an answer": {owner, http.MethodPost, path + "/requests/" + outsider.id, map[string]any{}, 400},
		"removal of an outsider":     {owner, http.MethodDelete, path + "/members/" + outsider.id, nil, 404},
		"a role of an outsider":      {owner, http.MethodPut, path + "/members/" + outsider.id, map[string]any{"role": "admin"}, 404},
		"a role that is none":        {owner, http.MethodPut, path + "/members/" + member.id, map[string]any{"role": "king"}, 400},
		"a mute that is no time":     {owner, http.MethodPut, path + "/members/" + member.id, map[string]any{"muted_until": "soon"}, 400},
		"a transfer to an outsider":  {owner, http.MethodPost, path + "/transfer", map[string]any{"user_id": outsider.id}, 404},
		"a transfer by a member":     {member, http.MethodPost, path + "/transfer", map[string]any{"user_id": member.id}, 403},
		"nobody added":               {owner, http.MethodPost, path + "/members", map[string]any{"user_ids": []string{}}, 400},
		"a group's id that is none":  {owner, http.MethodGet, "/api/v1/groups/x", nil, 400},
	} {
		if status, answer := c.who.try(t, c.method, c.path, c.body); status != c.status || num(answer, "code") == 0 {
			t.Errorf("%s: %d %v, want %d", name, status, answer, c.status)
		}
	}
	outsider.must(t, http.MethodPost, path+"/join", http.StatusAccepted, nil)
	owner.must(t, http.MethodPost, path+"/requests/"+outsider.id, http.StatusNoContent, map[string]any{"approve": false})
	if status, _ := outsider.try(t, http.MethodGet, path+"/members", nil); status != http.StatusNotFound {
		t.Errorf("who was not let in lists the members: %d", status)
	}
}
