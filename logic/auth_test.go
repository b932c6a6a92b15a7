package logic

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/limit"
	"github.com/gochat-im/gochat/platform/token"
	"github.com/gochat-im/gochat/repo/repopb"
)

const secret = "good secret"

func (r *rig) login(ctx context.Context, name, password, device string) (*logicpb.AuthenticateResponse, error) {
	return r.Authenticate(ctx, &logicpb.AuthenticateRequest{Username: name, Password: password, DeviceId: device, ClientAddress: "192.0.2.1"})
}

func (r *rig) mustLogin(t *testing.T, name, device string) *logicpb.AuthenticateResponse {
	t.Helper()
	resp, err := r.login(t.Context(), name, secret, device)
	return must(t, resp, err)
}

func (r *rig) validate(ctx context.Context, access string) (*logicpb.Identity, error) {
	return r.ValidateToken(ctx, &logicpb.ValidateTokenRequest{Token: access})
}

func TestLogin(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.store.addUser(1, "Alice")
	for _, name := range []string{"Alice", "alice", " ALICE "} {
		resp, err := r.login(t.Context(), name, secret, "phone-"+name)
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		who, err := r.validate(t.Context(), resp.GetAccessToken())
		if err != nil || who.GetUserId() != 1 || who.GetSessionId() != resp.GetSessionId() || who.GetDeviceId() != "phone-"+name {
			t.Fatalf("%q: identity %v, %v", name, who, err)
		}
		if resp.GetExpiresInMs() != (15 * time.Minute).Milliseconds() {
			t.Fatalf("expires in %d ms", resp.GetExpiresInMs())
		}
	}
}

// An unknown name, a wrong password and a disabled account answer alike, each after one hash.
func TestLoginDoesNotTellWhoExists(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.store.addUser(1, "alice")
	r.store.addUser(2, "banned").Status = repopb.UserStatus_USER_STATUS_DISABLED
	answers := map[string]bool{}
	for i, c := range []struct{ name, password string }{
		{"alice", "wrong"}, {"nobody", secret}, {"banned", secret}, {"banned", "wrong"}, {"", ""}, {strings.Repeat("x", 5000), strings.Repeat("y", 5000)},
	} {
		_, err := r.login(t.Context(), c.name, c.password, "")
		e := wantCode(t, err, errs.Unauthorized)
		answers[e.Message+"|"+strings.Join(slices.Sorted(keysOf(e.Details)), ",")] = true
		if hashed := r.hash.real + r.hash.dummies; hashed != i+1 {
			t.Fatalf("%q: %d hashes after %d logins", c.name, hashed, i+1)
		}
	}
	if len(answers) != 1 {
		t.Fatalf("answers differ: %v", answers)
	}
	if len(r.store.sessions) != 0 {
		t.Fatal("a refused login left a session")
	}
	if r.hash.dummies != 3 {
		t.Fatalf("%d dummy hashes for three unknown names", r.hash.dummies)
	}
}

func keysOf(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func TestLoginLimitOfAccount(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"alice", "nobody"} {
		r := newRig(t, func(c *Config) { c.Login.Account = limit.Config{Rate: 1.0 / 3600, Burst: 3} })
		r.store.addUser(1, "alice")
		for i, spelling := range []string{name, strings.ToUpper(name), " " + name + "\t"} {
			_, err := r.login(t.Context(), spelling, "wrong", "")
			wantCode(t, err, errs.Unauthorized)
			if i == 0 && name == "alice" { // a success forgets the failures
				r.mustLogin(t, name, "")
				_, err := r.login(t.Context(), name, "wrong", "")
				wantCode(t, err, errs.Unauthorized)
			}
		}
		hashed := r.hash.real + r.hash.dummies
		_, err := r.login(t.Context(), name, secret, "")
		e := wantCode(t, err, errs.RateLimited)
		if ms, err := strconv.Atoi(e.Details["retry_after_ms"]); err != nil || ms <= 0 {
			t.Fatalf("%s: retry_after_ms %q", name, e.Details["retry_after_ms"])
		}
		if r.hash.real+r.hash.dummies != hashed {
			t.Fatal("a refused login was hashed")
		}
	}
}

