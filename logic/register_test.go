package logic

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/token"
	"github.com/gochat-im/gochat/repo/repopb"
)

func TestRegister(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	u, err := r.Register(t.Context(), &logicpb.RegisterRequest{Username: "Alice.B", Password: secret, Email: "a@example.org", Nickname: "爱丽丝"})
	must(t, u, err)
	if u.GetUsername() != "Alice.B" || u.GetNickname() != "爱丽丝" || u.GetStatus() != repopb.UserStatus_USER_STATUS_ACTIVE {
		t.Fatalf("user %v", u)
	}
	if _, err := r.login(t.Context(), "alice.b", secret, ""); err != nil {
		t.Fatal(err)
	}
	_, err = r.Register(t.Context(), &logicpb.RegisterRequest{Username: "ALICE.b", Password: secret})
	if e := wantCode(t, err, errs.Conflict); e.Details["field"] != "username" {
		t.Fatalf("details %v", e.Details)
	}
	// An e-mail says nothing about who has it already.
	if _, err := r.Register(t.Context(), &logicpb.RegisterRequest{Username: "mallory", Password: secret, Email: "a@example.org"}); err != nil {
		t.Fatal(err)
	}
}

func TestRegisterRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for name, c := range map[string]struct {
		field  string
		change func(*logicpb.RegisterRequest)
	}{
		"no name":             {"username", func(q *logicpb.RegisterRequest) { q.Username = "" }},
		"short name":          {"username", func(q *logicpb.RegisterRequest) { q.Username = "ab" }},
		"long name":           {"username", func(q *logicpb.RegisterRequest) { q.Username = strings.Repeat("a", 33) }},
		"dot first":           {"username", func(q *logicpb.RegisterRequest) { q.Username = ".alice" }},
		"space":               {"username", func(q *logicpb.RegisterRequest) { q.Username = "al ice" }},
		"line end":            {"username", func(q *logicpb.RegisterRequest) { q.Username = "alice\n" }},
		"look-alike":          {"username", func(q *logicpb.RegisterRequest) { q.Username = "аlice" }},
		"markup":              {"username", func(q *logicpb.RegisterRequest) { q.Username = "<b>alice" }},
		"no password":         {"password", func(q *logicpb.RegisterRequest) { q.Password = "" }},
		"short password":      {"password", func(q *logicpb.RegisterRequest) { q.Password = "1234567" }},
		"long password":       {"password", func(q *logicpb.RegisterRequest) { q.Password = strings.Repeat("a", 129) }},
		"password is name":    {"password", func(q *logicpb.RegisterRequest) { q.Username, q.Password = "longname", "LongName" }},
		"common password":     {"password", func(q *logicpb.RegisterRequest) { q.Password = "Password1" }},
		"password not UTF-8":  {"password", func(q *logicpb.RegisterRequest) { q.Password = "abcdefgh\xff" }},
		"e-mail without at":   {"email", func(q *logicpb.RegisterRequest) { q.Email = "alice" }},
		"e-mail with a name":  {"email", func(q *logicpb.RegisterRequest) { q.Email = "Alice <a@example.org>" }},
		"e-mail with newline": {"email", func(q *logicpb.RegisterRequest) { q.Email = "a@example.org\nBcc: b@example.org" }},
		"long e-mail":         {"email", func(q *logicpb.RegisterRequest) { q.Email = strings.Repeat("a", 250) + "@example.org" }},
		"long nickname":       {"nickname", func(q *logicpb.RegisterRequest) { q.Nickname = strings.Repeat("名", 65) }},
		"control nickname":    {"nickname", func(q *logicpb.RegisterRequest) { q.Nickname = "a\x00b" }},
		"nickname not UTF-8":  {"nickname", func(q *logicpb.RegisterRequest) { q.Nickname = "\xff" }},
	} {
		request := &logicpb.RegisterRequest{Username: "alice", Password: secret}
		c.change(request)
		_, err := r.Register(t.Context(), request)
		if errs.CodeOf(err) != errs.Invalid || errs.From(err).Details["field"] != c.field {
			t.Errorf("%s: got %v %v, want %s invalid", name, err, errs.From(err).Details, c.field)
		}
	}
	for _, name := range []string{"abc", "0-9", "a_b.c-d", strings.Repeat("Z", 32)} {
		if _, err := r.Register(t.Context(), &logicpb.RegisterRequest{Username: name, Password: strings.Repeat("p", 128)}); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestRegistrationPolicy(t *testing.T) {
	t.Parallel()
	request := &logicpb.RegisterRequest{Username: "alice", Password: secret}
	closed := newRig(t, func(c *Config) { c.Registration = RegistrationClosed })
	_, err := closed.Register(t.Context(), request)
	wantCode(t, err, errs.Forbidden)
	if _, err := closed.AdminCreateUser(t.Context(), request); err != nil {
		t.Fatalf("the operator: %v", err)
	}

	invite := newRig(t, func(c *Config) { c.Registration = RegistrationInvite })
	for _, code := range []string{"", "guess"} {
		_, err := invite.Register(t.Context(), &logicpb.RegisterRequest{Username: "alice", Password: secret, Invitation: code})
		wantCode(t, err, errs.Forbidden)
	}
	made, err := invite.AdminCreateInvitation(t.Context(), &logicpb.AdminCreateInvitationRequest{ExpiresInMs: time.Hour.Milliseconds()})
	must(t, made, err)
	stored := last[*repopb.CreateInvitationRequest](t, invite.store)
	if bytes.Contains(stored.GetCodeHash(), []byte(made.GetCode())) || !bytes.Equal(stored.GetCodeHash(), token.HashOpaque(made.GetCode())) {
		t.Fatal("the code is not stored as its hash")
	}
	u, err := invite.Register(t.Context(), &logicpb.RegisterRequest{Username: "alice", Password: secret, Invitation: made.GetCode()})
	must(t, u, err)
	if used := last[*repopb.CreateUserRequest](t, invite.store).GetInvitationHash(); !bytes.Equal(used, stored.GetCodeHash()) {
		t.Fatal("registered with another invitation")
	}
}
