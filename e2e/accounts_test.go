package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestRegisterAndLogin(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	anonymous := &account{s: s}
	created := anonymous.must(t, http.MethodPost, "/api/v1/users/register", http.StatusCreated,
		map[string]any{"username": "Alice", "password": testPassword, "email": "alice@example.org", "nickname": "Ally"})
	if str(created, "user", "username") != "Alice" || str(created, "user", "nickname") != "Ally" || str(created, "user", "id") == "" {
		t.Errorf("registered: %v", created)
	}
	for name, body := range map[string]map[string]any{
		"taken, other case": {"username": "aLICE", "password": testPassword, "email": "x@example.org"},
		"short password":    {"username": "carol", "password": "short", "email": "x@example.org"},
		"no username":       {"password": testPassword, "email": "x@example.org"},
		"bad username":      {"username": "a b", "password": testPassword, "email": "x@example.org"},
		"bad e-mail":        {"username": "carol", "password": testPassword, "email": "nowhere"},
		"wrong type":        {"username": 7, "password": testPassword, "email": "x@example.org"},
		"unknown field":     {"username": "carol", "password": testPassword, "email": "x@example.org", "role": "admin"},
	} {
		status, answer := anonymous.try(t, http.MethodPost, "/api/v1/users/register", body)
		want, code := http.StatusBadRequest, int64(1001)
		if strings.HasPrefix(name, "taken") {
			want, code = http.StatusConflict, 1006
		}
		if status != want || num(answer, "code") != code || str(answer, "message") == "" || str(answer, "request_id") == "" {
			t.Errorf("%s: %d %v", name, status, answer)
		}
	}
	// Unknown name and wrong password cannot be told apart.
	_, wrong := anonymous.try(t, http.MethodPost, "/api/v1/auth/login", map[string]any{"username": "alice", "password": "wrong wrong"})
	status, unknown := anonymous.try(t, http.MethodPost, "/api/v1/auth/login", map[string]any{"username": "nobody", "password": "wrong wrong"})
	if status != http.StatusUnauthorized || num(wrong, "code") != 1002 || str(wrong, "message") != str(unknown, "message") {
		t.Errorf("wrong password: %v; unknown user: %v", wrong, unknown)
	}
	ok := anonymous.must(t, http.MethodPost, "/api/v1/auth/login", http.StatusOK,
		map[string]any{"username": "alice", "password": testPassword, "device_id": "phone", "platform": "ios"})
	if str(ok, "token_type") != "Bearer" || num(ok, "expires_in") <= 0 || num(ok, "expires_in") > 900 || str(ok, "refresh_token") == "" {
		t.Errorf("login: %v", ok)
	}
	for _, secret := range []string{"password", "hash", "argon2"} {
		if raw := strings.ToLower(mustJSON(t, ok)); strings.Contains(raw, secret) {
			t.Errorf("the answer of a login holds %q: %s", secret, raw)
		}
	}
}

func TestLoginsAreLimited(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	register(t, s, "alice")
	anonymous := &account{s: s}
	for _, name := range []string{"alice", "nobody"} {
		limited := false
		for i := range 40 {
			// Case does not make another account of it.
			status, answer := anonymous.try(t, http.MethodPost, "/api/v1/auth/login",
				map[string]any{"username": []string{name, strings.ToUpper(name)}[i%2], "password": "wrong wrong"})
			if status == http.StatusTooManyRequests {
				limited = true
				if num(answer, "code") != 1007 || str(answer, "details", "retry_after_ms") == "" {
					t.Errorf("limited: %v", answer)
				}
				break
			}
		}
		if !limited {
			t.Errorf("%s: 40 wrong passwords and no limit", name)
		}
	}
}

func TestRefreshRotatesAndReuseRevokes(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a := register(t, s, "alice")
	first := a.refresh
	body := a.must(t, http.MethodPost, "/api/v1/auth/refresh", http.StatusOK, map[string]any{"refresh_token": first})
	second := str(body, "refresh_token")
	if second == "" || second == first {
		t.Fatalf("the refresh token did not change: %v", body)
	}
	a.token = str(body, "access_token")
	w := a.dial(t)
	// The old one again: somebody has a copy. The session ends, for everybody.
	if status, answer := a.try(t, http.MethodPost, "/api/v1/auth/refresh", map[string]any{"refresh_token": first}); status != http.StatusUnauthorized || num(answer, "code") != 1002 {
		t.Errorf("reuse: %d %v", status, answer)
	}
	if status, _ := a.try(t, http.MethodPost, "/api/v1/auth/refresh", map[string]any{"refresh_token": second}); status != http.StatusUnauthorized {
		t.Errorf("the new token after a reuse of the old: %d", status)
	}
	if status, _ := a.try(t, http.MethodGet, "/api/v1/users/profile", nil); status != http.StatusUnauthorized {
		t.Errorf("the access token after a reuse: %d", status)
	}
	if code, _ := w.closeCode(t); code != 4503 {
		t.Errorf("the session's socket closed with %d, want 4503", code)
	}
	for _, bad := range []string{"", "x", strings.Repeat("A", 43)} {
		if status, _ := a.try(t, http.MethodPost, "/api/v1/auth/refresh", map[string]any{"refresh_token": bad}); status != http.StatusUnauthorized && status != http.StatusBadRequest {
			t.Errorf("refresh with %q: %d", bad, status)
		}
	}
}

