package repo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/internal/move"
	"github.com/gochat-im/gochat/repo/internal/postgres"
	"github.com/gochat-im/gochat/repo/internal/sqlite"
)

// MoveProgress tells of one table that is done: its rows, and how many of them were written now.
type MoveProgress = move.Progress

// Move copies the data of a SQLite data folder into a PostgreSQL database, and may be repeated after any error: what is
// there already is compared only. final says that the caller holds the folder's lock, so that nothing changes any more;
// then the database is verified and opened to servers. Conflict when the database is not empty, is another deployment's
// or in use; then nothing is changed.
func Move(ctx context.Context, dataDir string, to PostgresConfig, final bool, progress func(MoveProgress)) error {
	path := filepath.Join(dataDir, sqlite.FileName)
	if _, err := os.Stat(path); err != nil {
		return errs.Wrap(errs.Invalid, err, "%s holds no database", dataDir)
	}
	if final {
		if err := sqlite.Migrate(ctx, path); err != nil {
			return fmt.Errorf("prepare the source: %w", err)
		}
	}
	if err := postgres.Migrate(ctx, to.URL, to.ConnectTimeout); err != nil {
		return fmt.Errorf("prepare the target: %w", err)
	}
	version, err := sqlite.SchemaVersion()
	if err != nil {
		return err
	}
	err = move.Run(ctx, move.Options{SourcePath: path, SourceVersion: version, TargetURL: to.URL, Final: final, Progress: progress})
	if err != nil {
		return fmt.Errorf("move the store: %w", err)
	}
	return nil
}
