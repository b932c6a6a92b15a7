package token

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
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

// A key that is added verifies in processes that have not started since, and signs in those that have.
func TestKeysAreRotatedOneProcessAfterTheOther(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys")
	before, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	claims := Claims{UserID: 1, SessionID: 2, IssuedAt: now, ExpiresAt: now.Add(time.Minute)}
	sign := func(k *Keys) string {
		signed, err := k.Sign(claims)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	old := sign(before)
	stranger, err := Load(filepath.Join(t.TempDir(), "other"))
	if err != nil {
		t.Fatal(err)
	}
	foreign := sign(stranger)
	if _, err := before.Verify(foreign, now); !errors.Is(err, ErrInvalid) {
		t.Errorf("a token of an unknown key: %v", err)
	}

	added := filepath.Join(dir, "signing-0002.pem")
	if err := os.WriteFile(added, []byte("half a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := before.Verify(foreign, now); !errors.Is(err, ErrInvalid) {
		t.Errorf("while the key is being copied: %v", err)
	}
	raw, err := os.ReadFile(filepath.Join(stranger.dir, "signing-0001.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(added, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	after, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if after.signKID != stranger.signKID || after.Oldest() != before.Oldest() {
		t.Errorf("after its restart a process signs with %s, its oldest is %s", after.signKID, after.Oldest())
	}
	for name, k := range map[string]*Keys{"not restarted": before, "restarted": after} {
		for kind, signed := range map[string]string{"old": old, "new": sign(after)} {
			if c, err := k.Verify(signed, now); err != nil || c.UserID != 1 {
				t.Errorf("a process that was %s and the %s key: %v, %v", name, kind, c, err)
			}
		}
		if document := string(k.JWKS()); !strings.Contains(document, before.signKID) || !strings.Contains(document, after.signKID) {
			t.Errorf("the key set of a process that was %s: %s", name, document)
		}
	}
	if now := sign(before); !strings.HasPrefix(now, strings.Split(old, ".")[0]) {
		t.Error("a process that was not restarted signs with the new key")
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
