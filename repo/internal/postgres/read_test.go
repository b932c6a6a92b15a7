package postgres

import (
	"testing"

	"github.com/gochat-im/gochat/platform/testenv"
	"github.com/gochat-im/gochat/repo/internal/sqlstore"
	"github.com/gochat-im/gochat/repo/repopb"
)

// TestCursorWaitsForTransactionsUnderWay makes a sync cursor while a transaction of another process has its time and is
// not committed: what it commits later must be found after the cursor.
func TestCursorWaitsForTransactionsUnderWay(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	s, other := openAt(t, testOptions(url)), openAt(t, testOptions(url))
	id := addPair(t, s, 1)
	send(t, s, text(id, 2, "before", "hi"))
	cursor := func(since int64) *repopb.GetChangesResponse {
		t.Helper()
		r, err := s.Changes(t.Context(), &repopb.GetChangesRequest{UserId: 3, Since: since, MaxEvents: 10, MaxPerConversation: 10})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	at := cursor(0).GetCursor()
	if missed := cursor(at).GetEvents(); len(missed) != 0 {
		t.Fatalf("nothing is under way, and the cursor misses %v", missed)
	}

	running, finish := make(chan int64), make(chan struct{})
	finished := make(chan error)
	go func() {
		finished <- other.Write(t.Context(), func(tx *sqlstore.Tx) error {
			running <- tx.Now()
			<-finish
			_, err := tx.CreateMessages(&repopb.CreateMessagesRequest{Messages: []*repopb.NewMessage{text(id, 2, "during", "hi")}})
			return err
		})
	}()
	began := <-running
	at = cursor(0).GetCursor()
	if at >= began {
		t.Errorf("cursor %d is not before the transaction under way, %d", at, began)
	}
	close(finish)
	if err := <-finished; err != nil {
		t.Fatal(err)
	}
	if missed := cursor(at).GetEvents(); len(missed) == 0 || missed[len(missed)-1].GetSeq() != 2 {
		t.Errorf("events after the cursor: %v", missed)
	}
	if after := cursor(0).GetCursor(); after < began {
		t.Errorf("cursor %d after the transaction of %d", after, began)
	}
}

// TestTimesNeverGoBackInAConversation writes with a process whose clock was an hour ahead, then with another.
func TestTimesNeverGoBackInAConversation(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	s, other := openAt(t, testOptions(url)), openAt(t, testOptions(url))
	id := addPair(t, s, 1)
	s.clock.last += 3600_000
	ahead := send(t, s, text(id, 2, "a", "hi"))[0].GetEvent()
	after := send(t, other, text(id, 3, "b", "hi"))[0].GetEvent()
	if after.GetSeq() != 2 || after.GetCreatedAt() < ahead.GetCreatedAt() {
		t.Errorf("%v comes after %v", after, ahead)
	}
	edit, err := other.EditMessage(t.Context(), &repopb.EditMessageRequest{ConversationId: id, Seq: 2, ActorId: 3, Content: "ho"})
	if err != nil || edit.GetCreatedAt() < ahead.GetCreatedAt() {
		t.Errorf("edit %v, %v", edit, err)
	}
}
