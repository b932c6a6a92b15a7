package postgres

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/testenv"
	"github.com/gochat-im/gochat/repo/internal/sqlstore"
	"github.com/gochat-im/gochat/repo/repopb"
)

// TestProcessesShareADatabase lets several processes write batches over the same conversations, in any order, with
// retries of each other's messages: every log is gapless, and every key is stored once.
func TestProcessesShareADatabase(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	processes := make([]*Store, 4)
	for i := range processes {
		processes[i] = openAt(t, testOptions(url))
	}
	ids := make([]int64, 5)
	for i := range ids {
		ids[i] = addPair(t, processes[0], int64(i+1))
	}
	const rounds, writers = 20, 3
	var wg sync.WaitGroup
	for p, s := range processes {
		for w := range writers {
			wg.Go(func() {
				for round := range rounds {
					r := &repopb.CreateMessagesRequest{}
					for i := range ids {
						c := (i*(w+1) + p) % len(ids) // another order each
						sender := 2 * int64(c+1)
						r.Messages = append(r.Messages,
							text(ids[c], sender, fmt.Sprint(p, "-", w, "-", round), "own"),
							text(ids[c], sender, fmt.Sprint("shared-", round), "everybody's"))
					}
					resp, err := s.CreateMessages(t.Context(), r)
					if err != nil {
						t.Errorf("send: %v", err)
						return
					}
					for i, result := range resp.GetResults() {
						if result.GetCode() != 0 || i%2 == 0 && result.GetDuplicate() {
							t.Errorf("result %d: %v", i, result)
						}
					}
				}
			})
		}
	}
	wg.Wait()
	for _, id := range ids {
		if got, want := len(checkLog(t, processes[0], id)), rounds*(len(processes)*writers+1); got != want {
			t.Errorf("conversation %d has %d messages, want %d", id, got, want)
		}
	}
}

// TestKeyThatAnotherTransactionUses stores a key in one conversation while it is being stored in another: the second
// waits, runs again and is refused, and the rest of its batch has no hole.
func TestKeyThatAnotherTransactionUses(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	first, second := addPair(t, s, 1), int64(0)
	created, err := s.CreateConversation(t.Context(), &repopb.CreateConversationRequest{UserId: 2, PeerId: addPairPeer(t, s)})
	if err != nil {
		t.Fatal(err)
	}
	second = created.GetConversation().GetConversation().GetId()
	inserted, finish := make(chan struct{}), make(chan struct{})
	held := make(chan error)
	go func() {
		held <- s.Write(t.Context(), func(tx *sqlstore.Tx) error {
			if _, err := tx.CreateMessages(&repopb.CreateMessagesRequest{Messages: []*repopb.NewMessage{
				text(first, 2, "key", "hi"), text(first, 2, "key", "hi"), // the second makes it store the first
			}}); err != nil {
				return err
			}
			close(inserted)
			<-finish
			return nil
		})
	}()
	<-inserted
	var waiting sync.WaitGroup
	var results []*repopb.CreateMessageResult
	waiting.Go(func() {
		results = send(t, s, text(second, 2, "a", "1"), text(second, 2, "key", "2"), text(second, 2, "b", "3"))
	})
	waitForLock(t, s.opt.URL)
	close(finish)
	if err := <-held; err != nil {
		t.Fatal(err)
	}
	waiting.Wait()
	if results[0].GetEvent().GetSeq() != 1 || errs.Code(results[1].GetCode()) != errs.Conflict || results[2].GetEvent().GetSeq() != 2 {
		t.Errorf("results: %v", results)
	}
}

// waitForLock returns when a transaction waits for another.
func waitForLock(t *testing.T, url string) {
	t.Helper()
	watch := connect(t, url)
	for blocked := 0; blocked == 0; {
		err := watch.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&blocked)
		if err != nil {
			t.Fatal(err)
		}
	}
}

func addPairPeer(t *testing.T, s *Store) int64 {
	addPair(t, s, 2)
	return 4
}

// TestOneBadRequestSpoilsNoOther lets a request that PostgreSQL refuses share a transaction with good ones.
func TestOneBadRequestSpoilsNoOther(t *testing.T) {
	t.Parallel()
	opt := testOptions(testenv.Postgres(t))
	opt.Writers = 1
	s := openAt(t, opt)
	id := addPair(t, s, 1)
	release := make(chan struct{})
	held, running := make(chan error), make(chan struct{})
	go func() { // holds the conversation, so that what follows gathers behind the first batch
		held <- s.Write(context.WithoutCancel(t.Context()), func(tx *sqlstore.Tx) error {
			_, err := tx.CreateMessages(&repopb.CreateMessagesRequest{Messages: []*repopb.NewMessage{text(id, 2, "x", "x")}})
			close(running)
			<-release
			return err
		})
	}()
	<-running
	errsOf := make([]error, 4)
	var wg sync.WaitGroup
	for i := range errsOf {
		content := "good"
		if i == 2 {
			content = "bad\x00"
		}
		wg.Go(func() {
			_, errsOf[i] = s.CreateMessages(t.Context(), &repopb.CreateMessagesRequest{Messages: []*repopb.NewMessage{text(id, 3, fmt.Sprint(i), content)}})
		})
		if i == 0 {
			waitForLock(t, s.opt.URL) // the others gather meanwhile
		}
	}
	for s.batches.queued() < len(errsOf)-1 {
		if t.Context().Err() != nil {
			t.Fatal(t.Context().Err())
		}
	}
	close(release)
	wg.Wait()
	if err := <-held; err != nil {
		t.Fatal(err)
	}
	for i, err := range errsOf {
		if want := i == 2; (errs.CodeOf(err) == errs.Invalid) != want || !want && err != nil {
			t.Errorf("request %d: %v", i, err)
		}
	}
	if last := send(t, s, text(id, 2, "last", "last"))[0].GetEvent().GetSeq(); last != 5 {
		t.Errorf("last seq %d, want 5", last)
	}
}
