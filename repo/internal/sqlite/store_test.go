package sqlite

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gochat-im/gochat/repo/repopb"
)

// openTest opens a fresh store that the test's end closes.
func openTest(t testing.TB) *Store {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), FileName))
}

func openAt(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Options{
		Path: path, Readers: 4, QueueSize: 1024, WriterCache: 64 << 20, ReaderCache: 8 << 20,
		MaxCachedHeads: 200_000, MaxCachedLists: 500_000, LargeGroupThreshold: 500,
	}, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// addUser creates a user with that id.
func addUser(t testing.TB, s *Store, id int64, name string) {
	t.Helper()
	_, err := s.CreateUser(t.Context(), &repopb.CreateUserRequest{User: &repopb.User{
		Id: id, Username: name, Nickname: name, Status: repopb.UserStatus_USER_STATUS_ACTIVE,
	}})
	if err != nil {
		t.Fatal(err)
	}
}

// addPair creates the users 2n and 2n+1, makes their conversation and returns its id.
func addPair(t testing.TB, s *Store, n int64) int64 {
	t.Helper()
	low, high := 2*n, 2*n+1
	for _, u := range []int64{low, high} {
		addUser(t, s, u, "user"+string(rune('a'+u%26))+"-"+itoa(u))
	}
	created, err := s.CreateConversation(t.Context(), &repopb.CreateConversationRequest{UserId: low, PeerId: high})
	if err != nil {
		t.Fatal(err)
	}
	return created.GetConversation().GetConversation().GetId()
}

func text(conversationID, sender int64, key, content string) *repopb.NewMessage {
	return &repopb.NewMessage{ConversationId: conversationID, SenderId: sender, ClientMsgId: key, Content: content, MessageType: "text"}
}

func TestOpenRefusesANewerSchema(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), FileName)
	if err := Migrate(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	c, err := openConn(path, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)"); err != nil {
		t.Fatal(err)
	}
	c.close()
	s, err := Open(t.Context(), Options{Path: path, Readers: 1, QueueSize: 1}, slog.New(slog.DiscardHandler), nil)
	if err == nil || !strings.Contains(err.Error(), "newer version") || !strings.Contains(err.Error(), path) {
		t.Errorf("a newer schema: %v, %v", s, err)
	}
}
