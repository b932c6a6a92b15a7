package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gochat-im/gochat/platform/datadir"
	"github.com/gochat-im/gochat/repo"
)

func adminMigrateStoreCommand() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use:   "migrate-store --from sqlite:DIR [--to postgres://…]",
		Short: "Move the data of a SQLite folder into an empty PostgreSQL database",
		Long: `Copy everything from the data folder of a one-process deployment into an empty
PostgreSQL database, and verify it. While the server runs the copy is of one
moment; stop the server and run the command again: it compares, copies what
changed meanwhile, verifies every row and opens the database to servers. An
interrupted run is repeated the same way. Then start the servers with
store: postgres, and with the folder's keys, so that nobody has to log in again.

Without --to the database is that of postgres.url (GOCHAT_POSTGRES_URL), which
keeps the password out of the list of processes.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return migrateStore(cmd, from, to) },
	}
	cmd.Flags().StringVar(&from, "from", "", "sqlite: and the data folder")
	cmd.Flags().StringVar(&to, "to", "", "URL of the database; empty: postgres.url")
	return cmd
}

func migrateStore(cmd *cobra.Command, from, to string) error {
	cfg, err := loadConfig(cmd)
	if err != nil {
		return err
	}
	folder, ok := strings.CutPrefix(from, "sqlite:")
	if !ok || folder == "" {
		return usageError{fmt.Errorf("--from: %q is not sqlite:DIR", from)}
	}
	target := cfg.Postgres
	if to != "" {
		target.URL = to
	}
	if err := target.Validate(); err != nil {
		return usageError{fmt.Errorf("postgres.%w (or --to)", err)}
	}
	dir, err := datadir.Open(folder)
	final := err == nil
	if err != nil && !errors.Is(err, datadir.ErrInUse) {
		return usageError{fmt.Errorf("--from: %w", err)}
	}
	if final {
		defer dir.Close()
	}
	err = repo.Move(cmd.Context(), folder, target, final, func(p repo.MoveProgress) {
		fmt.Fprintf(cmd.ErrOrStderr(), "%-15s %9d rows, %9d written\n", p.Table, p.Rows, p.Changed)
	})
	if err != nil {
		return err
	}
	if !final {
		return printf(cmd, "copied while the server runs: stop it and run this again to finish\n")
	}
	return printf(cmd, "moved and verified: servers with store: postgres may use the database now\n")
}