func TestLoginLimitOfAddress(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { c.Login.Address = limit.Config{Rate: 1.0 / 3600, Burst: 3} })
	r.store.addUser(1, "alice")
	for range 5 { // successes do not count
		r.mustLogin(t, "alice", "")
	}
	for i := range 3 {
		_, err := r.login(t.Context(), "guess"+strconv.Itoa(i), "wrong", "")
		wantCode(t, err, errs.Unauthorized)
	}
	_, err := r.login(t.Context(), "alice", secret, "")
	wantCode(t, err, errs.RateLimited)
	_, err = r.Authenticate(t.Context(), &logicpb.AuthenticateRequest{Username: "alice", Password: secret, ClientAddress: "192.0.2.2"})
	if err != nil {
		t.Fatalf("another address: %v", err)
	}
}

// Guesses at once count as many: no more than the limit reach the hash.
func TestLoginLimitHoldsAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { c.Login.Account = limit.Config{Rate: 1.0 / 3600, Burst: 3} })
	r.store.addUser(1, "alice")
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() { _, _ = r.login(context.Background(), "alice", "wrong", "") })
	}
	wg.Wait()
	if r.hash.real > 3 {
		t.Fatalf("%d guesses were tried, the limit is 3", r.hash.real)
	}
}

// What the server could not decide is nobody's failure.
func TestLoginOverload(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { c.Login.Account = limit.Config{Rate: 1.0 / 3600, Burst: 2} })
	r.store.addUser(1, "alice")
	r.hash.err = errs.New(errs.Unavailable, "busy").RetryAfter(time.Second)
	for range 5 {
		_, err := r.login(t.Context(), "alice", secret, "")
		if e := wantCode(t, err, errs.Unavailable); e.Details["retry_after_ms"] == "" {
			t.Fatal("no retry_after_ms")
		}
	}
	r.hash.err = nil
	r.mustLogin(t, "alice", "")
}

func TestLoginRehashes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.store.addUser(1, "alice")
	kept := r.mustLogin(t, "alice", "a")
	for _, asked := range r.store.asked {
		if _, ok := asked.(*repopb.SetPasswordRequest); ok {
			t.Error("a hash of the present cost was made anew")
		}
	}
	r.store.users[1].PasswordHash = "v1:" + secret
	_, err := r.login(t.Context(), "alice", "wrong", "b")
	wantCode(t, err, errs.Unauthorized)
	if got := r.store.hashOf(1); got != "v1:"+secret {
		t.Fatalf("a failed login rehashed to %q", got)
	}
	r.mustLogin(t, "alice", "b")
	if got := r.store.hashOf(1); got != "v2:"+secret {
		t.Fatalf("hash is %q", got)
	}
	if _, err := r.validate(t.Context(), kept.GetAccessToken()); err != nil {
		t.Fatalf("a rehash ended a session: %v", err)
	}
}

// A password change between the check of a login and its rehash wins.
func TestRehashDoesNotUndoAPasswordChange(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.store.addUser(1, "alice")
	r.store.users[1].PasswordHash = "v1:" + secret
	r.hash.during = sync.OnceFunc(func() {
		_, _ = r.store.SetPassword(context.Background(), &repopb.SetPasswordRequest{UserId: 1, PasswordHash: "v2:new secret"})
	})
	_, err := r.login(t.Context(), "alice", secret, "")
	wantCode(t, err, errs.Unauthorized)
	if got := r.store.hashOf(1); got != "v2:new secret" {
		t.Fatalf("the new password was overwritten: %q", got)
	}
}

// A password change or a ban that commits while a login is under way leaves no session of the old password.
func TestLoginRacesAPasswordChange(t *testing.T) {
	t.Parallel()
	for name, meanwhile := range map[string]func(r *rig){
		"password changed": func(r *rig) {
			_, _ = r.store.SetPassword(context.Background(), &repopb.SetPasswordRequest{UserId: 1, PasswordHash: "v2:new secret"})
		},
		"disabled": func(r *rig) {
			status := repopb.UserStatus_USER_STATUS_DISABLED
			_, _ = r.store.UpdateUser(context.Background(), &repopb.UpdateUserRequest{Id: 1, Status: &status})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.store.addUser(1, "alice")
			r.hash.during = sync.OnceFunc(func() { meanwhile(r) })
			_, err := r.login(t.Context(), "alice", secret, "")
			wantCode(t, err, errs.Unauthorized)
			for id, session := range r.store.sessions {
				if session.GetRevokedAt() == 0 {
					t.Fatalf("session %d is alive", id)
				}
			}
		})
	}
}

