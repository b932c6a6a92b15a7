package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/datadir"
	"github.com/gochat-im/gochat/platform/rpc"
	"github.com/gochat-im/gochat/repo/repopb"
	"github.com/gochat-im/gochat/task/taskpb"
)

// adminTimeout bounds one command; a backup of a large store takes minutes.
const adminTimeout = time.Hour

func adminCommand() *cobra.Command {
	admin := &cobra.Command{
		Use:   "admin",
		Short: "Manage accounts, invitations, dead jobs and backups",
		Long: `Manage the server whose data folder is --data-dir. While it runs the commands go
through its admin socket, which only the folder's owner can open; otherwise they
work on the folder directly.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	addSettingFlags(admin.PersistentFlags())
	admin.AddCommand(adminUserCommand(), adminInviteCommand(), adminDeadCommand(), adminBackupCommand(), adminRestoreCommand(), adminMigrateStoreCommand())
	return admin
}

// adminAPI is the server's contract as the operator's commands see it.
type adminAPI struct {
	logic logicpb.LogicServiceClient
	repo  repopb.RepoServiceClient
	task  taskpb.TaskServiceClient
}

// withServer calls do with a running server of the data folder, or with one started for this command alone.
func withServer(cmd *cobra.Command, do func(ctx context.Context, api adminAPI) error) error {
	cfg, err := loadConfig(cmd)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), adminTimeout)
	defer cancel()
	dir, err := datadir.Open(cfg.DataDir)
	switch {
	case errors.Is(err, datadir.ErrInUse):
		return overSocket(ctx, datadir.AdminSocketOf(cfg.DataDir), do)
	case err != nil:
		return usageError{err}
	}
	defer dir.Close()
	app := adminApp(cfg, dir)
	if err := app.Err(); err != nil {
		return rootCause(err)
	}
	if err := app.Start(ctx); err != nil {
		return rootCause(err)
	}
	err = overSocket(ctx, dir.AdminSocket(), do)
	if stopErr := app.Stop(ctx); err == nil {
		err = stopErr
	}
	return err
}

// onServer makes a command's function of one that works with the server of the data folder.
func onServer(do func(ctx context.Context, cmd *cobra.Command, api adminAPI, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		return withServer(cmd, func(ctx context.Context, api adminAPI) error { return do(ctx, cmd, api, args) })
	}
}

func overSocket(ctx context.Context, path string, do func(ctx context.Context, api adminAPI) error) error {
	conn, err := rpc.DialUnix(path)
	if err != nil {
		return fmt.Errorf("reach the server: %w", err)
	}
	defer conn.Close()
	return do(ctx, newAdminAPI(conn))
}

func newAdminAPI(conn grpc.ClientConnInterface) adminAPI {
	return adminAPI{
		logic: logicpb.NewLogicServiceClient(conn),
		repo:  repopb.NewRepoServiceClient(conn),
		task:  taskpb.NewTaskServiceClient(conn),
	}
}

func instant(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }

func printf(cmd *cobra.Command, format string, args ...any) error {
	_, err := fmt.Fprintf(cmd.OutOrStdout(), format, args...)
	return err
}
