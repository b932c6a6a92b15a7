package logic

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/limit"
	"github.com/gochat-im/gochat/repo/repopb"
)

// wantDead fails unless the session's token is refused and its sockets were closed after the commit.
func (r *rig) wantDead(t *testing.T, session *logicpb.AuthenticateResponse, code int32) {
	t.Helper()
	_, err := r.validate(t.Context(), session.GetAccessToken())
	wantCode(t, err, errs.Unauthorized)
	for _, c := range r.hub.closed() {
		all := len(c.GetSessionIds()) == 0 && c.GetUserId() == session.GetUser().GetId()
		if c.GetCode() == code && (all || slices.Contains(c.GetSessionIds(), session.GetSessionId())) {
			if r.hub.early {
				t.Fatal("sockets were closed before the revocation was committed")
			}
			return
		}
	}
	t.Fatalf("sockets of session %d not closed with %d: %v", session.GetSessionId(), code, r.hub.closed())
}

func (r *rig) wantAlive(t *testing.T, session *logicpb.AuthenticateResponse) {
	t.Helper()
	if _, err := r.validate(t.Context(), session.GetAccessToken()); err != nil {
		t.Fatal(err)
	}
	for _, c := range r.hub.closed() {
		if len(c.GetSessionIds()) == 0 || slices.Contains(c.GetSessionIds(), session.GetSessionId()) {
			t.Fatalf("sockets of a live session closed: %v", c)
		}
	}
}

func TestLogout(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.store.addUser(1, "alice")
	a, b := r.mustLogin(t, "alice", "a"), r.mustLogin(t, "alice", "b")
	for range 2 { // retry-safe
		_, err := r.Logout(t.Context(), &logicpb.LogoutRequest{UserId: 1, SessionId: a.GetSessionId()})
		if err != nil {
			t.Fatal(err)
		}
	}
	r.wantDead(t, a, 4503)
	r.wantAlive(t, b)
	_, err := r.Refresh(t.Context(), &logicpb.RefreshRequest{RefreshToken: a.GetRefreshToken()})
	wantCode(t, err, errs.Unauthorized)
}

// A caller that hangs up right after the commit does not keep the sockets open.
func TestLogoutOfACallerThatHangsUp(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.store.addUser(1, "alice")
	a := r.mustLogin(t, "alice", "a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _ = r.Logout(ctx, &logicpb.LogoutRequest{UserId: 1, SessionId: a.GetSessionId()})
	r.wantDead(t, a, 4503)
}

func TestRevokeSession(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.store.addUser(1, "alice")
	r.store.addUser(2, "bob")
	a, b, c := r.mustLogin(t, "alice", "a"), r.mustLogin(t, "alice", "b"), r.mustLogin(t, "alice", "c")
	bob := r.mustLogin(t, "bob", "")
	for _, id := range []int64{bob.GetSessionId(), 999} { // another's answers like an unknown one
		_, err := r.RevokeSession(t.Context(), &logicpb.RevokeSessionRequest{UserId: 1, SessionId: id, CurrentSessionId: a.GetSessionId()})
		if e := wantCode(t, err, errs.NotFound); e.Message != "no such session" {
			t.Fatalf("message %q", e.Message)
		}
	}
	r.wantAlive(t, bob)
	_, err := r.RevokeSession(t.Context(), &logicpb.RevokeSessionRequest{UserId: 1, SessionId: b.GetSessionId(), CurrentSessionId: a.GetSessionId()})
	if err != nil {
		t.Fatal(err)
	}
	r.wantDead(t, b, 4503)
	r.wantAlive(t, c)
	if _, err := r.RevokeSession(t.Context(), &logicpb.RevokeSessionRequest{UserId: 1, CurrentSessionId: a.GetSessionId()}); err != nil {
		t.Fatal(err)
	}
	r.wantDead(t, c, 4503)
	r.wantAlive(t, a)
	list, err := r.ListSessions(t.Context(), &logicpb.ListSessionsRequest{UserId: 1})
	if err != nil || len(list.GetSessions()) != 1 || list.GetSessions()[0].GetId() != a.GetSessionId() {
		t.Fatalf("sessions %v, %v", list, err)
	}
}

// A device that nobody uses any more is not shown for ever as one that is logged in.
func TestExpiredSessionsAreNotListed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.store.addUser(1, "alice")
	r.mustLogin(t, "alice", "old phone")
	r.advance(DefaultConfig().SessionTTL - time.Hour)
	r.mustLogin(t, "alice", "laptop")
	listed := func() (devices []string) {
		own, err := r.ListSessions(t.Context(), &logicpb.ListSessionsRequest{UserId: 1})
		if err != nil {
			t.Fatal(err)
		}
		operators, err := r.AdminListSessions(t.Context(), &logicpb.AdminUserRequest{Username: "alice"})
		if err != nil || len(operators.GetSessions()) != len(own.GetSessions()) {
			t.Errorf("the operator sees %v, the user %v, %v", operators, own, err)
		}
		for _, session := range own.GetSessions() {
			devices = append(devices, session.GetDeviceId())
		}
		slices.Sort(devices)
		return devices
	}
	if got := listed(); !slices.Equal(got, []string{"laptop", "old phone"}) {
		t.Errorf("an hour before the phone's end: %v", got)
	}
	r.advance(2 * time.Hour)
	if got := listed(); !slices.Equal(got, []string{"laptop"}) {
		t.Errorf("an hour after the phone's end: %v", got)
	}
}

