package repotest

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

// Accounts holds an implementation to the contract of users, invitations and sessions.
func Accounts(t *testing.T, open func(t testing.TB) repopb.RepoServiceServer) {
	for name, test := range map[string]func(*testing.T, *accountFixture){
		"unique names":    testUniqueNames,
		"users":           testUsers,
		"search":          testSearch,
		"invitations":     testInvitations,
		"sessions":        testSessions,
		"rotation":        testRotation,
		"rotation raced":  testRotationRaced,
		"password change": testPasswordChange,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, &accountFixture{groupFixture: groupFixture{RepoServiceServer: open(t)}, later: time.Now().Add(time.Hour).UnixMilli()})
		})
	}
}

type accountFixture struct {
	groupFixture
	later    int64        // a time at which things expire
	sessions atomic.Int64 // ids that grow: they decide which of a millisecond's sessions is the oldest
}

func (f *accountFixture) register(t testing.TB, name, nickname string) (*repopb.User, error) {
	t.Helper()
	return f.CreateUser(t.Context(), &repopb.CreateUserRequest{PasswordHash: "hash of " + name, User: &repopb.User{
		Username: name, Nickname: nickname, Email: name + "@example.org", Status: repopb.UserStatus_USER_STATUS_ACTIVE,
	}})
}

