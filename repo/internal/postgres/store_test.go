package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gochat-im/gochat/platform/testenv"
	"github.com/gochat-im/gochat/repo/repopb"
)

func testOptions(url string) Options {
	return Options{
		URL: url, MaxConns: 16, ConnectTimeout: 5 * time.Second, StatementTimeout: 10 * time.Second,
		Writers: 2, QueueSize: 1024, LargeGroupThreshold: 500,
	}
}

// openTest opens a fresh store that the test's end closes.
func openTest(t testing.TB) *Store {
	t.Helper()
	return openAt(t, testOptions(testenv.Postgres(t)))
}

func openAt(t testing.TB, opt Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), opt, slog.New(slog.DiscardHandler), nil)
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

// connect opens a connection of the test's own.
func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return c
}

// addPair creates the users 2n and 2n+1, makes their conversation and returns its id.
func addPair(t testing.TB, s *Store, n int64) int64 {
	t.Helper()
	for _, u := range []int64{2 * n, 2*n + 1} {
		_, err := s.CreateUser(t.Context(), &repopb.CreateUserRequest{User: &repopb.User{
			Id: u, Username: fmt.Sprint("user", u), Nickname: "n", Status: repopb.UserStatus_USER_STATUS_ACTIVE,
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	created, err := s.CreateConversation(t.Context(), &repopb.CreateConversationRequest{UserId: 2 * n, PeerId: 2*n + 1})
	if err != nil {
		t.Fatal(err)
	}
	return created.GetConversation().GetConversation().GetId()
}

func text(conversationID, sender int64, key, content string) *repopb.NewMessage {
	return &repopb.NewMessage{ConversationId: conversationID, SenderId: sender, ClientMsgId: key, Content: content, MessageType: "text"}
}

// send stores messages, which must succeed.
func send(t testing.TB, s *Store, messages ...*repopb.NewMessage) []*repopb.CreateMessageResult {
	t.Helper()
	resp, err := s.CreateMessages(t.Context(), &repopb.CreateMessagesRequest{Messages: messages})
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetResults()
}
