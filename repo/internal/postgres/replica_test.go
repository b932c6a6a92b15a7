package postgres

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gochat-im/gochat/platform/testenv"
	"github.com/gochat-im/gochat/repo/repopb"
)

// TestReplicaNeverHidesWhatWasAcknowledged reads what was just sent, from a replica that follows, from one whose replay
// is paused, and when it is gone.
func TestReplicaNeverHidesWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	primary := testenv.PostgresServer(t)
	replica := primary.Replica()
	opt := testOptions(primary.URL())
	opt.ReplicaURL = replica.URL()
	s, err := Open(t.Context(), opt, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	id := addPair(t, s, 1)
	sent := 0
	sendAndRead := func(what string) {
		t.Helper()
		sent++
		send(t, s, text(id, 2, fmt.Sprint(sent), "hi"))
		page, err := s.Messages(t.Context(), &repopb.GetMessagesRequest{ConversationId: id, UserId: 3, Limit: 1})
		if err != nil || len(page.GetEvents()) != 1 || page.GetEvents()[0].GetSeq() != int64(sent) {
			t.Fatalf("%s: message %d: %v, %v", what, sent, page, err)
		}
		list, err := s.Conversations(t.Context(), &repopb.GetConversationsRequest{UserId: 3, Limit: 1})
		if err != nil || len(list.GetConversations()) != 1 || list.GetConversations()[0].GetUnread() != int64(sent) {
			t.Fatalf("%s: list after message %d: %v, %v", what, sent, list, err)
		}
	}
	reads := func() float64 { return testutil.ToFloat64(s.m.replicaReads) }
	for reads() < 20 { // those that it was too late for went to the primary
		sendAndRead("following")
	}
	on := connect(t, replica.URL())
	if _, err := on.Exec(t.Context(), "SELECT pg_wal_replay_pause()"); err != nil {
		t.Fatal(err)
	}
	for state := ""; state != "paused"; {
		if err := on.QueryRow(t.Context(), "SELECT pg_get_wal_replay_pause_state()").Scan(&state); err != nil {
			t.Fatal(err)
		}
	}
	before := reads()
	for range 20 {
		sendAndRead("paused")
	}
	if after := reads(); after != before {
		t.Errorf("%v reads of a replica that stands still", after-before)
	}
	if _, err := on.Exec(t.Context(), "SELECT pg_wal_replay_resume()"); err != nil {
		t.Fatal(err)
	}
	for before := reads(); reads() < before+5; {
		sendAndRead("resumed")
	}
	replica.Kill()
	for range 5 {
		s.replicaFrom.Store(0) // do not leave it alone, try each time
		sendAndRead("gone")
	}
	replica.Start()
	for before := reads(); reads() < before+5; {
		sendAndRead("back")
	}
}

func TestReplicasAddressIsToldFromTheDatabases(t *testing.T) {
	t.Parallel()
	opt := testOptions(testenv.Postgres(t))
	opt.ReplicaURL = "postgres://gochat:hunter2@host:port/gochat"
	_, err := Open(t.Context(), opt, slog.New(slog.DiscardHandler), nil)
	if _, ok := errors.AsType[*ReplicaError](err); !ok || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error: %v", err)
	}
}
