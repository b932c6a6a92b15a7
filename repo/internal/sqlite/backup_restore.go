package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"

	migrations "github.com/gochat-im/gochat/migrations/sqlite"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/internal/sqlstore"
)

// header is how every SQLite database begins.
var header = []byte("SQLite format 3\x00")

// Restore puts a backup into a data directory that holds no database yet. The
// caller holds the directory's lock. The copy is checked before it gets its
// name: Invalid for what is no sound backup of this version or an older one,
// Conflict when there is a database already.
func Restore(ctx context.Context, backupFile, dataDir string) error {
	dest := filepath.Join(dataDir, FileName)
	for _, name := range []string{dest, dest + "-wal"} {
		if _, err := os.Lstat(name); err == nil {
			return errs.New(errs.Conflict, "%s exists: move it away first", name)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("look for a database: %w", err)
		}
	}
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	name := filepath.Join(dataDir, ".gochat-restore")
	remove := func() {
		for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
			os.Remove(name + suffix) // most of them are not there
		}
	}
	remove() // what one that was killed left
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("make a file in the data folder: %w", err)
	}
	defer remove()
	defer f.Close()
	if err := copyBackup(ctx, f, backupFile); err != nil {
		return err
	}
	if err := checkBackup(ctx, f.Name()); err != nil {
		return errs.Wrap(errs.Invalid, err, "%s is no sound backup of GoChat", backupFile)
	}
	return publishFile(f, dest)
}

func copyBackup(ctx context.Context, to *os.File, backupFile string) error {
	from, err := os.Open(backupFile)
	if err != nil {
		return errs.Wrap(errs.Invalid, err, "the backup cannot be read")
	}
	defer from.Close()
	begin := make([]byte, len(header))
	if _, err := io.ReadFull(from, begin); err != nil || !bytes.Equal(begin, header) {
		return errs.New(errs.Invalid, "%s is no backup of GoChat", backupFile)
	}
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read the backup: %w", err)
	}
	if _, err := io.Copy(to, withContext{ctx, from}); err != nil {
		return fmt.Errorf("copy the backup: %w", err)
	}
	return nil
}

// withContext reads until the context ends.
type withContext struct {
	ctx context.Context //nolint:containedctx // io.Copy hands on none
	r   io.Reader
}

func (r withContext) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// checkBackup looks at the whole file and at the version of its schema.
func checkBackup(ctx context.Context, path string) error {
	c, err := openConn(path, false)
	if err != nil {
		return err
	}
	defer c.close()
	verdict := ""
	err = c.Query("PRAGMA integrity_check(1)", func(r sqlstore.Row) error {
		verdict = r.Text(0)
		return nil
	})
	if err != nil {
		return fmt.Errorf("check the integrity: %w", err)
	}
	if verdict != "ok" {
		return fmt.Errorf("check the integrity: %s", verdict)
	}
	version, _, err := c.QueryInt("SELECT MAX(version_id) FROM goose_db_version WHERE is_applied")
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	if _, _, err := c.QueryInt("SELECT now FROM clock WHERE id = 1"); err != nil {
		return fmt.Errorf("read the store's clock: %w", err)
	}
	newest, err := newestVersion()
	if err != nil {
		return err
	}
	if version < 1 || version > newest {
		return fmt.Errorf("its schema has version %d, this program knows 1 to %d", version, newest)
	}
	return ctx.Err()
}

// newestVersion is that of the last migration in the binary.
func newestVersion() (int64, error) {
	newest := int64(0)
	files, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil {
		return 0, err
	}
	for _, name := range files {
		v, err := goose.NumericComponent(name)
		if err != nil {
			return 0, fmt.Errorf("read the migrations: %w", err)
		}
		newest = max(newest, v)
	}
	return newest, nil
}
