package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

// Backup implements repo.Store: a consistent, compact copy of the database as
// of the call's start. It is written beside its final name, which appears only
// when the copy is durable. Writes go on meanwhile.
func (s *Store) Backup(ctx context.Context, r *repopb.BackupRequest) (*repopb.BackupResponse, error) {
	path := r.GetPath()
	if !filepath.IsAbs(path) {
		return nil, errs.InvalidField("path", "must be absolute")
	}
	if _, err := os.Lstat(path); err == nil {
		return nil, errs.New(errs.Conflict, "%s exists already", path)
	}
	removeLeftCopies(filepath.Dir(path))
	f, err := createCopy(filepath.Dir(path))
	if err != nil {
		return nil, errs.InvalidField("path", "no file can be made there: %v", errors.Unwrap(err))
	}
	defer os.Remove(f.Name())
	defer f.Close()
	err = s.copyInto(ctx, f.Name())
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, catalogued(fmt.Errorf("copy the database: %w", err))
	}
	if err := publishFile(f, path); err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("size of the backup: %w", err)
	}
	return &repopb.BackupResponse{Bytes: info.Size()}, nil
}

// copyInto writes the database into an empty file, on a connection of its own.
func (s *Store) copyInto(ctx context.Context, path string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	c, err := openConn(s.opt.Path, false)
	if err != nil {
		return err
	}
	defer c.close()
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		tls := libc.NewTLS()
		defer tls.Close()
		sqlite3.Xsqlite3_interrupt(tls, c.db)
	})
	_, err = c.Exec("VACUUM INTO ?", path)
	if !stop() {
		<-interrupted // it uses the connection
	}
	return err
}

// publishFile makes a written file durable under its name, which must be free.
func publishFile(f *os.File, path string) error {
	if err := f.Sync(); err != nil {
		return errs.Wrap(errs.Unavailable, err, "the file cannot be written")
	}
	// A link, unlike a rename, never replaces a file.
	err := os.Link(f.Name(), path)
	if errors.Is(err, fs.ErrExist) {
		return errs.New(errs.Conflict, "%s exists already", path)
	}
	if err != nil { // a file system without links
		if err := os.Rename(f.Name(), path); err != nil {
			return fmt.Errorf("name the file: %w", err)
		}
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open the folder: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("sync the folder: %w", err)
	}
	return nil
}
