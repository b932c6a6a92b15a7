package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/gochat-im/gochat/platform/datadir"
	"github.com/gochat-im/gochat/repo"
	"github.com/gochat-im/gochat/repo/repopb"
)

func adminBackupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Write a consistent copy of the data to a new file, while the server runs",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := filepath.Abs(args[0])
			if err != nil {
				return fmt.Errorf("find %s: %w", args[0], err)
			}
			return withServer(cmd, func(ctx context.Context, api adminAPI) error {
				r, err := api.repo.Backup(ctx, &repopb.BackupRequest{Path: path})
				if err != nil {
					return err
				}
				return printf(cmd, "wrote %d bytes to %s\n", r.GetBytes(), path)
			})
		},
	}
}

func adminRestoreCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup into an empty data folder; the server must be stopped",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			if cfg.Store != repo.StoreSQLite {
				return usageError{fmt.Errorf("store: %s is restored with its own tools (pg_restore)", cfg.Store)}
			}
			dir, err := datadir.Open(cfg.DataDir)
			if err != nil {
				return usageError{err}
			}
			defer dir.Close()
			if err := repo.Restore(cmd.Context(), args[0], cfg.DataDir); err != nil {
				return err
			}
			return printf(cmd, "restored %s into %s\n", args[0], cfg.DataDir)
		},
	}
}
