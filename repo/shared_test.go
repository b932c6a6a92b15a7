package repo_test

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gochat-im/gochat/platform/cache"
	"github.com/gochat-im/gochat/platform/redis"
	"github.com/gochat-im/gochat/platform/testenv"
	"github.com/gochat-im/gochat/repo"
	"github.com/gochat-im/gochat/repo/repopb"
	"github.com/gochat-im/gochat/repo/repotest"
)

// shared is the second level of a process's caches; what has the same prefix is one deployment.
func shared(t testing.TB, address, prefix string) *cache.Shared {
	t.Helper()
	cfg := redis.DefaultConfig()
	cfg.Addresses, cfg.Prefix = []string{address}, prefix
	s, err := cache.OpenShared(t.Context(), cfg, cache.DefaultSharedConfig(), slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// The contract holds with caches in Redis as well.
func TestSharedCaches(t *testing.T) {
	t.Parallel()
	server := testenv.RedisServer(t)
	var opened atomic.Int64
	open := func(t testing.TB) repopb.RepoServiceServer {
		cfg := repo.DefaultConfig()
		cfg.DataDir = t.TempDir()
		cfg.Cache.Shared = shared(t, server.Address(), fmt.Sprint("test-", opened.Add(1)))
		return openFor(t, cfg)
	}
	for name, suite := range map[string]func(*testing.T, func(testing.TB) repopb.RepoServiceServer){
		"messages": repotest.Messages, "accounts": repotest.Accounts, "groups": repotest.Groups,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			suite(t, open)
		})
	}
}

// Two processes on one database: what one changes the other does not answer from its cache, with Redis and without.
func TestTwoProcessesShareCaches(t *testing.T) {
	t.Parallel()
	server := testenv.RedisServer(t)
	url := testenv.Postgres(t)
	var processes [2]*repo.Service
	for i := range processes {
		cfg := repo.DefaultConfig()
		cfg.Store, cfg.Postgres.URL = repo.StorePostgres, url
		cfg.Cache.Shared = shared(t, server.Address(), "test")
		processes[i] = openFor(t, cfg)
	}
	a, b := processes[0], processes[1]
	user, err := a.CreateUser(t.Context(), &repopb.CreateUserRequest{User: &repopb.User{Username: "alice", Nickname: "0"}, PasswordHash: "x"})
	if err != nil {
		t.Fatal(err)
	}
	id := user.GetId()
	nickname := func(s *repo.Service) string {
		u, err := s.GetUser(t.Context(), &repopb.GetUserRequest{Id: id})
		if err != nil {
			t.Fatal(err)
		}
		return u.GetNickname()
	}
	change := func(s *repo.Service, to string) {
		t.Helper()
		if _, err := s.UpdateUser(t.Context(), &repopb.UpdateUserRequest{Id: id, Nickname: &to}); err != nil {
			t.Fatal(err)
		}
		if got := nickname(s); got != to {
			t.Fatalf("the process that wrote %q reads %q", to, got)
		}
	}
	agree := func(s *repo.Service, on string) {
		t.Helper()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for start := time.Now(); nickname(s) != on; <-tick.C {
			if time.Since(start) > 10*time.Second {
				t.Fatalf("the other process reads %q, not %q", nickname(s), on)
			}
		}
	}
	for i := range 20 {
		writer, reader := processes[i%2], processes[1-i%2]
		change(writer, fmt.Sprint("n", i))
		agree(reader, fmt.Sprint("n", i))
	}
	session, err := a.CreateSession(t.Context(), &repopb.CreateSessionRequest{
		Session: &repopb.Session{UserId: id, DeviceId: "d", Platform: "web", ExpiresAt: time.Now().Add(time.Hour).UnixMilli()}, RefreshHash: []byte("h"),
	})
	if err != nil {
		t.Fatal(err)
	}
	get := &repopb.GetSessionRequest{Id: session.GetSession().GetId()}
	if _, err := b.GetSession(t.Context(), get); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	change(a, "without Redis") // and nobody is refused
	agree(b, "without Redis")
	if _, err := a.RevokeSessions(t.Context(), &repopb.RevokeSessionsRequest{UserId: id}); err != nil {
		t.Fatal(err)
	}
	server.Start() // with what it knew before
	for start := time.Now(); time.Since(start) < 2*time.Second; {
		if got, err := b.GetSession(t.Context(), get); err != nil || got.GetRevokedAt() == 0 {
			t.Fatalf("a session that was revoked while Redis was away: %v, %v", got, err)
		}
		if got := nickname(b); got != "without Redis" {
			t.Fatalf("a nickname from before: %q", got)
		}
	}
}
