package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// One refresh token used by many at once: at most one of them gets new tokens, and since somebody else had a copy the
// session ends for all.
func TestRefreshTokenUsedAtOnce(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	for round := range 5 {
		a := register(t, s, fmt.Sprint("alice", round))
		w := a.dial(t)
		const n = 8
		var wg sync.WaitGroup
		var mu sync.Mutex
		var got []map[string]any
		for range n {
			wg.Go(func() {
				anonymous := &account{s: s}
				status, answer := anonymous.try(t, http.MethodPost, "/api/v1/auth/refresh", map[string]any{"refresh_token": a.refresh})
				mu.Lock()
				defer mu.Unlock()
				switch status {
				case http.StatusOK:
					got = append(got, answer)
				case http.StatusUnauthorized:
				default:
					t.Errorf("refresh: %d %v", status, answer)
				}
			})
		}
		wg.Wait()
		if len(got) > 1 {
			t.Errorf("round %d: %d refreshes of one token succeeded", round, len(got))
		}
		for _, tokens := range got {
			thief := &account{s: s, token: str(tokens, "access_token")}
			if status, _ := thief.try(t, http.MethodGet, "/api/v1/users/profile", nil); status != http.StatusUnauthorized {
				t.Errorf("round %d: the tokens of a session that ended work: %d", round, status)
			}
			if status, _ := thief.try(t, http.MethodPost, "/api/v1/auth/refresh", map[string]any{"refresh_token": str(tokens, "refresh_token")}); status != http.StatusUnauthorized {
				t.Errorf("round %d: the refresh token of a session that ended works: %d", round, status)
			}
		}
		if code, _ := w.closeCode(t); code != 4503 {
			t.Errorf("round %d: the socket closed with %d, want 4503", round, code)
		}
	}
}

