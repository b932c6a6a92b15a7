package bench

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/gochat-im/gochat/bench/internal/rawws"
)

type idleOptions struct {
	*options
	Connections int
	Settle      time.Duration
}

func idleCommand(o *options) *cobra.Command {
	idle := idleOptions{options: o}
	cmd := &cobra.Command{
		Use:   "idle",
		Short: "Memory and connection rate of many quiet, authenticated connections",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return o.measure(cmd, idle.run) },
	}
	cmd.Flags().IntVar(&idle.Connections, "connections", 10_000, "how many connections")
	cmd.Flags().DurationVar(&idle.Settle, "settle", 10*time.Second, "how long the memory must not have changed by a hundredth before it is read")
	o.addFloor(cmd)
	return cmd
}

func (o idleOptions) run(ctx context.Context) (*report, error) {
	if err := raiseFileLimit(o.Connections + 100); err != nil {
		return nil, err
	}
	return o.against(ctx, plan{Users: o.Connections}, "idle connections", func(ctx context.Context, w *world, r *report) error {
		return o.hold(ctx, w.server, r, func(ctx context.Context) ([]*rawws.Conn, error) {
			return w.dialAll(ctx, w.Accounts, 2<<10)
		})
	}, o.idleFloor)
}

// hold opens the connections and tells what they cost a server.
func (o idleOptions) hold(ctx context.Context, s *server, r *report, open func(context.Context) ([]*rawws.Conn, error)) error {
	before, err := s.usage()
	if err != nil {
		return err
	}
	goroutinesBefore, _ := s.metric(ctx, "go_goroutines")
	began := time.Now()
	conns, err := open(ctx)
	if err != nil {
		return err
	}
	defer closeAll(conns)
	took := time.Since(began)
	opened, err := s.usage()
	if err != nil {
		return err
	}
	ctxBeat, stop := context.WithCancel(ctx)
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		heartbeats(ctxBeat, conns, 20*time.Second)
	}()
	settled, idleCPU, err := o.settle(ctx, s)
	goroutines, hasGoroutines := s.metric(ctx, "go_goroutines")
	stop()
	<-beating
	if err != nil {
		return err
	}
	n := float64(len(conns))
	r.add("connections", n, "")
	r.add("connects", n/took.Seconds(), "/s")
	if s.cmd == nil {
		return nil
	}
	r.add("memory before", float64(before.RSS)/(1<<20), "MiB")
	r.add("memory just opened", float64(opened.RSS)/(1<<20), "MiB")
	r.add("memory settled", float64(settled.RSS)/(1<<20), "MiB")
	r.add("memory a connection", float64(settled.RSS-before.RSS)/n/1024, "KiB")
	r.add("CPU a connect", float64((opened.CPU-before.CPU).Microseconds())/n, "µs")
	r.add("CPU while idle", 100*idleCPU, "%")
	if hasGoroutines {
		r.add("goroutines a connection", (goroutines-goroutinesBefore)/n, "")
	}
	return nil
}

// settleMost bounds the waiting: a process that allocates collects on its own in
// this time.
const settleMost = 3 * time.Minute

// settle waits until the memory has settled, and tells what share of a
// processor the server used while it did not change.
func (o idleOptions) settle(ctx context.Context, s *server) (now usage, cpu float64, err error) {
	began := time.Now()
	same, err := s.usage()
	for since := began; err == nil; {
		select {
		case <-ctx.Done():
			return usage{}, 0, ctx.Err()
		case <-time.After(min(time.Second, o.Settle)):
		}
		if now, err = s.usage(); err != nil {
			break
		}
		quiet := time.Since(since)
		if quiet >= o.Settle || time.Since(began) >= settleMost {
			return now, (now.CPU - same.CPU).Seconds() / quiet.Seconds(), nil
		}
		if change := now.RSS - same.RSS; max(change, -change) > same.RSS/100 {
			same, since = now, time.Now()
		}
	}
	return usage{}, 0, err
}