func TestEndOfSessions(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a := register(t, s, "alice")
	phone, laptop := *a, *a
	phone.login(t)
	laptop.login(t)
	sessions, _ := a.must(t, http.MethodGet, "/api/v1/auth/sessions", http.StatusOK, nil)["sessions"].([]any)
	if len(sessions) != 3 {
		t.Fatalf("%d sessions, want 3: %v", len(sessions), sessions)
	}
	sockets := map[string]*socket{"first": a.dial(t), "phone": phone.dial(t), "laptop": laptop.dial(t)}

	// Logout: tokens and sockets are dead when it returns.
	phone.must(t, http.MethodPost, "/api/v1/auth/logout", http.StatusNoContent, nil)
	if status, _ := phone.try(t, http.MethodGet, "/api/v1/users/profile", nil); status != http.StatusUnauthorized {
		t.Errorf("after logout: %d", status)
	}
	if status, _ := phone.try(t, http.MethodPost, "/api/v1/auth/refresh", map[string]any{"refresh_token": phone.refresh}); status != http.StatusUnauthorized {
		t.Errorf("refresh after logout: %d", status)
	}
	if code, _ := sockets["phone"].closeCode(t); code != 4503 {
		t.Errorf("the socket after logout closed with %d, want 4503", code)
	}

	// A new password ends every other session.
	if status, _ := a.try(t, http.MethodPut, "/api/v1/users/password", map[string]any{"old_password": "not this one", "new_password": "a new good secret"}); status == http.StatusNoContent {
		t.Error("the password changed without the old one")
	}
	a.must(t, http.MethodPut, "/api/v1/users/password", http.StatusNoContent, map[string]any{"old_password": testPassword, "new_password": "a new good secret"})
	if code, _ := sockets["laptop"].closeCode(t); code != 4503 {
		t.Errorf("another session's socket after a password change closed with %d, want 4503", code)
	}
	a.must(t, http.MethodGet, "/api/v1/users/profile", http.StatusOK, nil)
	sockets["first"].send(t, `{"type":"ping"}`)
	if f := sockets["first"].next(t); f.Type != "pong" {
		t.Errorf("the session that changed the password got %+v", f)
	}

	// One's own sessions, one by one; not another's.
	b := register(t, s, "bob")
	list, _ := a.must(t, http.MethodGet, "/api/v1/auth/sessions", http.StatusOK, nil)["sessions"].([]any)
	if len(list) != 1 {
		t.Fatalf("%d sessions left, want 1", len(list))
	}
	mine := str(list[0], "id")
	if status, _ := b.try(t, http.MethodDelete, "/api/v1/auth/sessions/"+mine, nil); status != http.StatusNotFound {
		t.Errorf("revoking another's session: %d, want 404", status)
	}
	a.must(t, http.MethodDelete, "/api/v1/auth/sessions/all", http.StatusNoContent, nil)
	a.must(t, http.MethodGet, "/api/v1/users/profile", http.StatusOK, nil)
	a.must(t, http.MethodDelete, "/api/v1/auth/sessions/"+mine, http.StatusNoContent, nil)
	if code, _ := sockets["first"].closeCode(t); code != 4503 {
		t.Errorf("the revoked session's socket closed with %d, want 4503", code)
	}
}

func TestSameDeviceIsReplaced(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a := register(t, s, "alice")
	login := func() *account {
		again := *a
		again.token = ""
		body := again.must(t, http.MethodPost, "/api/v1/auth/login", http.StatusOK, map[string]any{"username": "alice", "password": testPassword, "device_id": "phone-1"})
		again.token = str(body, "access_token")
		return &again
	}
	first := login()
	w := first.dial(t)
	second := login()
	if code, _ := w.closeCode(t); code != 4504 {
		t.Errorf("the replaced device's socket closed with %d, want 4504", code)
	}
	if status, _ := first.try(t, http.MethodGet, "/api/v1/users/profile", nil); status != http.StatusUnauthorized {
		t.Errorf("the replaced session: %d", status)
	}
	second.must(t, http.MethodGet, "/api/v1/users/profile", http.StatusOK, nil)
}