// A login by a rehash that ran at the same time still fits.
func TestLoginRacesARehash(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.store.addUser(1, "alice")
	r.store.afterNew = func() {
		_, _ = r.store.SetPassword(context.Background(), &repopb.SetPasswordRequest{UserId: 1, PasswordHash: "v3:" + secret, KeepAllSessions: true})
	}
	resp := r.mustLogin(t, "alice", "")
	if _, err := r.validate(t.Context(), resp.GetAccessToken()); err != nil {
		t.Fatal(err)
	}
}

func TestLoginOfTheSameDeviceReplaces(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { c.MaxSessions = 2 })
	r.store.addUser(1, "alice")
	first := r.mustLogin(t, "alice", "phone")
	second := r.mustLogin(t, "alice", "phone")
	_, err := r.validate(t.Context(), first.GetAccessToken())
	if e := wantCode(t, err, errs.Unauthorized); e.Details["reason"] != "revoked" {
		t.Fatalf("reason %q", e.Details["reason"])
	}
	closed := r.hub.closed()
	if len(closed) != 1 || closed[0].GetCode() != 4504 || !slices.Equal(closed[0].GetSessionIds(), []int64{first.GetSessionId()}) {
		t.Fatalf("closed %v", closed)
	}
	r.mustLogin(t, "alice", "tablet")
	r.mustLogin(t, "alice", "laptop") // one too many: the oldest goes
	closed = r.hub.closed()
	if len(closed) != 2 || closed[1].GetCode() != 4503 || !slices.Equal(closed[1].GetSessionIds(), []int64{second.GetSessionId()}) {
		t.Fatalf("closed %v", closed)
	}
	if r.hub.early {
		t.Fatal("sockets were closed before the revocation was committed")
	}
}

func TestLoginRefusesBadDevices(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.store.addUser(1, "alice")
	for _, device := range []string{strings.Repeat("d", 129), "a\x00b", "a\nb", "\xff"} {
		_, err := r.login(t.Context(), "alice", secret, device)
		wantCode(t, err, errs.Invalid)
	}
	_, err := r.Authenticate(t.Context(), &logicpb.AuthenticateRequest{Username: "alice", Password: secret, Platform: strings.Repeat("p", 33)})
	wantCode(t, err, errs.Invalid)
}

func TestValidateTokenRefuses(t *testing.T) {
	t.Parallel()
	r, other := newRig(t), newRig(t)
	r.store.addUser(1, "alice")
	r.store.addUser(2, "bob")
	good := r.mustLogin(t, "alice", "")
	foreign, err := other.role.keys.Sign(token.Claims{UserID: 1, SessionID: good.GetSessionId(), IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Minute)})
	must(t, foreign, err)
	mixed, err := r.role.keys.Sign(token.Claims{UserID: 2, SessionID: good.GetSessionId(), IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Minute)})
	must(t, mixed, err)
	gone, err := r.role.keys.Sign(token.Claims{UserID: 1, SessionID: 999, IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Minute)})
	must(t, gone, err)
	for name, c := range map[string]struct{ token, reason string }{
		"empty": {"", "invalid"}, "no token": {"abc.def.ghi", "invalid"}, "huge": {strings.Repeat("a", 1<<16), "invalid"},
		"signed by another key": {foreign, "invalid"}, "refresh token": {good.GetRefreshToken(), "invalid"},
		"tampered":                {good.GetAccessToken()[:len(good.GetAccessToken())-4] + "AAAA", "invalid"},
		"session of another user": {mixed, "revoked"}, "unknown session": {gone, "revoked"},
	} {
		_, err := r.validate(t.Context(), c.token)
		if e := wantCode(t, err, errs.Unauthorized); e.Details["reason"] != c.reason {
			t.Errorf("%s: reason %q, want %q", name, e.Details["reason"], c.reason)
		}
	}
	r.store.users[1].GetUser().Status = repopb.UserStatus_USER_STATUS_DISABLED
	_, err = r.validate(t.Context(), good.GetAccessToken())
	if e := wantCode(t, err, errs.Unauthorized); e.Details["reason"] != "disabled" {
		t.Errorf("disabled: reason %q", e.Details["reason"])
	}
	_, err = r.CheckSession(t.Context(), &logicpb.CheckSessionRequest{UserId: 1, SessionId: good.GetSessionId()})
	if e := wantCode(t, err, errs.Unauthorized); e.Details["reason"] != "disabled" {
		t.Errorf("session of a disabled user: reason %q", e.Details["reason"])
	}
	r.advance(16 * time.Minute)
	_, err = r.validate(t.Context(), good.GetAccessToken())
	if e := wantCode(t, err, errs.Unauthorized); e.Details["reason"] != "expired" {
		t.Errorf("expired: reason %q", e.Details["reason"])
	}
}

