package sqlite

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/internal/sqlstore"
	"github.com/gochat-im/gochat/repo/repopb"
)

// faulty makes the log's writes and syncs fail while it is armed: not at all, after half of what was to be written, or
// when everything is written and has to be synced.
type faulty struct {
	armed bool
	rng   *rand.Rand
	write rwFunc
	sync  flagsFunc
	hits  int
}

// breakLog puts faults below the log's layer, on the writer's own goroutine.
func breakLog(t *testing.T, s *Store) *faulty {
	t.Helper()
	f := &faulty{rng: rand.New(rand.NewPCG(3, 4))}
	err := s.Write(t.Context(), func(*sqlstore.Tx) error {
		c := s.w.c
		name, err := libc.CString("main")
		if err != nil {
			return err
		}
		defer libc.Xfree(c.tls, name)
		if rc := sqlite3.Xsqlite3_file_control(c.tls, c.db, name, sqlite3.SQLITE_FCNTL_JOURNAL_POINTER, c.out); rc != sqlite3.SQLITE_OK {
			return c.fail(rc)
		}
		w := walFileOf(c.pointer(0))
		base := *w.base
		write, sync := function[rwFunc](base.FxWrite), function[flagsFunc](base.FxSync)
		f.write = func(tls *libc.TLS, file, buf uintptr, n int32, offset int64) int32 {
			if !f.armed || f.rng.IntN(2) == 0 {
				return write(tls, file, buf, n, offset)
			}
			f.hits++
			if f.rng.IntN(2) == 0 {
				return sqlite3.SQLITE_IOERR_WRITE
			}
			if rc := write(tls, file, buf, n/2, offset); rc != sqlite3.SQLITE_OK {
				return rc
			}
			return sqlite3.SQLITE_FULL
		}
		f.sync = func(tls *libc.TLS, file uintptr, flags int32) int32 {
			if f.armed && f.rng.IntN(3) == 0 {
				f.hits++
				return sqlite3.SQLITE_IOERR_FSYNC
			}
			return sync(tls, file, flags)
		}
		base.FxWrite, base.FxSync = pointerTo(f.write), pointerTo(f.sync)
		w.base = &base
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// arm switches the faults on the writer's goroutine, between transactions.
func (f *faulty) arm(t *testing.T, s *Store, on bool) {
	t.Helper()
	err := s.Write(t.Context(), func(*sqlstore.Tx) error { // writes nothing, so meets no fault
		f.armed = on
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestFaultsOfTheLogLoseNothingAcknowledged stores batches of every size over a log whose writes and syncs fail now and
// then: what was acknowledged is in the files, and what was not can be sent again.
func TestFaultsOfTheLogLoseNothingAcknowledged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openAt(t, filepath.Join(dir, FileName))
	id := addPair(t, s, 1)
	f := breakLog(t, s)
	acknowledged, refused := map[int64]string{}, 0
	send := func(batch []*repopb.NewMessage) bool {
		resp, err := s.CreateMessages(t.Context(), &repopb.CreateMessagesRequest{Messages: batch})
		if err != nil {
			if errs.CodeOf(err) != errs.Unavailable {
				t.Fatalf("error: %v", err)
			}
			return false
		}
		for i, r := range resp.GetResults() {
			acknowledged[r.GetEvent().GetSeq()] = batch[i].GetClientMsgId()
		}
		return true
	}
	made := 0
	for round := range 60 {
		batch := make([]*repopb.NewMessage, []int{1, 3, 40, 300}[round%4]) // some are more than the layer's buffer
		for i := range batch {
			made++
			batch[i] = text(id, 2, fmt.Sprint(made), strings.Repeat("x", 1000))
		}
		f.arm(t, s, true)
		for tries := 0; !send(batch); tries++ {
			refused++
			if tries > 4 {
				f.arm(t, s, false)
			}
		}
		f.arm(t, s, false)
	}
	if refused < 10 || f.hits < 10 {
		t.Fatalf("%d faults, %d refusals: nothing was tested", f.hits, refused)
	}
	left := t.TempDir() // as a crash would leave it
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(filepath.Join(dir, FileName+suffix))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(left, FileName+suffix), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	after := openAt(t, filepath.Join(left, FileName))
	found := int64(0)
	err := after.Read(t.Context(), func(c sqlstore.Conn) error {
		return c.Query("SELECT seq, dedupe_key FROM messages WHERE conversation_id = ? ORDER BY seq", func(r sqlstore.Row) error {
			found++
			if r.Int64(0) != found || acknowledged[found] != r.Text(1) {
				t.Errorf("row %d: seq %d of %q, acknowledged was %q", found, r.Int64(0), r.Text(1), acknowledged[found])
			}
			return nil
		}, id)
	})
	if err != nil || found != int64(made) || len(acknowledged) != made {
		t.Errorf("%d rows, %d acknowledged, %d made, %v", found, len(acknowledged), made, err)
	}
	t.Logf("%d faults, %d refused batches, %d messages", f.hits, refused, made)
}
