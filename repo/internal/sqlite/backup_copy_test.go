package sqlite

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gochat-im/gochat/repo/repopb"
)

// A backup removes the copy that a killed one left, which nobody has a lock on, and no other file.
func TestBackupRemovesWhatAKilledOneLeft(t *testing.T) {
	t.Parallel()
	s, dir := openTest(t), t.TempDir()
	for _, name := range []string{copyPrefix + "123", copyPrefix + "12x", copyPrefix + "12-journal", "123"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	underWay, err := createCopy(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer underWay.Close()
	if _, err := s.Backup(t.Context(), &repopb.BackupRequest{Path: filepath.Join(dir, "backup.db")}); err != nil {
		t.Fatal(err)
	}
	want := []string{copyPrefix + "12x", copyPrefix + "12-journal", "123", "backup.db", filepath.Base(underWay.Name())}
	if got := names(t, dir); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		t.Errorf("files %q, want %q", got, want)
	}
	name := underWay.Name()
	underWay.Close() // as the end of its process does
	if _, err := s.Backup(t.Context(), &repopb.BackupRequest{Path: filepath.Join(dir, "again.db")}); err != nil {
		t.Fatal(err)
	}
	if slices.Contains(names(t, dir), filepath.Base(name)) {
		t.Error("a copy whose lock ended is still there")
	}
}

// names are those of a folder's files, sorted.
func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	slices.Sort(all)
	return all
}