func TestCheckSession(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.store.addUser(1, "alice")
	good := r.mustLogin(t, "alice", "")
	check := func(user, session int64) error {
		_, err := r.CheckSession(t.Context(), &logicpb.CheckSessionRequest{UserId: user, SessionId: session})
		return err
	}
	if err := check(1, good.GetSessionId()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Logout(t.Context(), &logicpb.LogoutRequest{UserId: 1, SessionId: good.GetSessionId()}); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"revoked": check(1, good.GetSessionId()), "unknown": check(1, 999), "of another user": check(2, good.GetSessionId()),
	} {
		if e := wantCode(t, err, errs.Unauthorized); e.Details["reason"] != "revoked" {
			t.Errorf("%s: reason %q", name, e.Details["reason"])
		}
	}
}

func TestRefreshRotates(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.store.addUser(1, "alice")
	first := r.mustLogin(t, "alice", "")
	second, err := r.Refresh(t.Context(), &logicpb.RefreshRequest{RefreshToken: first.GetRefreshToken()})
	must(t, second, err)
	if second.GetRefreshToken() == first.GetRefreshToken() || second.GetSessionId() != first.GetSessionId() {
		t.Fatalf("not rotated: %v", second)
	}
	if _, err := r.validate(t.Context(), second.GetAccessToken()); err != nil {
		t.Fatal(err)
	}
	// The first is used again: nobody can tell the thief, so the session ends everywhere.
	_, err = r.Refresh(t.Context(), &logicpb.RefreshRequest{RefreshToken: first.GetRefreshToken()})
	wantCode(t, err, errs.Unauthorized)
	_, err = r.Refresh(t.Context(), &logicpb.RefreshRequest{RefreshToken: second.GetRefreshToken()})
	wantCode(t, err, errs.Unauthorized)
	_, err = r.validate(t.Context(), second.GetAccessToken())
	wantCode(t, err, errs.Unauthorized)
	closed := r.hub.closed()
	if len(closed) != 1 || closed[0].GetCode() != 4503 || r.hub.early {
		t.Fatalf("closed %v (early %v)", closed, r.hub.early)
	}
}

func TestRefreshRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.store.addUser(1, "alice")
	unknown, _ := token.NewOpaque()
	good := r.mustLogin(t, "alice", "")
	for _, bad := range []string{"", "x", unknown, good.GetAccessToken(), strings.Repeat("a", 1<<16)} {
		_, err := r.Refresh(t.Context(), &logicpb.RefreshRequest{RefreshToken: bad})
		wantCode(t, err, errs.Unauthorized)
	}
	r.store.users[1].GetUser().Status = repopb.UserStatus_USER_STATUS_DISABLED
	_, err := r.Refresh(t.Context(), &logicpb.RefreshRequest{RefreshToken: good.GetRefreshToken()})
	wantCode(t, err, errs.Unauthorized)
}

func TestJWKSHoldsThePublicKeyOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	jwks, err := r.GetJWKS(t.Context(), nil)
	must(t, jwks, err)
	if s := string(jwks.GetJson()); !strings.Contains(s, `"OKP"`) || strings.Contains(s, `"d"`) {
		t.Fatalf("jwks %s", s)
	}
}
