package token

import (
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// Processes that share a folder may all start at once on an empty one.
func TestKeysOfASharedFolderAreTheSame(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys")
	var wg sync.WaitGroup
	kids := make([]string, 16)
	for i := range kids {
		wg.Go(func() {
			k, err := Load(dir)
			if err != nil {
				t.Error(err)
				return
			}
			kids[i] = k.signKID
		})
	}
	wg.Wait()
	for _, kid := range kids {
		if kid == "" || kid != kids[0] {
			t.Errorf("signing keys differ: %q", kids)
			break
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("the folder holds %v, %v; want the one key", left, err)
	}
}

// ownedBy is a file's info with another owner.
type ownedBy struct {
	fs.FileInfo
	uid uint32
}

func (o ownedBy) Sys() any { return &syscall.Stat_t{Uid: o.uid} }

func TestKeyModes(t *testing.T) {
	t.Parallel()
	me := uint32(os.Getuid()) //nolint:gosec // a user id
	if mode := privateTo(ownedBy{uid: me}); mode != 0o600 {
		t.Errorf("one's own key may have mode %04o", mode)
	}
	if mode := privateTo(ownedBy{uid: me + 1}); mode != 0o640 {
		t.Errorf("a mounted key may have mode %04o", mode)
	}
}
