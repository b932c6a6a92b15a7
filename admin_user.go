package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/id"
	"github.com/gochat-im/gochat/repo/repopb"
)

func adminUserCommand() *cobra.Command {
	user := &cobra.Command{
		Use:   "user",
		Short: "Manage accounts",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var email, nickname string
	create := &cobra.Command{
		Use:   "create USERNAME",
		Short: "Create an account; the password is read from standard input",
		Args:  cobra.ExactArgs(1),
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
			Args:  cobra.ExactArgs(1),
			RunE: onServer(func(ctx context.Context, cmd *cobra.Command, api adminAPI, args []string) error {
				_, err := api.logic.AdminSetUserStatus(ctx, &logicpb.AdminSetUserStatusRequest{Username: args[0], Status: status})
				if err != nil {
					return err
				}
				return printf(cmd, "%sd user %s\n", use, args[0])
			}),
		}
	}
	reset := &cobra.Command{
		Use:   "reset-password USERNAME",
		Short: "Set a new password, read from standard input; every session ends",
		Args:  cobra.ExactArgs(1),
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
		Args:  cobra.ExactArgs(1),
		RunE: onServer(func(ctx context.Context, cmd *cobra.Command, api adminAPI, args []string) error {
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
		}),
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
		Args:  cobra.NoArgs,
		RunE: onServer(func(ctx context.Context, cmd *cobra.Command, api adminAPI, _ []string) error {
			r, err := api.logic.AdminCreateInvitation(ctx, &logicpb.AdminCreateInvitationRequest{ExpiresInMs: ttl.Milliseconds()})
			if err != nil {
				return err
			}
			return printf(cmd, "%s\n", r.GetCode())
		}),
	}
	cmd.Flags().DurationVar(&ttl, "expires-in", 7*24*time.Hour, "how long the code can be used")
	return cmd
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