func TestTokenExpiryClosesTheSocket(t *testing.T) {
	t.Parallel()
	s := deploy(t, "GOCHAT_LOGIC_ACCESS_TOKEN_TTL=2s")
	a := register(t, s, "alice")
	started := time.Now()
	w := a.dial(t)
	code, frames := w.closeCode(t)
	if code != 4100 {
		t.Errorf("closed with %d after %v, want 4100", code, time.Since(started))
	}
	if len(frames) == 0 || frames[len(frames)-1].Type != "disconnect" || num(frames[len(frames)-1].Data, "code") != 4100 {
		t.Errorf("no disconnect frame before the close: %+v", frames)
	}
}

func TestDisabledUser(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a := register(t, s, "mallory")
	w := a.dial(t)
	if _, stderr, code := s.admin(t, "", "user", "disable", "mallory"); code != 0 {
		t.Fatalf("disable: %s", stderr)
	}
	if code, _ := w.closeCode(t); code != 4506 {
		t.Errorf("the socket closed with %d, want 4506", code)
	}
	if status, _ := a.try(t, http.MethodGet, "/api/v1/users/profile", nil); status != http.StatusUnauthorized {
		t.Errorf("a disabled user's token: %d", status)
	}
	anonymous := &account{s: s}
	if status, _ := anonymous.try(t, http.MethodPost, "/api/v1/auth/login", map[string]any{"username": "mallory", "password": testPassword}); status != http.StatusUnauthorized {
		t.Errorf("a disabled user's login: %d", status)
	}
}

func TestRegistrationPolicies(t *testing.T) {
	t.Parallel()
	body := func(name string) map[string]any {
		return map[string]any{"username": name, "password": testPassword, "email": name + "@example.org"}
	}
	closed := &account{s: deploy(t, "GOCHAT_LOGIC_REGISTRATION=closed")}
	if status, answer := closed.try(t, http.MethodPost, "/api/v1/users/register", body("alice")); status != http.StatusForbidden || num(answer, "code") != 1005 {
		t.Errorf("closed: %d %v", status, answer)
	}
	s := deploy(t, "GOCHAT_LOGIC_REGISTRATION=invite")
	invited := &account{s: s}
	if status, _ := invited.try(t, http.MethodPost, "/api/v1/users/register", body("alice")); status != http.StatusForbidden {
		t.Errorf("without an invitation: %d", status)
	}
	code, stderr, exit := s.admin(t, "", "invite")
	if exit != 0 {
		t.Fatal(stderr)
	}
	with := body("alice")
	with["invitation"] = strings.TrimSpace(code)
	invited.must(t, http.MethodPost, "/api/v1/users/register", http.StatusCreated, with)
	with["username"] = "bob"
	if status, _ := invited.try(t, http.MethodPost, "/api/v1/users/register", with); status != http.StatusForbidden {
		t.Errorf("a used invitation: %d", status)
	}
}

func TestProfiles(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a, b := register(t, s, "alice"), register(t, s, "bob")
	updated := a.must(t, http.MethodPut, "/api/v1/users/profile", http.StatusOK, map[string]any{"nickname": "Ally <b>", "avatar": "https://example.org/a.png"})
	if str(updated, "user", "nickname") != "Ally <b>" || str(updated, "user", "email") != "alice@example.org" {
		t.Errorf("updated: %v", updated)
	}
	seen := b.must(t, http.MethodGet, "/api/v1/users/"+a.id, http.StatusOK, nil)
	if strings.Contains(mustJSON(t, seen), "example.org\"") && strings.Contains(mustJSON(t, seen), "alice@") {
		t.Errorf("another's e-mail is visible: %v", seen)
	}
	found := b.must(t, http.MethodGet, "/api/v1/users?query=ali", http.StatusOK, nil)
	if users, _ := found["users"].([]any); len(users) != 1 || str(users[0], "id") != a.id {
		t.Errorf("search: %v", found)
	}
	for _, query := range []string{"%25", "_lice", "%5C"} {
		found := b.must(t, http.MethodGet, "/api/v1/users?query="+query, http.StatusOK, nil)
		if users, _ := found["users"].([]any); len(users) != 0 {
			t.Errorf("search for %s found %v", query, users)
		}
	}
	for path, want := range map[string]int{
		"/api/v1/users/12345": http.StatusNotFound, "/api/v1/users/-1": http.StatusBadRequest, "/api/v1/users/99999999999999999999": http.StatusBadRequest,
		"/api/v1/users?query=": http.StatusBadRequest, "/api/v1/users?query=a&limit=-1": http.StatusBadRequest, "/api/v1/users?query=a&cursor=forged": http.StatusBadRequest,
	} {
		if status, answer := b.try(t, http.MethodGet, path, nil); status != want {
			t.Errorf("GET %s: %d %v, want %d", path, status, answer, want)
		}
	}
	for field, value := range map[string]any{"id": "1", "status": "disabled", "username": "root", "password_hash": "x", "created_at": "x"} {
		if status, _ := a.try(t, http.MethodPut, "/api/v1/users/profile", map[string]any{field: value}); status != http.StatusBadRequest {
			t.Errorf("mass assignment of %s: %d", field, status)
		}
	}
}
