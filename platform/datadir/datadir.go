// Package datadir is the folder where a process keeps its data. It belongs to
// one process at a time.
package datadir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrInUse is Open's answer when another process holds the folder.
var ErrInUse = errors.New("in use by another process")

// Dir is a folder that this process holds until Close or its own end, however that comes.
type Dir struct {
	path string
	lock *os.File
}

// Open creates the folder (mode 0700) if it is missing, makes sure that it can be written and takes it for this
// process. Errors name the setting data_dir; ErrInUse names the holder.
func Open(path string) (*Dir, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("data_dir: %w", err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, fmt.Errorf("data_dir: create %s: %w", path, reason(err))
	}
	lock, err := os.OpenFile(filepath.Join(abs, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data_dir: %s cannot be written: %w", path, reason(err))
	}
	// The kernel drops the lock with the process, so a kill leaves nothing to clean up.
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("data_dir: %s is %w%s", path, ErrInUse, holder(lock))
		}
		return nil, fmt.Errorf("data_dir: lock %s: %w", path, err)
	}
	if err := lock.Truncate(0); err == nil {
		_, err = lock.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
		if err != nil {
			lock.Close()
			return nil, fmt.Errorf("data_dir: %s cannot be written: %w", path, reason(err))
		}
	}
	return &Dir{path: abs, lock: lock}, nil
}

// Close gives the folder back.
func (d *Dir) Close() error { return d.lock.Close() }

// Path is the absolute path of the folder.
func (d *Dir) Path() string { return d.path }

// Keys is the folder of the signing keys.
func (d *Dir) Keys() string { return filepath.Join(d.path, "keys") }

// AdminSocket is the socket of the operator's commands.
func (d *Dir) AdminSocket() string { return AdminSocketOf(d.path) }

// AdminSocketOf is the admin socket of a folder that another process holds.
func AdminSocketOf(path string) string { return filepath.Join(path, "admin.sock") }

// holder reads who wrote the lock file.
func holder(lock *os.File) string {
	b := make([]byte, 20)
	n, _ := lock.ReadAt(b, 0)
	if pid := strings.TrimSpace(string(b[:n])); pid != "" {
		return " (pid " + pid + ")"
	}
	return ""
}

// reason is the bare cause of a file error: the path is told already.
func reason(err error) error {
	if pathErr, ok := errors.AsType[*os.PathError](err); ok {
		return pathErr.Err
	}
	return err
}