func testUniqueNames(t *testing.T, f *accountFixture) {
	var created atomic.Int64
	var wg sync.WaitGroup
	for _, name := range []string{"Alice", "alice", "ALICE", "aLiCe", "alicE", "ÄLICE", "älice"} {
		wg.Go(func() {
			u, err := f.register(t, name, "")
			switch errs.CodeOf(err) {
			case errs.OK:
				created.Add(1)
				if u.GetId() <= 0 || u.GetUsername() != name || u.GetCreatedAt() == 0 {
					t.Errorf("created: %v", u)
				}
			case errs.Conflict:
			default:
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	wg.Wait()
	if created.Load() != 2 {
		t.Errorf("%d users of two names", created.Load())
	}
}

func testUsers(t *testing.T, f *accountFixture) {
	u, err := f.register(t, "Bob", "Bobby")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*repopb.GetUserRequest{{Id: u.GetId()}, {Username: "Bob"}, {Username: "bOB"}} {
		got, err := f.GetUser(t.Context(), r)
		if err != nil || got.GetId() != u.GetId() || got.GetNickname() != "Bobby" || got.GetEmail() != "Bob@example.org" {
			t.Errorf("%v: %v %v", r, got, err)
		}
	}
	for _, r := range []*repopb.GetUserRequest{{Id: 5}, {Username: "nobody"}, {Username: "Bob%"}, {}} {
		_, err := f.GetUser(t.Context(), r)
		wantCode(t, fmt.Sprint(r), err, errs.NotFound)
	}
	nick, none := "Robert", ""
	got, err := f.UpdateUser(t.Context(), &repopb.UpdateUserRequest{Id: u.GetId(), Nickname: &nick, Email: &none})
	if err != nil || got.GetNickname() != nick || got.GetEmail() != "" || got.GetUsername() != "Bob" {
		t.Errorf("update: %v %v", got, err)
	}
	if got, err := f.GetUser(t.Context(), &repopb.GetUserRequest{Id: u.GetId()}); err != nil || got.GetNickname() != nick {
		t.Errorf("after the update: %v %v", got, err)
	}
	avatar, mail := "a.png", "new@example.org"
	for _, r := range []*repopb.UpdateUserRequest{{Avatar: &avatar}, {Email: &mail}, {Status: repopb.UserStatus_USER_STATUS_DISABLED.Enum()}} {
		r.Id = u.GetId() // what it does not name stays
		if got, err = f.UpdateUser(t.Context(), r); err != nil {
			t.Errorf("update %v: %v", r, err)
		}
	}
	if got.GetNickname() != nick || got.GetAvatar() != avatar || got.GetEmail() != mail || got.GetStatus() != repopb.UserStatus_USER_STATUS_DISABLED {
		t.Errorf("after one update a field: %v", got)
	}
	_, err = f.UpdateUser(t.Context(), &repopb.UpdateUserRequest{Id: 5, Nickname: &nick})
	wantCode(t, "update nobody", err, errs.NotFound)
	some, err := f.GetUsers(t.Context(), &repopb.GetUsersRequest{Ids: []int64{5, u.GetId(), u.GetId()}})
	if err != nil || len(some.GetUsers()) != 1 {
		t.Errorf("some of them: %v %v", some, err)
	}
	c, err := f.GetCredentials(t.Context(), &repopb.GetCredentialsRequest{Username: "BOB"})
	if err != nil || c.GetPasswordHash() != "hash of Bob" || c.GetUser().GetId() != u.GetId() {
		t.Errorf("credentials: %v %v", c, err)
	}
}

func testSearch(t *testing.T, f *accountFixture) {
	for name, nick := range map[string]string{
		"anna": "Zed", "annabel": "", "Andrew": "", "bert": "Ann", "a_b": "", "axb": "", "c%d": "", "cxd": "", `e\f`: "", "ülf": "Größe",
	} {
		if _, err := f.register(t, name, nick); err != nil {
			t.Fatal(err)
		}
	}
	for prefix, want := range map[string][]string{
		"ann":    {"anna", "annabel", "bert"},
		"AN":     {"Andrew", "anna", "annabel", "bert"},
		"a_":     {"a_b"},
		"c%":     {"c%d"},
		`e\`:     {`e\f`},
		"%":      nil,
		"_":      nil,
		"nobody": nil,
		"GRÖ":    {"ülf"},
		"' OR 1": nil,
	} {
		for _, limit := range []int32{1, 2, 50} {
			var got []string
			after := ""
			for {
				r, err := f.SearchUsers(t.Context(), &repopb.SearchUsersRequest{Prefix: prefix, AfterUsername: after, Limit: limit})
				if err != nil {
					t.Fatal(err)
				}
				if len(r.GetUsers()) == 0 {
					break
				}
				for _, u := range r.GetUsers() {
					after = u.GetUsername()
					got = append(got, after)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%q, %d a page: %q, want %q", prefix, limit, got, want)
			}
		}
	}
}

func testInvitations(t *testing.T, f *accountFixture) {
	invite := func(code string, expires int64) {
		t.Helper()
		if _, err := f.CreateInvitation(t.Context(), &repopb.CreateInvitationRequest{CodeHash: []byte(code), ExpiresAt: expires}); err != nil {
			t.Fatal(err)
		}
	}
	use := func(name, code string) error {
		_, err := f.CreateUser(t.Context(), &repopb.CreateUserRequest{
			User: &repopb.User{Username: name, Status: repopb.UserStatus_USER_STATUS_ACTIVE}, InvitationHash: []byte(code),
		})
		return err
	}
	invite("good", f.later)
	invite("late", 1)
	wantCode(t, "unknown", use("a", "bad"), errs.Forbidden)
	wantCode(t, "expired", use("a", "late"), errs.Forbidden)
	if _, err := f.register(t, "taken", ""); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "for a name that is taken", use("taken", "good"), errs.Conflict)
	var used atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			switch err := use(fmt.Sprint("guest", i), "good"); errs.CodeOf(err) {
			case errs.OK:
				used.Add(1)
			case errs.Forbidden:
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if used.Load() != 1 {
		t.Errorf("one invitation made %d accounts", used.Load())
	}
}

func (f *accountFixture) session(t testing.TB, user int64, device, token string, most int32) *repopb.CreateSessionResponse {
	t.Helper()
	r, err := f.CreateSession(t.Context(), &repopb.CreateSessionRequest{
		Session:     &repopb.Session{Id: f.sessions.Add(1), UserId: user, DeviceId: device, Platform: "test", ExpiresAt: f.later},
		RefreshHash: []byte(token), MaxSessions: most,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (f *accountFixture) live(t testing.TB, user int64) (ids []int64) {
	t.Helper()
	r, err := f.ListSessions(t.Context(), &repopb.ListSessionsRequest{UserId: user})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range r.GetSessions() {
		ids = append(ids, s.GetId())
	}
	return sorted(ids...)
}

func (f *accountFixture) revoked(t testing.TB, session int64) bool {
	t.Helper()
	s, err := f.GetSession(t.Context(), &repopb.GetSessionRequest{Id: session})
	if err != nil {
		t.Fatal(err)
	}
	return s.GetRevokedAt() != 0
}

func testSessions(t *testing.T, f *accountFixture) {
	me, other := f.user(t), f.user(t)
	a := f.session(t, me, "phone", "t1", 0).GetSession().GetId()
	b := f.session(t, me, "", "t2", 0).GetSession().GetId()
	theirs := f.session(t, other, "phone", "t3", 0).GetSession().GetId()
	if f.revoked(t, a) || !slices.Equal(f.live(t, me), sorted(a, b)) {
		t.Errorf("live: %v", f.live(t, me))
	}
	again := f.session(t, me, "phone", "t4", 0)
	if len(again.GetReplaced()) != 1 || again.GetReplaced()[0].GetId() != a || !f.revoked(t, a) || f.revoked(t, theirs) {
		t.Errorf("the same device: %v", again)
	}
	c := again.GetSession().GetId()
	third := f.session(t, me, "", "t5", 2)
	if len(third.GetReplaced()) != 1 || third.GetReplaced()[0].GetId() != b {
		t.Errorf("one too many: %v", third)
	}
	d := third.GetSession().GetId()
	revoke := func(r *repopb.RevokeSessionsRequest) []int64 {
		t.Helper()
		got, err := f.RevokeSessions(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		return got.GetSessionIds()
	}
	if got := revoke(&repopb.RevokeSessionsRequest{UserId: me, SessionIds: []int64{theirs}}); len(got) != 0 || f.revoked(t, theirs) {
		t.Errorf("revoked another's: %v", got)
	}
	if got := revoke(&repopb.RevokeSessionsRequest{UserId: me, ExceptSessionId: d}); !slices.Equal(got, []int64{c}) || f.revoked(t, d) || !f.revoked(t, c) {
		t.Errorf("every other: %v", got)
	}
	for _, want := range [][]int64{{d}, nil} {
		if got := revoke(&repopb.RevokeSessionsRequest{UserId: me, SessionIds: []int64{d, a}}); !slices.Equal(got, want) {
			t.Errorf("one: %v, want %v", got, want)
		}
	}
	if len(f.live(t, me)) != 0 {
		t.Errorf("live: %v", f.live(t, me))
	}
	seen := f.later + 5
	for _, at := range []int64{seen, seen - 1000} {
		if _, err := f.TouchSessions(t.Context(), &repopb.TouchSessionsRequest{SessionIds: []int64{theirs, 77}, LastSeenAt: at}); err != nil {
			t.Fatal(err)
		}
		if s, err := f.GetSession(t.Context(), &repopb.GetSessionRequest{Id: theirs}); err != nil || s.GetLastSeenAt() != seen {
			t.Errorf("seen: %v %v", s, err)
		}
	}
	_, err := f.GetSession(t.Context(), &repopb.GetSessionRequest{Id: 77})
	wantCode(t, "no session", err, errs.NotFound)
}

func (f *accountFixture) rotate(t testing.TB, from, to string) (*repopb.RotateSessionResponse, error) {
	t.Helper()
	return f.RotateSession(t.Context(), &repopb.RotateSessionRequest{RefreshHash: []byte(from), NextRefreshHash: []byte(to), ExpiresAt: f.later + 1})
}

func testRotation(t *testing.T, f *accountFixture) {
	me := f.user(t)
	s := f.session(t, me, "", "one", 0).GetSession()
	_, err := f.rotate(t, "unknown", "x")
	wantCode(t, "unknown", err, errs.Unauthorized)
	got, err := f.rotate(t, "one", "two")
	if err != nil || got.GetReused() || got.GetSession().GetId() != s.GetId() || got.GetSession().GetExpiresAt() != f.later+1 {
		t.Fatalf("rotate: %v %v", got, err)
	}
	if got, err = f.rotate(t, "two", "three"); err != nil || got.GetReused() {
		t.Fatalf("rotate: %v %v", got, err)
	}
	if got, err = f.rotate(t, "one", "thief"); err != nil || !got.GetReused() || got.GetSession().GetId() != s.GetId() {
		t.Errorf("reuse: %v %v", got, err)
	}
	if !f.revoked(t, s.GetId()) {
		t.Error("reuse leaves the session alive")
	}
	for _, token := range []string{"one", "two", "three", "thief"} {
		_, err := f.rotate(t, token, "next of "+token)
		wantCode(t, token+" of a revoked session", err, errs.Unauthorized)
	}
	expired, err := f.CreateSession(t.Context(), &repopb.CreateSessionRequest{Session: &repopb.Session{UserId: me, ExpiresAt: 1}, RefreshHash: []byte("old")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.rotate(t, "old", "new")
	wantCode(t, "expired", err, errs.Unauthorized)
	_ = expired
}

// testRotationRaced uses one token many times at once: at most one gets the next, and the session dies.
func testRotationRaced(t *testing.T, f *accountFixture) {
	s := f.session(t, f.user(t), "", "token", 0).GetSession()
	var won, reused atomic.Int64
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			switch r, err := f.rotate(t, "token", fmt.Sprint("next", i)); {
			case err == nil && r.GetReused():
				reused.Add(1)
			case err == nil:
				won.Add(1)
			case errs.CodeOf(err) != errs.Unauthorized:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || reused.Load() != 1 || !f.revoked(t, s.GetId()) {
		t.Errorf("won %d, reuse seen %d times", won.Load(), reused.Load())
	}
}

func testPasswordChange(t *testing.T, f *accountFixture) {
	me := f.user(t)
	a := f.session(t, me, "", "a", 0).GetSession().GetId()
	b := f.session(t, me, "", "b", 0).GetSession().GetId()
	set := func(r *repopb.SetPasswordRequest) ([]int64, error) {
		t.Helper()
		r.UserId = me
		got, err := f.SetPassword(t.Context(), r)
		return got.GetSessionIds(), err
	}
	if got, err := set(&repopb.SetPasswordRequest{PasswordHash: "h1", KeepAllSessions: true}); err != nil || len(got) != 0 {
		t.Errorf("rehash: %v %v", got, err)
	}
	_, err := set(&repopb.SetPasswordRequest{PasswordHash: "h2", ExpectedHash: "another"})
	wantCode(t, "replaced meanwhile", err, errs.Conflict)
	got, err := set(&repopb.SetPasswordRequest{PasswordHash: "h2", KeepSessionId: a, ExpectedHash: "h1"})
	if err != nil || !slices.Equal(got, []int64{b}) || f.revoked(t, a) || !f.revoked(t, b) {
		t.Errorf("change: %v %v", got, err)
	}
	c, err := f.GetCredentials(t.Context(), &repopb.GetCredentialsRequest{UserId: me})
	if err != nil || c.GetPasswordHash() != "h2" {
		t.Errorf("stored: %v %v", c, err)
	}
	_, err = f.SetPassword(t.Context(), &repopb.SetPasswordRequest{UserId: 5, PasswordHash: "x"})
	wantCode(t, "of nobody", err, errs.NotFound)
}
