package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
)

// A backup taken while messages are being sent, restored into a new folder, is a consistent prefix of the log.
func testBackupAndRestore(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a, b := register(t, s, "alice"), register(t, s, "bob")
	chat := single(t, a, b)
	for i := range 50 {
		a.say(t, chat, fmt.Sprint("before ", i))
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
				a.say(t, chat, fmt.Sprint("during ", i))
			}
		}
	})
	file := filepath.Join(t.TempDir(), "backup.db")
	if _, stderr, code := s.admin(t, "", "backup", file); code != 0 {
		t.Fatal(stderr)
	}
	close(done)
	wg.Wait()
	if _, stderr, code := s.admin(t, "", "backup", file); code != 1 || stderr == "" {
		t.Errorf("a backup over an existing file: exit %d, %q", code, stderr)
	}
	original := all(t, b, chat)

	if _, stderr, code := s.admin(t, "", "restore", file); code == 0 || stderr == "" {
		t.Errorf("restored under a running server: %q", stderr)
	}
	used := deploy(t)
	used.stop()
	if _, stderr, code := used.admin(t, "", "restore", file); code == 0 || stderr == "" {
		t.Errorf("restored over an existing database: %q", stderr)
	}
	dir := filepath.Join(t.TempDir(), "data")
	if _, stderr, code := gochat(t, "", nil, "admin", "--data-dir", dir, "restore", filepath.Join(s.dir, "lock")); code != 1 || stderr == "" {
		t.Errorf("restored something that is no backup: exit %d, %q", code, stderr)
	}
	if _, stderr, code := gochat(t, "", nil, "admin", "--data-dir", dir, "restore", file); code != 0 {
		t.Fatal(stderr)
	}
	restored := deployIn(t, dir)
	again := &account{s: restored, name: "bob"}
	again.login(t)
	copied := all(t, again, chat)
	if len(copied) < 50 || len(copied) > len(original) {
		t.Fatalf("the copy has %d messages; the original had 50 before and %d after", len(copied), len(original))
	}
	for i := range copied {
		if mustJSON(t, copied[i]) != mustJSON(t, original[i]) {
			t.Errorf("message %d is %v, was %v", i, copied[i], original[i])
		}
	}
	again.must(t, http.MethodPost, "/api/v1/messages/send", http.StatusOK, map[string]any{"conversation_id": chat, "content": "goes on", "message_type": "text"})
}

func all(t testing.TB, a *account, chat string) []any {
	t.Helper()
	var list []any
	for {
		page := history(t, a, fmt.Sprintf("conversation_id=%s&limit=100&after_seq=%d", chat, len(list)))
		if len(page) == 0 {
			return list
		}
		list = append(list, page...)
	}
}
