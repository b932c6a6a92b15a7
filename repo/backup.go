package repo

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/gochat-im/gochat/repo/internal/sqlite"
)

// Restore puts a file that Backup wrote into dataDir as its database. The
// caller holds the lock of dataDir, so that no server runs on it. Conflict
// when a database is there already, Invalid when the file is damaged, no
// backup, or of a newer version; then nothing is changed. Older schemas are
// migrated by the next Open.
func Restore(ctx context.Context, backupFile, dataDir string) error {
	if err := sqlite.Restore(ctx, filepath.Clean(backupFile), dataDir); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return nil
}
