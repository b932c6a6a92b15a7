package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/internal/sqlstore"
	"github.com/gochat-im/gochat/repo/repopb"
)

func itoa(v int64) string { return strconv.FormatInt(v, 10) }

// hold keeps the writer busy until release, so that what follows shares one transaction.
func hold(t *testing.T, s *Store) (release func()) {
	t.Helper()
	running, done := make(chan struct{}), make(chan struct{})
	finished := make(chan error, 1)
	go func() {
		finished <- s.Write(context.Background(), func(*sqlstore.Tx) error {
			close(running)
			<-done
			return nil
		})
	}()
	<-running
	return func() {
		close(done)
		if err := <-finished; err != nil {
			t.Error(err)
		}
	}
}

func addInvitation(code string) func(t *sqlstore.Tx) error {
	return func(t *sqlstore.Tx) error {
		_, err := t.Exec("INSERT INTO invitations (code_hash, created_by, created_at, expires_at) VALUES (?, 1, 0, 0)", []byte(code))
		return err
	}
}

func invitations(t *testing.T, s *Store) (n int64) {
	t.Helper()
	err := s.Read(t.Context(), func(c sqlstore.Conn) (err error) {
		n, _, err = c.QueryInt("SELECT count(*) FROM invitations")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestFailureAfterAWriteUndoesOnlyItself(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	release := hold(t, s)
	oops := errors.New("oops")
	fns := []func(*sqlstore.Tx) error{
		addInvitation("a"),
		func(t *sqlstore.Tx) error { // fails before it writes
			return oops
		},
		func(t *sqlstore.Tx) error { // fails afterwards
			if err := addInvitation("b")(t); err != nil {
				return err
			}
			return oops
		},
		func(t *sqlstore.Tx) error {
			if err := addInvitation("c")(t); err != nil {
				return err
			}
			panic("boom")
		},
		addInvitation("a"), // exists already when it runs
		addInvitation("d"),
	}
	errsOf := make([]error, len(fns))
	var wg sync.WaitGroup
	for i, fn := range fns {
		wg.Go(func() { errsOf[i] = s.Write(context.Background(), fn) })
		for len(s.w.queue) <= i { // keep the order
			if t.Context().Err() != nil {
				t.Fatal(t.Context().Err())
			}
		}
	}
	release()
	wg.Wait()
	if errsOf[0] != nil || errsOf[5] != nil {
		t.Errorf("innocent writes: %v, %v", errsOf[0], errsOf[5])
	}
	if !errors.Is(errsOf[1], oops) || !errors.Is(errsOf[2], oops) {
		t.Errorf("failing writes: %v, %v", errsOf[1], errsOf[2])
	}
	if errsOf[3] == nil || !strings.Contains(errsOf[3].Error(), "boom") {
		t.Errorf("panic: %v", errsOf[3])
	}
	if errsOf[4] == nil || errs.CodeOf(errsOf[4]) == errs.Unavailable {
		t.Errorf("constraint: %v", errsOf[4])
	}
	if n := invitations(t, s); n != 2 {
		t.Errorf("rows: %d, want a and d", n)
	}
}

func TestWriteCanceledBeforeItRunsDoesNothing(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	release := hold(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error, 1)
	go func() { got <- s.Write(ctx, addInvitation("a")) }()
	for len(s.w.queue) == 0 {
		if t.Context().Err() != nil {
			t.Fatal(t.Context().Err())
		}
	}
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) {
		t.Errorf("error: %v", err)
	}
	release()
	if n := invitations(t, s); n != 0 {
		t.Errorf("rows: %d", n)
	}
}

func TestWriteAfterCloseIsUnavailable(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Write(t.Context(), addInvitation("a")); errs.CodeOf(err) != errs.Unavailable {
		t.Errorf("error: %v", err)
	}
}

func TestFullDiskIsUnavailableUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	id := addPair(t, s, 1)
	limit := func(pages int64) {
		t.Helper()
		err := s.Write(t.Context(), func(t *sqlstore.Tx) error {
			_, err := t.Exec("PRAGMA max_page_count=" + itoa(pages))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	send := func(key string) (*repopb.CreateMessagesResponse, error) {
		return s.CreateMessages(t.Context(), &repopb.CreateMessagesRequest{Messages: []*repopb.NewMessage{
			text(id, 2, key+"-1", strings.Repeat("x", 10_000)), text(id, 3, key+"-2", strings.Repeat("y", 10_000)),
		}})
	}
	limit(1) // SQLite keeps what there is
	var failed int
	for i := range 20 {
		if _, err := send(fmt.Sprint("full", i)); err != nil {
			if errs.CodeOf(err) != errs.Unavailable {
				t.Fatalf("error: %v", err)
			}
			failed++
		}
	}
	if failed == 0 {
		t.Fatal("the disk never was full")
	}
	limit(1 << 30)
	for i := range 20 { // whatever had failed succeeds now, and the log has no hole
		if _, err := send(fmt.Sprint("full", i)); err != nil {
			t.Fatal(err)
		}
	}
	var n, last int64
	err := s.Read(t.Context(), func(c sqlstore.Conn) (err error) {
		if n, _, err = c.QueryInt("SELECT count(*) FROM messages WHERE conversation_id = ?", id); err != nil {
			return err
		}
		last, _, err = c.QueryInt("SELECT max(seq) FROM messages WHERE conversation_id = ?", id)
		return err
	})
	if err != nil || n != 40 || last != 40 {
		t.Errorf("rows %d, last seq %d, %v", n, last, err)
	}
}

func TestSeqsAreGaplessUnderConcurrentWriters(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	id := addPair(t, s, 1)
	const writers, each = 64, 20
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				resp, err := s.CreateMessages(context.Background(), &repopb.CreateMessagesRequest{Messages: []*repopb.NewMessage{
					text(id, 2+int64(w%2), fmt.Sprint(w, "-", i), "hello"),
					text(id, 99, fmt.Sprint(w, "-", i), "a stranger's"),
				}})
				if err != nil || resp.GetResults()[0].GetCode() != 0 || errs.Code(resp.GetResults()[1].GetCode()) != errs.NotFound {
					t.Errorf("send: %v %v", resp, err)
					return
				}
			}
		})
	}
	wg.Wait()
	want := int64(1)
	err := s.Read(t.Context(), func(c sqlstore.Conn) error {
		return c.Query("SELECT seq, count_no FROM messages WHERE conversation_id = ? ORDER BY seq", func(r sqlstore.Row) error {
			if r.Int64(0) != want || r.Int64(1) != want {
				t.Errorf("row %d: seq %d, count %d", want, r.Int64(0), r.Int64(1))
			}
			want++
			return nil
		}, id)
	})
	if err != nil || want != writers*each+1 {
		t.Errorf("rows %d, %v", want-1, err)
	}
}