func TestChangePassword(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.store.addUser(1, "alice")
	here, there := r.mustLogin(t, "alice", "a"), r.mustLogin(t, "alice", "b")
	change := func(old, next string) error {
		_, err := r.ChangePassword(t.Context(), &logicpb.ChangePasswordRequest{UserId: 1, SessionId: here.GetSessionId(), OldPassword: old, NewPassword: next})
		return err
	}
	if e := wantCode(t, change("wrong", "another secret"), errs.Forbidden); e.Details["field"] != "old_password" {
		t.Fatalf("details %v", e.Details)
	}
	for _, weak := range []string{"", "short", "ALICE", "password", "12345678"} {
		wantCode(t, change(secret, weak), errs.Invalid)
	}
	r.wantAlive(t, there)
	if err := change(secret, "another secret"); err != nil {
		t.Fatal(err)
	}
	r.wantDead(t, there, 4503)
	r.wantAlive(t, here)
	_, err := r.login(t.Context(), "alice", secret, "")
	wantCode(t, err, errs.Unauthorized)
	if _, err := r.login(t.Context(), "alice", "another secret", ""); err != nil {
		t.Fatal(err)
	}
}

// Of two changes from the same old password one wins.
func TestChangePasswordTwiceAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.store.addUser(1, "alice")
	r.hash.during = func() {
		_, _ = r.store.SetPassword(context.Background(), &repopb.SetPasswordRequest{UserId: 1, PasswordHash: "v2:the other"})
	}
	_, err := r.ChangePassword(t.Context(), &logicpb.ChangePasswordRequest{UserId: 1, OldPassword: secret, NewPassword: "another secret"})
	wantCode(t, err, errs.Conflict)
	if got := r.store.hashOf(1); got != "v2:the other" {
		t.Fatalf("hash %q", got)
	}
}

func TestChangePasswordLimitsGuesses(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { c.Login.Account = limit.Config{Rate: 1.0 / 3600, Burst: 2} })
	r.store.addUser(1, "alice")
	for _, want := range []errs.Code{errs.Forbidden, errs.Forbidden, errs.RateLimited} {
		_, err := r.ChangePassword(t.Context(), &logicpb.ChangePasswordRequest{UserId: 1, OldPassword: "guess", NewPassword: "another secret"})
		wantCode(t, err, want)
	}
}

func TestLastSeenIsWrittenOnceAMinuteAndAtClose(t *testing.T) {
	t.Parallel()
	s := newStore()
	l := newLastSeen(s, nil, time.Second)
	now := time.UnixMilli(1_000_000)
	l.touch(&repopb.Session{Id: 1, LastSeenAt: now.Add(-59 * time.Second).UnixMilli()}, now)
	for range 3 {
		l.touch(&repopb.Session{Id: 2, LastSeenAt: now.Add(-time.Minute).UnixMilli()}, now)
	}
	l.close()
	if !slices.Equal(s.touched, []int64{2}) {
		t.Fatalf("touched %v", s.touched)
	}
}

func TestLastSeenIsBounded(t *testing.T) {
	t.Parallel()
	s := newStore()
	l := newLastSeen(s, nil, time.Second)
	for i := range int64(touchMax + 100) {
		l.touch(&repopb.Session{Id: i}, time.Now())
	}
	l.close()
	if len(s.touched) > touchMax {
		t.Fatalf("%d sessions waited", len(s.touched))
	}
}
