package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"google.golang.org/grpc"

	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/datadir"
	"github.com/gochat-im/gochat/platform/id"
	"github.com/gochat-im/gochat/platform/rpc"
	"github.com/gochat-im/gochat/repo"
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
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	addSettingFlags(admin.PersistentFlags())
	admin.AddCommand(adminUserCommand(), adminInviteCommand(), adminDeadCommand(), adminBackupCommand(), adminRestoreCommand())
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

func adminUserCommand() *cobra.Command {
	user := &cobra.Command{
		Use:   "user",
		Short: "Manage accounts",
		Args:  usageArgs(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var email, nickname string
	create := &cobra.Command{
		Use:   "create USERNAME",
		Short: "Create an account; the password is read from standard input",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := readPassword(cmd)
			if err != nil {
				return err
			}
			return withServer(cmd, func(ctx context.Context, api adminAPI) error {
				u, err := api.logic.AdminCreateUser(ctx, &logicpb.RegisterRequest{
					Username: args[0], Password: password, Email: email, Nickname: nickname,
				})
				if err != nil {
					return err
				}
				return printf(cmd, "created user %s with id %s\n", u.GetUsername(), id.Format(u.GetId()))
			})
		},
	}
	create.Flags().StringVar(&email, "email", "", "e-mail address")
	create.Flags().StringVar(&nickname, "nickname", "", "name shown to others")

	setStatus := func(use, short string, status repopb.UserStatus) *cobra.Command {
		return &cobra.Command{
			Use:   use + " USERNAME",
			Short: short,
			Args:  usageArgs(cobra.ExactArgs(1)),
			RunE: func(cmd *cobra.Command, args []string) error {
				return withServer(cmd, func(ctx context.Context, api adminAPI) error {
					_, err := api.logic.AdminSetUserStatus(ctx, &logicpb.AdminSetUserStatusRequest{Username: args[0], Status: status})
					if err != nil {
						return err
					}
					return printf(cmd, "%sd user %s\n", use, args[0])
				})
			},
		}
	}
	reset := &cobra.Command{
		Use:   "reset-password USERNAME",
		Short: "Set a new password, read from standard input; every session ends",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := readPassword(cmd)
			if err != nil {
				return err
			}
			return withServer(cmd, func(ctx context.Context, api adminAPI) error {
				_, err := api.logic.AdminResetPassword(ctx, &logicpb.AdminResetPasswordRequest{Username: args[0], NewPassword: password})
				if err != nil {
					return err
				}
				return printf(cmd, "set a new password for %s and ended every session\n", args[0])
			})
		},
	}
	var revoke bool
	sessions := &cobra.Command{
		Use:   "sessions USERNAME",
		Short: "List an account's sessions, or end them all with --revoke",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withServer(cmd, func(ctx context.Context, api adminAPI) error {
				if revoke {
					r, err := api.logic.AdminRevokeSessions(ctx, &logicpb.AdminUserRequest{Username: args[0]})
					if err != nil {
						return err
					}
					return printf(cmd, "ended %d sessions of %s\n", len(r.GetSessionIds()), args[0])
				}
				list, err := api.logic.AdminListSessions(ctx, &logicpb.AdminUserRequest{Username: args[0]})
				if err != nil {
					return err
				}
				return printSessions(cmd.OutOrStdout(), list.GetSessions())
			})
		},
	}
	sessions.Flags().BoolVar(&revoke, "revoke", false, "end every session of the account")
	user.AddCommand(create,
		setStatus("disable", "Disable an account: its sessions end and it cannot log in", repopb.UserStatus_USER_STATUS_DISABLED),
		setStatus("enable", "Enable a disabled account", repopb.UserStatus_USER_STATUS_ACTIVE),
		reset, sessions)
	return user
}

func adminInviteCommand() *cobra.Command {
	var ttl time.Duration
	cmd := &cobra.Command{
		Use:   "invite",
		Short: "Print a new single-use registration code",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withServer(cmd, func(ctx context.Context, api adminAPI) error {
				r, err := api.logic.AdminCreateInvitation(ctx, &logicpb.AdminCreateInvitationRequest{ExpiresInMs: ttl.Milliseconds()})
				if err != nil {
					return err
				}
				return printf(cmd, "%s\n", r.GetCode())
			})
		},
	}
	cmd.Flags().DurationVar(&ttl, "expires-in", 7*24*time.Hour, "how long the code can be used")
	return cmd
}

func adminDeadCommand() *cobra.Command {
	dead := &cobra.Command{
		Use:   "dead",
		Short: "List the jobs that failed for good, or run them again",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withServer(cmd, func(ctx context.Context, api adminAPI) error {
				list, err := api.task.ListDead(ctx, &repopb.ListDeadJobsRequest{Limit: 100})
				if err != nil {
					return err
				}
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
				fmt.Fprintln(w, "ID\tKIND\tATTEMPTS\tCREATED\tERROR")
				for _, j := range list.GetJobs() {
					fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\n", id.Format(j.GetId()), j.GetKind(), j.GetAttempts(), instant(j.GetCreatedAt()), j.GetLastError())
				}
				return w.Flush()
			})
		},
	}
	dead.AddCommand(&cobra.Command{
		Use:   "requeue [ID…]",
		Short: "Run dead jobs again: the given ones, or all",
		RunE: func(cmd *cobra.Command, args []string) error {
			ids := make([]int64, 0, len(args))
			for _, a := range args {
				v, err := id.Parse(a)
				if err != nil {
					return usageError{fmt.Errorf("%q is not a job id", a)}
				}
				ids = append(ids, v)
			}
			return withServer(cmd, func(ctx context.Context, api adminAPI) error {
				r, err := api.task.Requeue(ctx, &repopb.RequeueJobsRequest{Ids: ids})
				if err != nil {
					return err
				}
				return printf(cmd, "requeued %d jobs\n", r.GetRequeued())
			})
		},
	})
	return dead
}

func adminBackupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Write a consistent copy of the data to a new file, while the server runs",
		Args:  usageArgs(cobra.ExactArgs(1)),
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
		Args:  usageArgs(cobra.ExactArgs(1)),
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

// readPassword reads one line from standard input, without echo on a terminal.
func readPassword(cmd *cobra.Command) (string, error) {
	if f, ok := cmd.InOrStdin().(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(cmd.ErrOrStderr(), "Password: ")
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(cmd.ErrOrStderr())
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		return string(b), nil
	}
	line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", usageError{errors.New("no password on standard input")}
	}
	return line, nil
}

func printSessions(out io.Writer, sessions []*repopb.Session) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tDEVICE\tPLATFORM\tCREATED\tLAST SEEN")
	for _, s := range sessions {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n",
			id.Format(s.GetId()), s.GetDeviceId(), s.GetPlatform(), instant(s.GetCreatedAt()), instant(s.GetLastSeenAt()))
	}
	return w.Flush()
}

func instant(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }

func printf(cmd *cobra.Command, format string, args ...any) error {
	_, err := fmt.Fprintf(cmd.OutOrStdout(), format, args...)
	return err
}
