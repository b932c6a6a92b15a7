package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/gochat-im/gochat/platform/id"
	"github.com/gochat-im/gochat/repo/repopb"
)

func adminDeadCommand() *cobra.Command {
	dead := &cobra.Command{
		Use:   "dead",
		Short: "List the jobs that failed for good, or run them again",
		Args:  cobra.NoArgs,
		RunE: onServer(func(ctx context.Context, cmd *cobra.Command, api adminAPI, _ []string) error {
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
		}),
	}
	dead.AddCommand(&cobra.Command{
		Use:   "requeue [ID…]",
		Short: "Run dead jobs again: the given ones, or all",
		Args:  cobra.ArbitraryArgs,
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
