package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"

	migrations "github.com/gochat-im/gochat/migrations/postgres"
)

// migrationLock is the advisory lock of whoever migrates the database.
const migrationLock = 0x676f63686174 // "gochat"

// Migrate brings the database to the newest schema. Any number of processes
// may do it at once: they take turns. A database that is newer than this
// program, or that cannot be written, is an error.
func Migrate(ctx context.Context, url string, connectTimeout time.Duration) error {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return oneLine("read the address", err)
	}
	cfg.ConnectTimeout = connectTimeout
	cfg.RuntimeParams["application_name"] = "gochat migrate"
	db := stdlib.OpenDB(*cfg)
	defer db.Close()
	if err := check(ctx, db); err != nil {
		return err
	}
	p, err := goose.NewProvider(database.DialectPostgres, db, fs.FS(migrations.FS),
		goose.WithDisableGlobalRegistry(true), goose.WithSessionLocker(turns{}))
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	version, err := p.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	sources := p.ListSources()
	if newest := sources[len(sources)-1].Version; version > newest {
		return fmt.Errorf("the database's schema has version %d, this program knows up to %d", version, newest)
	}
	return nil
}

// check refuses what could not work later.
func check(ctx context.Context, db *sql.DB) error {
	var encoding string
	var version int
	var replica bool
	err := db.QueryRowContext(ctx, "SELECT current_setting('server_encoding'), current_setting('server_version_num')::int, pg_is_in_recovery()").
		Scan(&encoding, &version, &replica)
	switch {
	case err != nil:
		return oneLine("connect", err)
	case encoding != "UTF8":
		return fmt.Errorf("the database's encoding is %s, it must be UTF8", encoding)
	case version < 140000:
		return errors.New("the server is older than PostgreSQL 14")
	case replica:
		return errors.New("the server is a replica, which cannot be written to")
	}
	return nil
}

// turns makes those who migrate wait for each other. Unlike goose's own locker
// it does not poll.
type turns struct{}

func (turns) SessionLock(ctx context.Context, c *sql.Conn) error {
	if _, err := c.ExecContext(ctx, "SELECT pg_advisory_lock($1)", int64(migrationLock)); err != nil {
		return fmt.Errorf("wait for who else migrates: %w", err)
	}
	return nil
}

func (turns) SessionUnlock(ctx context.Context, c *sql.Conn) error {
	if _, err := c.ExecContext(ctx, "SELECT pg_advisory_unlock($1)", int64(migrationLock)); err != nil {
		return fmt.Errorf("let others migrate: %w", err)
	}
	return nil
}
