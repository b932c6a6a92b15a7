// Package bench measures a server and tests its promises under load: `gochat
// bench idle|send|fanout|history|stress`. Without --url it starts a server of
// its own, seeds its data folder, and stops it at the end. The load comes from
// clients that cost as little as possible, so that two processors measure the
// server; what they see is checked: lost, duplicated and reordered are figures
// like the others.
package bench

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/gochat-im/gochat/bench/internal/rawws"
	gochat "github.com/gochat-im/gochat/sdk/go"
)

// options are the flags that every measurement has.
type options struct {
	URLs  []string
	JSON  bool
	Floor bool
}

// Command returns `gochat bench`.
func Command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure a server, and test its promises under load",
		Long: `Measure a server, and test its promises under load.

Without --url each measurement starts a server of its own on a free port with a
temporary data folder, and also tells what that server used of processor and
memory. With --url it works against a server that runs: accounts are registered
through the API, so registration must be open; with several the connections are
spread over them. The default limits are made for people and end such a run
early: raise those that docs/benchmarks.md names.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	flags := cmd.PersistentFlags()
	flags.StringSliceVar(&o.URLs, "url", nil, "base `URL`s of a deployment that runs, comma-separated or repeated, instead of starting a server")
	flags.BoolVar(&o.JSON, "json", false, "print JSON instead of a table")
	cmd.AddCommand(
		idleCommand(&o), sendCommand(&o), fanoutCommand(&o), historyCommand(&o), stressCommand(&o),
		floorServerCommand(),
	)
	return cmd
}

// addFloor adds the flag of the measurements that have a floor.
func (o *options) addFloor(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.Floor, "floor", false, "also measure the bare library at the same work, and print the ratios")
}

// measure runs a measurement and prints its report; an interrupt ends it and
// the servers that it started.
func (o *options) measure(cmd *cobra.Command, f func(ctx context.Context) (*report, error)) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	r, err := f(ctx)
	if err != nil {
		return fmt.Errorf("bench %s: %w%s", cmd.Name(), err, limitHint(err))
	}
	return r.write(cmd.OutOrStdout(), o.JSON)
}

// limitHint says what to do about a server whose limits end a measurement.
func limitHint(err error) string {
	if !gochat.IsCode(err, gochat.CodeRateLimited) && !errors.Is(err, rawws.ErrLimited) {
		return ""
	}
	return "\nThis is a limit of the server under test, no measurement of its speed: raise gateway.limits there" +
		" (docs/benchmarks.md lists the settings), or leave --url away to measure a server of the bench's own."
}
