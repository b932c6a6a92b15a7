package sqlite

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gochat-im/gochat/repo/internal/sqlstore"
	"github.com/gochat-im/gochat/repo/repopb"
)

// TestAcknowledgedIsInTheFiles copies the files of an open store, as a crash would leave them, after commits of less and
// of more than the buffer of the log, and opens the copy.
func TestAcknowledgedIsInTheFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openAt(t, filepath.Join(dir, FileName))
	id := addPair(t, s, 1)
	sent := 0
	for i, batch := range []int{1, 100, 1, 700, 3} {
		r := &repopb.CreateMessagesRequest{}
		for range batch {
			sent++
			r.Messages = append(r.Messages, text(id, 2, fmt.Sprint(sent), strings.Repeat("x", 1000)))
		}
		if _, err := s.CreateMessages(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		left := filepath.Join(t.TempDir(), fmt.Sprint(i))
		if err := os.Mkdir(left, 0o700); err != nil {
			t.Fatal(err)
		}
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
		var found int64
		err := after.Read(t.Context(), func(c sqlstore.Conn) (err error) {
			found, _, err = c.QueryInt("SELECT count(*) FROM messages WHERE conversation_id = ? AND kind = 1", id)
			return err
		})
		if err != nil || found != int64(sent) {
			t.Errorf("after commit %d: %d messages of %d, %v", i, found, sent, err)
		}
	}
}
