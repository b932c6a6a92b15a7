package logic

import (
	"testing"
	"time"

	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

func TestAdminDisablesAndEnables(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.store.addUser(1, "alice")
	session := r.mustLogin(t, "alice", "")
	set := func(name string, status repopb.UserStatus) error {
		_, err := r.AdminSetUserStatus(t.Context(), &logicpb.AdminSetUserStatusRequest{Username: name, Status: status})
		return err
	}
	wantCode(t, set("nobody", repopb.UserStatus_USER_STATUS_DISABLED), errs.NotFound)
	wantCode(t, set("alice", repopb.UserStatus_USER_STATUS_UNSPECIFIED), errs.Invalid)
	if err := set("ALICE", repopb.UserStatus_USER_STATUS_DISABLED); err != nil {
		t.Fatal(err)
	}
	r.wantDead(t, session, 4506)
	_, err := r.login(t.Context(), "alice", secret, "")
	wantCode(t, err, errs.Unauthorized)
	if err := set("alice", repopb.UserStatus_USER_STATUS_ACTIVE); err != nil {
		t.Fatal(err)
	}
	r.mustLogin(t, "alice", "")
	_, err = r.validate(t.Context(), session.GetAccessToken()) // what the ban ended stays ended
	wantCode(t, err, errs.Unauthorized)
}

func TestAdminResetsThePassword(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.store.addUser(1, "alice")
	session := r.mustLogin(t, "alice", "")
	reset := func(name, password string) error {
		_, err := r.AdminResetPassword(t.Context(), &logicpb.AdminResetPasswordRequest{Username: name, NewPassword: password})
		return err
	}
	wantCode(t, reset("nobody", "another secret"), errs.NotFound)
	wantCode(t, reset("alice", "short"), errs.Invalid)
	r.wantAlive(t, session)
	if err := reset("alice", "another secret"); err != nil {
		t.Fatal(err)
	}
	r.wantDead(t, session, 4503)
	if _, err := r.login(t.Context(), "alice", "another secret", ""); err != nil {
		t.Fatal(err)
	}
}

func TestAdminSessions(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.store.addUser(1, "alice")
	session := r.mustLogin(t, "alice", "")
	list, err := r.AdminListSessions(t.Context(), &logicpb.AdminUserRequest{Username: "alice"})
	if must(t, list, err); len(list.GetSessions()) != 1 {
		t.Fatalf("sessions %v", list)
	}
	revoked, err := r.AdminRevokeSessions(t.Context(), &logicpb.AdminUserRequest{Username: "alice"})
	if must(t, revoked, err); len(revoked.GetSessionIds()) != 1 {
		t.Fatalf("revoked %v", revoked)
	}
	r.wantDead(t, session, 4503)
	_, err = r.AdminListSessions(t.Context(), &logicpb.AdminUserRequest{Username: "nobody"})
	wantCode(t, err, errs.NotFound)
	_, err = r.AdminRevokeSessions(t.Context(), &logicpb.AdminUserRequest{Username: "nobody"})
	wantCode(t, err, errs.NotFound)
}

func TestAdminInvitationExpires(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, ms := range []int64{0, -1, 1 << 60} {
		_, err := r.AdminCreateInvitation(t.Context(), &logicpb.AdminCreateInvitationRequest{ExpiresInMs: ms})
		wantCode(t, err, errs.Invalid)
	}
	made, err := r.AdminCreateInvitation(t.Context(), &logicpb.AdminCreateInvitationRequest{ExpiresInMs: 1000})
	must(t, made, err)
	if q := last[*repopb.CreateInvitationRequest](t, r.store); q.GetExpiresAt() != r.time().Add(time.Second).UnixMilli() {
		t.Fatalf("asked %v", q)
	}
}
