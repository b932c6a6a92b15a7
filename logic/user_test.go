package logic

import (
	"strconv"
	"strings"
	"testing"

	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

func TestProfileShowsTheEmailToOneselfOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	alice := r.store.addUser(1, "alice")
	for actor, want := range map[int64]string{1: "alice@example.org", 2: "", 0: ""} {
		u, err := r.GetUserProfile(t.Context(), &logicpb.GetUserProfileRequest{ActorId: actor, UserId: 1})
		must(t, u, err)
		if u.GetEmail() != want {
			t.Errorf("actor %d sees %q", actor, u.GetEmail())
		}
	}
	if alice.GetEmail() == "" {
		t.Fatal("the shared user was changed")
	}
	_, err := r.GetUserProfile(t.Context(), &logicpb.GetUserProfileRequest{ActorId: 1, UserId: 9})
	wantCode(t, err, errs.NotFound)
}

func TestSearchUsers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i := range int64(150) {
		r.store.addUser(i+1, "user"+strconv.FormatInt(i, 10))
	}
	for limit, want := range map[int32]int{0: 50, 10: 10, 1_000_000: 100} {
		found, err := r.SearchUsers(t.Context(), &logicpb.SearchUsersRequest{ActorId: 1, Query: "u", Limit: limit})
		must(t, found, err)
		if len(found.GetUsers()) != want || !found.GetHasMore() {
			t.Errorf("limit %d: %d users, more %v", limit, len(found.GetUsers()), found.GetHasMore())
		}
		for _, u := range found.GetUsers() {
			if u.GetEmail() != "" {
				t.Fatal("an e-mail in a search")
			}
		}
	}
	for _, bad := range []*logicpb.SearchUsersRequest{
		{Query: ""}, {Query: "  "}, {Query: strings.Repeat("a", 65)}, {Query: "a\x00"}, {Query: "\xff"}, {Query: "a", Limit: -1},
	} {
		_, err := r.SearchUsers(t.Context(), bad)
		wantCode(t, err, errs.Invalid)
	}
}

func TestUpdateProfile(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.store.addUser(1, "alice")
	u, err := r.UpdateUserProfile(t.Context(), &logicpb.UpdateUserProfileRequest{UserId: 1, Nickname: new("Al")})
	must(t, u, err)
	if u.GetNickname() != "Al" || u.GetStatus() != repopb.UserStatus_USER_STATUS_ACTIVE {
		t.Fatalf("user %v", u)
	}
	for _, bad := range []*logicpb.UpdateUserProfileRequest{
		{Nickname: new(strings.Repeat("n", 65))},
		{Nickname: new("a\u0007")},
		{Avatar: new(strings.Repeat("a", 513))},
		{Avatar: new("a\r\nb")},
		{Email: new("nobody")},
	} {
		bad.UserId = 1
		_, err := r.UpdateUserProfile(t.Context(), bad)
		wantCode(t, err, errs.Invalid)
	}
}
