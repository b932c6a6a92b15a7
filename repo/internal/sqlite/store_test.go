package sqlite

import (
	"context"
	"log/slog"
	"path/filepath"
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
	return addSingle(t, s, 1<<40+n, low, high)
}

// addSingle stores a one-to-one conversation of two users, the lower first.
func addSingle(t testing.TB, s *Store, id, low, high int64) int64 {
	t.Helper()
	err := s.write(context.Background(), func(t *tx) error { return insertSingle(t, id, low, high) })
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func insertSingle(t *tx, id, low, high int64) error {
	c := &conversation{id: id, kind: repopb.ConversationType_CONVERSATION_TYPE_SINGLE, createdAt: t.now}
	c.side[0].userID, c.side[1].userID = low, high
	if err := t.insertConversation(c); err != nil {
		return err
	}
	if err := t.append(c, &repopb.Event{Kind: repopb.EventKind_EVENT_KIND_CREATED, UserId: low}); err != nil {
		return err
	}
	for _, u := range []int64{low, high} {
		if err := t.join(c, u, repopb.Role_ROLE_MEMBER); err != nil {
			return err
		}
	}
	return nil
}

func text(conversationID, sender int64, key, content string) *repopb.NewMessage {
	return &repopb.NewMessage{ConversationId: conversationID, SenderId: sender, ClientMsgId: key, Content: content, MessageType: "text"}
}
