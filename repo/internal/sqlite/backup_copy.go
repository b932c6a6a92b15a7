package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// copyPrefix and digits name a copy that is being written. Whoever writes one holds a lock on it, which ends with the
// process: a copy without a lock was left by one that was killed.
const copyPrefix = ".gochat-backup-"

// createCopy makes an empty file with mode 0600 for a copy and locks it.
func createCopy(dir string) (*os.File, error) {
	for {
		f, err := os.CreateTemp(dir, copyPrefix+"*")
		if err != nil {
			return nil, err
		}
		locked := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) // a file system without locks has nothing removed either
		_, gone := os.Lstat(f.Name())
		if !errors.Is(locked, unix.EWOULDBLOCK) && !errors.Is(gone, fs.ErrNotExist) {
			return f, nil
		}
		f.Close() // another backup is removing it, taking it for one that was left
	}
}

// removeLeftCopies removes, as far as it can, what killed backups left in a folder.
func removeLeftCopies(dir string) {
	entries, _ := os.ReadDir(dir) // whether a file can be made there is found out by making one
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), copyPrefix)
		if !ok || strings.Trim(digits, "0123456789") != "" || !e.Type().IsRegular() {
			continue
		}
		f, err := os.OpenFile(filepath.Join(dir, e.Name()), os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if err != nil {
			continue
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			os.Remove(f.Name())
		}
		f.Close()
	}
}
