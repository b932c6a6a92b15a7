// Command gochat is a self-hosted instant-messaging server: one binary made of
// four roles (gateway, logic, repo, task) that call each other in process.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/gochat-im/gochat/bench"
)

// version is set by the build (-ldflags "-X main.version=…").
var version = "dev"

// Exit codes of every command.
const (
	exitFailure = 1 // it could not be done
	exitUsage   = 2 // wrong usage or settings
)

// usageError marks what the user wrote wrongly: exit code 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func main() {
	os.Exit(run(context.Background(), os.Args[1:]))
}

// run executes one command line and returns its exit code. Errors are one line on standard error.
func run(ctx context.Context, args []string) int {
	root := rootCommand() //nolint:contextcheck // the commands take the context that ExecuteContext gives them
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "gochat:", err)
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitFailure
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "gochat",
		Short: "A self-hosted instant-messaging server in one binary",
		Long: `GoChat is a self-hosted instant-messaging server: accounts, one-to-one chats,
groups, history, an HTTP API and a WebSocket. It needs nothing else installed.

  gochat serve                     start on :8080 with the data in ./data
  gochat admin user create alice   create an account
  gochat admin backup FILE         copy the data while the server runs

Settings come from config.yaml (--config), then GOCHAT_… environment variables,
then flags; the later wins.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w (see %s --help)", err, cmd.CommandPath())}
	})
	root.AddCommand(
		serveCommand(), readyCommand(), migrateCommand(), checkConfigCommand(), versionCommand(), adminCommand(), bench.Command(),
	)
	checkUsage(root)
	return root
}

// checkUsage turns the complaints of a command, and of those below it, about positional arguments into usage errors.
func checkUsage(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usageError{fmt.Errorf("%w (see %s --help)", err, cmd.CommandPath())}
			}
			return nil
		}
	}
	for _, below := range cmd.Commands() {
		checkUsage(below)
	}
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version and how it was built",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			revision := "unknown"
			if info, ok := debug.ReadBuildInfo(); ok {
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						revision = s.Value
					}
				}
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "gochat %s (revision %s, %s, %s/%s)\n",
				version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
