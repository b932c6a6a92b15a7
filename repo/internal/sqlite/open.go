// Package sqlite is the SQLite engine of the store: one file, one connection
// that writes, and a pool that reads.
//
// The writer runs whatever has queued in one transaction and answers after its
// commit, so the cost of a durable commit is shared by all who wait for it. As
// the only writer it also keeps what is hot in memory, exact: it publishes
// each commit's changes before it answers.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/prometheus/client_golang/prometheus"
	driver "modernc.org/sqlite" // also the driver that migrations run on
	sqlite3 "modernc.org/sqlite/lib"

	migrations "github.com/gochat-im/gochat/migrations/sqlite"
	"github.com/gochat-im/gochat/repo/internal/sqlstore"
)

// FileName is the database's file in the data directory.
const FileName = "gochat.db"

// Options are what the store needs to know.
type Options struct {
	Path                string // of the database file
	Readers             int
	QueueSize           int   // writes that wait; more wait outside, as long as their context allows
	WriterCache         int64 // bytes of pages that the writer keeps
	ReaderCache         int64 // and each reader
	MaxCachedHeads      int   // conversations whose state stays in memory
	MaxCachedLists      int   // memberships in cached conversation lists
	LargeGroupThreshold int
}

// Store is the open database. Its methods answer with errors of platform/errs,
// a full disk and the like with Unavailable.
type Store struct {
	sqlstore.Store

	opt   Options
	log   *slog.Logger
	clock clock
	state *state

	w       *writer
	readers chan *conn
	ckpt    *checkpointer
	closing sync.Once
}

// Open opens the database, migrating it first.
func Open(ctx context.Context, opt Options, log *slog.Logger, reg prometheus.Registerer) (*Store, error) {
	if err := Migrate(ctx, opt.Path); err != nil {
		return nil, err
	}
	s := &Store{opt: opt, log: log, state: newState(opt.MaxCachedHeads, opt.MaxCachedLists)}
	s.Store = sqlstore.New(s)
	_, _ = driver.Fdatasync(true) // as durable as fsync, without the file's times; an error says that there is only fsync
	wc, err := openWriter(opt.Path)
	if err != nil {
		return nil, catalogued(err)
	}
	err = configure(wc, opt.WriterCache,
		"PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA wal_autocheckpoint=0",
		"PRAGMA journal_size_limit=134217728", "PRAGMA secure_delete=FAST")
	if err != nil {
		wc.close()
		return nil, catalogued(fmt.Errorf("configure the writing connection: %w", err))
	}
	now, _, err := wc.QueryInt("SELECT now FROM clock WHERE id = 1")
	if err != nil {
		wc.close()
		return nil, catalogued(fmt.Errorf("read the clock: %w", err))
	}
	s.clock.last = now
	s.readers = make(chan *conn, opt.Readers)
	for range opt.Readers {
		rc, err := openConn(opt.Path, true)
		if err == nil {
			err = configure(rc, opt.ReaderCache, "PRAGMA query_only=1")
		}
		if err != nil {
			s.closeReaders()
			wc.close()
			return nil, catalogued(fmt.Errorf("open a reading connection: %w", err))
		}
		s.readers <- rc
	}
	s.ckpt, err = startCheckpointer(opt.Path, log, newCheckpointMetrics(reg))
	if err != nil {
		s.closeReaders()
		wc.close()
		return nil, catalogued(fmt.Errorf("open the checkpointing connection: %w", err))
	}
	s.w = startWriter(s, wc, reg)
	return s, nil
}

// Close finishes what was accepted and closes the file.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.w.stop()
		s.ckpt.stop()
		for range cap(s.readers) {
			(<-s.readers).close()
		}
		s.w.c.close() // the last to close folds the write-ahead log into the file
	})
	return nil
}

func (s *Store) closeReaders() {
	for {
		select {
		case c := <-s.readers:
			c.close()
		default:
			return
		}
	}
}

func configure(c *conn, cacheBytes int64, pragmas ...string) error {
	pragmas = append(pragmas,
		fmt.Sprintf("PRAGMA cache_size=-%d", cacheBytes/1024), "PRAGMA temp_store=MEMORY")
	for _, p := range pragmas {
		if _, err := c.Exec(p); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return nil
}

// Migrate brings the database at path to the newest schema. It refuses one
// that is damaged, and one of a newer version, which it would not understand.
func Migrate(ctx context.Context, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	f.Close()
	name := (&url.URL{Path: path}).EscapedPath() // a folder may be called anything
	db, err := sql.Open("sqlite", "file:"+name+"?_pragma=journal_mode(wal)&_pragma=busy_timeout(10000)")
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	defer db.Close()
	p, err := goose.NewProvider(database.DialectSQLite3, db, fs.FS(migrations.FS), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	version, known, err := p.GetVersions(ctx)
	if err != nil {
		return unreadable(path, err)
	}
	if version > known {
		return fmt.Errorf("%s is of a newer version of GoChat: its schema has version %d, this program knows 1 to %d", path, version, known)
	}
	if _, err := p.Up(ctx); err != nil {
		return unreadable(path, fmt.Errorf("migrate the database: %w", err))
	}
	return nil
}

// unreadable tells an operator which file is damaged, and what to do about it.
func unreadable(path string, err error) error {
	if e, ok := errors.AsType[*driver.Error](err); ok {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
			return fmt.Errorf("%s is damaged: move it away and restore a backup (gochat admin restore): %w", path, err)
		}
	}
	return fmt.Errorf("%s: %w", path, err)
}

// Head implements sqlstore.Engine.
func (s *Store) Head(conversationID int64) (sqlstore.Conversation, bool) {
	return s.state.conversation(conversationID)
}

// ReadLists implements sqlstore.Engine.
func (s *Store) ReadLists(ctx context.Context, fn func(q sqlstore.Conn) error) error {
	return s.Read(ctx, fn)
}

// Cursor implements sqlstore.Engine.
func (s *Store) Cursor(context.Context) (int64, error) { return s.clock.cursor(), nil }

// Read implements sqlstore.Engine on a connection of the pool.
func (s *Store) Read(ctx context.Context, fn func(q sqlstore.Conn) error) error {
	var c *conn
	select {
	case c = <-s.readers:
	default:
		select {
		case c = <-s.readers:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer func() { s.readers <- c }()
	if _, err := c.Exec("BEGIN"); err != nil {
		return catalogued(err)
	}
	err := fn(c)
	if _, e := c.Exec("COMMIT"); err == nil {
		err = e
	}
	return catalogued(err)
}

// SchemaVersion is the version that Migrate brings a database to.
func SchemaVersion() (newest int64, err error) {
	names, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil {
		return 0, fmt.Errorf("list the migrations: %w", err)
	}
	for _, name := range names {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return 0, fmt.Errorf("read the migrations: %w", err)
		}
		newest = max(newest, version)
	}
	return newest, nil
}