// Whoever shares a session when it ends loses it within 2 s, on whatever connection and however it began.
func TestEverySocketOfASessionEnds(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	for name, end := range map[string]struct {
		code int
		do   func(t *testing.T, a *account)
	}{
		"logout": {4503, func(t *testing.T, a *account) {
			a.must(t, http.MethodPost, "/api/v1/auth/logout", http.StatusNoContent, nil)
		}},
		"password": {4503, func(t *testing.T, a *account) {
			other := *a
			other.login(t)
			other.must(t, http.MethodPut, "/api/v1/users/password", http.StatusNoContent, map[string]any{"old_password": testPassword, "new_password": "another good secret"})
			other.must(t, http.MethodGet, "/api/v1/users/profile", http.StatusOK, nil)
		}},
		"disable": {4506, func(t *testing.T, a *account) {
			if _, stderr, code := s.admin(t, "", "user", "disable", a.name); code != 0 {
				t.Fatal(stderr)
			}
		}},
		"reset": {4503, func(t *testing.T, a *account) {
			if _, stderr, code := s.admin(t, "another good secret\n", "user", "reset-password", a.name); code != 0 {
				t.Fatal(stderr)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, peer := register(t, s, "user-"+name), register(t, s, "peer-"+name)
			chat := single(t, a, peer)
			query := s.dial(t, nil)
			query.send(t, `{"type":"auth","data":{"token":"`+a.token+`"}}`)
			query.until(t, "hello")
			sockets := []*socket{a.dial(t), a.dial(t), query}
			end.do(t, a)
			began := time.Now()
			peer.say(t, chat, secret)
			for i, w := range sockets {
				code, frames := w.closeCode(t)
				if code != end.code {
					t.Errorf("socket %d closed with %d, want %d", i, code, end.code)
				}
				if took := time.Since(began); took > 2*time.Second {
					t.Errorf("socket %d lived for %v", i, took)
				}
				if strings.Contains(mustJSON(t, frames), secret) {
					t.Errorf("socket %d got what was said after the end: %v", i, frames)
				}
			}
			for _, path := range []string{"/api/v1/users/profile", "/api/v1/messages/history?conversation_id=" + chat, "/api/v1/messages/unread"} {
				if status, answer := a.try(t, http.MethodGet, path, nil); status != http.StatusUnauthorized {
					t.Errorf("%s with a token of the session: %d %v", path, status, answer)
				}
			}
			if status, _ := a.try(t, http.MethodPost, "/api/v1/auth/refresh", map[string]any{"refresh_token": a.refresh}); status != http.StatusUnauthorized {
				t.Errorf("refresh: %d", status)
			}
		})
	}
}

// Disabling takes effect on everything at once; enabling brings back the account, but no session of before.
func TestDisableAndEnable(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a, b := register(t, s, "alice"), register(t, s, "bob")
	chat := single(t, a, b)
	for _, command := range []string{"disable", "enable"} {
		if _, stderr, code := s.admin(t, "", "user", command, "alice"); code != 0 {
			t.Fatal(stderr)
		}
		if status, _ := a.try(t, http.MethodGet, "/api/v1/users/profile", nil); status != http.StatusUnauthorized {
			t.Errorf("%s: the old token: %d", command, status)
		}
		anonymous := &account{s: s}
		if status, _ := anonymous.try(t, http.MethodPost, "/api/v1/auth/refresh", map[string]any{"refresh_token": a.refresh}); status != http.StatusUnauthorized {
			t.Errorf("%s: the old refresh token: %d", command, status)
		}
		status, answer := anonymous.try(t, http.MethodPost, "/api/v1/auth/login", map[string]any{"username": "alice", "password": testPassword})
		if want := map[string]int{"disable": http.StatusUnauthorized, "enable": http.StatusOK}[command]; status != want {
			t.Errorf("%s: login answers %d %v, want %d", command, status, answer, want)
		}
		if command == "disable" {
			_, wrong := anonymous.try(t, http.MethodPost, "/api/v1/auth/login", map[string]any{"username": "nobody", "password": "wrong wrong"})
			if str(answer, "message") != str(wrong, "message") {
				t.Errorf("a disabled account answers %v, none %v", answer, wrong)
			}
			status, answer := b.try(t, http.MethodPost, "/api/v1/groups/create", map[string]any{"name": "g", "member_ids": []string{a.id}})
			if status != http.StatusBadRequest {
				t.Errorf("a disabled user is put into a group: %d %v", status, answer)
			}
		}
	}
	a.login(t)
	a.say(t, chat, "back")
	w := a.dial(t)
	b.say(t, chat, "welcome")
	if f, _ := w.until(t, "message"); str(f.Data, "content") != "welcome" {
		t.Errorf("after enable: %+v", f)
	}
}

// Nothing that a client may set in a body reaches what is not its own to set.
func TestMassAssignment(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a, b := register(t, s, "alice"), register(t, s, "bob")
	chat, g := single(t, a, b), group(t, a, nil, b)
	id := str(a.say(t, chat, "hello"), "id")
	for _, c := range []struct {
		who          *account
		method, path string
		body         map[string]any
		foreign      []string
	}{
		{&account{s: s}, http.MethodPost, "/api/v1/users/register", map[string]any{"username": "carol", "password": testPassword, "email": "c@example.org"}, []string{"id", "role", "status", "admin", "is_admin", "password_hash", "created_at"}},
		{&account{s: s}, http.MethodPost, "/api/v1/auth/login", map[string]any{"username": "alice", "password": testPassword}, []string{"user_id", "session_id", "expires_in", "client_address", "role"}},
		{b, http.MethodPost, "/api/v1/messages/send", map[string]any{"conversation_id": chat, "content": "x", "message_type": "text"}, []string{"from_user_id", "sender_id", "to_user_id", "seq", "id", "status", "created_at", "kind"}},
		{b, http.MethodPut, "/api/v1/messages/" + id, map[string]any{"content": "x"}, []string{"from_user_id", "status", "message_type", "seq"}},
		{b, http.MethodPost, "/api/v1/messages/read", map[string]any{"conversation_id": chat, "seq": 1}, []string{"user_id"}},
		{b, http.MethodPost, "/api/v1/groups/create", map[string]any{"name": "g"}, []string{"id", "owner_id", "member_count", "my_role", "role", "created_at"}},
		{a, http.MethodPut, "/api/v1/groups/" + g, map[string]any{"name": "g"}, []string{"id", "owner_id", "member_count", "conversation_id"}},
		{a, http.MethodPost, "/api/v1/groups/" + g + "/members", map[string]any{"user_ids": []string{b.id}}, []string{"role", "muted_until", "actor_id"}},
		{a, http.MethodPut, "/api/v1/groups/" + g + "/members/" + b.id, map[string]any{"role": "member"}, []string{"user_id", "joined_at", "owner"}},
		{b, http.MethodPut, "/api/v1/conversations/" + chat, map[string]any{"pinned": true}, []string{"read_seq", "unread", "last_seq", "user_id", "type"}},
		{b, http.MethodPost, "/api/v1/conversations/create", map[string]any{"type": "single", "peer_user_id": a.id}, []string{"user_id", "owner_id", "id"}},
	} {
		for _, field := range c.foreign {
			body := map[string]any{field: "1"}
			maps.Copy(body, c.body)
			status, answer := c.who.try(t, c.method, c.path, body)
			if status != http.StatusBadRequest || num(answer, "code") != 1001 || str(answer, "details", "field") != field {
				t.Errorf("%s %s with %s: %d %v", c.method, c.path, field, status, answer)
			}
		}
	}
	w := b.dial(t)
	for _, field := range []string{"from_user_id", "seq", "status", "created_at", "kind"} {
		w.send(t, fmt.Sprintf(`{"type":"message","data":{"conversation_id":"%s","content":"x","message_type":"text","%s":"1"}}`, chat, field))
		if f := w.next(t); f.Type != "error" || num(f.Data, "code") != 1001 {
			t.Errorf("a frame with %s: %+v", field, f)
		}
	}
}

// Guessing is limited by the account and by the address that the connection comes from, whatever the headers say and
// however the name is spelled.
func TestGuessingWithRotatedHeadersAndNames(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	register(t, s, "alice")
	headers := []string{"X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Client-IP", "CF-Connecting-IP", "True-Client-IP"}
	try := func(i int, name string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url()+"/api/v1/auth/login",
			strings.NewReader(fmt.Sprintf(`{"username":%q,"password":"wrong guess %d","device_id":"d%d"}`, name, i, i)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		for _, h := range headers {
			req.Header.Set(h, fmt.Sprintf("203.0.113.%d", i%250))
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	spellings := []string{"alice", "ALICE", "Alice", " alice", "alice ", "\talice", "aLiCe"}
	tries := 0
	for i := range 60 {
		if try(i, spellings[i%len(spellings)]) == http.StatusTooManyRequests {
			break
		}
		tries++
	}
	if tries > 20 {
		t.Errorf("%d guesses of one account went through", tries)
	}
	// Another name each time: the address is the limit.
	tries = 0
	for i := range 120 {
		if try(i, fmt.Sprint("someone", i)) == http.StatusTooManyRequests {
			break
		}
		tries++
	}
	if tries > 80 {
		t.Errorf("%d guesses from one address went through", tries)
	}
}

// Who has an account cannot be told by how long a refusal takes: each takes the server the same work. Without a hash a
// refusal would take a tenth. What else the machine does changes how long a call takes, and its work hardly.
func TestRefusalsTakeTheSameWork(t *testing.T) {
	t.Parallel()
	s := deploy(t, "GOCHAT_LOGIC_LOGIN_ACCOUNT_BURST=1000", "GOCHAT_LOGIC_LOGIN_ADDRESS_BURST=1000", "GOCHAT_LOGIC_PASSWORD_MEMORY_KIB=19456")
	register(t, s, "alice")
	register(t, s, "mallory")
	if _, stderr, code := s.admin(t, "", "user", "disable", "mallory"); code != 0 {
		t.Fatal(stderr)
	}
	work := func() (seconds float64) {
		for _, p := range s.processes {
			seconds += p.metric(t, "process_cpu_seconds_total")
		}
		return seconds
	}
	took := map[string]float64{}
	anonymous := &account{s: s}
	for range 5 {
		for _, name := range []string{"alice", "nobody", "mallory"} {
			password := "wrong wrong"
			if name == "mallory" {
				password = testPassword
			}
			before := work()
			anonymous.must(t, http.MethodPost, "/api/v1/auth/login", http.StatusUnauthorized, map[string]any{"username": name, "password": password})
			took[name] += work() - before
		}
	}
	exists, none, disabled := took["alice"], took["nobody"], took["mallory"]
	t.Logf("seconds of CPU for five: exists %.2f, does not %.2f, is disabled %.2f", exists, none, disabled)
	if least, most := min(exists, none, disabled), max(exists, none, disabled); most > 5*least/2 {
		t.Errorf("a wrong password takes %.2f s of CPU, an unknown name %.2f s, a disabled account %.2f s", exists, none, disabled)
	}
}
