package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/gochat-im/gochat/bench/internal/check"
	gochat "github.com/gochat-im/gochat/sdk/go"
)

type stressOptions struct {
	*options
	Faults    bool
	Seed      uint64
	Clients   int
	Groups    int
	Duration  time.Duration
	KillEvery time.Duration
	Threshold int
	progress  io.Writer
}

func stressCommand(o *options) *cobra.Command {
	stress := stressOptions{options: o}
	cmd := &cobra.Command{
		Use:   "stress",
		Short: "Clients that do everything at once; then every promise is checked",
		Long: `Clients with two devices each send, edit, recall, read, join, leave, kick, mute,
transfer and dissolve groups, log out and change their passwords, stop reading
for a while, drop their connection and come back, and resend under the same id;
optionally the server is killed and started again meanwhile. What all of them saw
is then held against the history: it fails with the first promise that was
broken, and the seed.

With several --url the clients are spread over them and go on at another one when
theirs fails; --faults says that somebody breaks things meanwhile.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			stress.progress = cmd.ErrOrStderr()
			return o.measure(cmd, stress.run)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&stress.Faults, "faults", false, "faults come from outside: calls may fail, logins may be lost; the promises hold")
	flags.Uint64Var(&stress.Seed, "seed", 0, "what the clients do follows from it; 0: a random one")
	flags.IntVar(&stress.Clients, "clients", 24, "how many clients")
	flags.IntVar(&stress.Groups, "groups", 4, "how many groups")
	flags.DurationVar(&stress.Duration, "duration", 20*time.Second, "how long")
	flags.DurationVar(&stress.KillEvery, "kill-every", 0, "kill -9 and restart the server so often (not with --url); 0: never")
	flags.IntVar(&stress.Threshold, "threshold", 6, "delivery.large_group_threshold of the server, so that groups cross it")
	return cmd
}

// stressRun is one run: what its clients share.
type stressRun struct {
	stressOptions
	w       *world
	began   time.Time
	http    *http.Client
	slow    *http.Client
	clients []*stressClient
	groups  stressGroups
	lots    atomic.Int64
	kills   int

	settling chan struct{} // closed when slow devices are slow no more
	settled  time.Duration

	mu      sync.Mutex // guards failure
	failure error
	abort   context.CancelFunc
}

func (o stressOptions) run(ctx context.Context) (*report, error) {
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	if o.KillEvery > 0 && len(o.URLs) > 0 {
		return nil, errors.New("--kill-every needs a server of its own: leave --url out")
	}
	if o.Clients < 4 || o.Groups < 1 {
		return nil, errors.New("at least 4 clients and 1 group are needed")
	}
	fmt.Fprintf(o.progress, "stress: seed %d\n", o.Seed)
	r := &report{Name: "stress"}
	w, err := o.prepare(ctx)
	if err == nil {
		err = w.finish(o.exercise(ctx, w, r))
	}
	if err != nil {
		return nil, fmt.Errorf("seed %d: %w", o.Seed, err)
	}
	return r, nil
}

// prepare makes the plan real through the API, because the clients need
// passwords.
func (o stressOptions) prepare(ctx context.Context) (*world, error) {
	if len(o.URLs) > 0 {
		return prepare(ctx, o.URLs, o.plan())
	}
	w, err := prepare(ctx, nil, plan{Env: append([]string{thresholdEnv(o.Threshold)}, stressEnv...)})
	if err != nil {
		return nil, err
	}
	if err := w.populate(ctx, o.plan()); err != nil {
		return nil, w.finish(err)
	}
	return w, nil
}

// stressEnv makes tokens expire and queues fill within a short run.
var stressEnv = []string{
	"GOCHAT_LOGIC_ACCESS_TOKEN_TTL=13s", // the clients exchange it 10 s before its end
	"GOCHAT_GATEWAY_WEBSOCKET_QUEUE_SOFT_BYTES=4096", "GOCHAT_GATEWAY_WEBSOCKET_QUEUE_BODY_BYTES=16384",
	"GOCHAT_GATEWAY_WEBSOCKET_QUEUE_MAX_BYTES=262144",
}

// servers returns the base URLs of the deployment.
func (run *stressRun) servers() []string {
	if len(run.URLs) > 0 {
		return run.URLs
	}
	return []string{run.w.url}
}

// disturbed reports whether processes are killed or cut off meanwhile.
func (run *stressRun) disturbed() bool { return run.Faults || run.KillEvery > 0 }

// plan: each client has two one-to-one conversations; half of the clients are
// in each group at first.
func (o stressOptions) plan() plan {
	rng := rand.New(rand.NewPCG(o.Seed, 0))
	p := plan{Users: o.Clients}
	for i := range o.Clients {
		p.Singles = append(p.Singles, [2]int{i, (i + 1) % o.Clients})
	}
	for range o.Groups {
		p.Groups = append(p.Groups, rng.Perm(o.Clients)[:o.Clients/2])
	}
	return p
}

func (o stressOptions) exercise(ctx context.Context, w *world, r *report) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	run := &stressRun{
		stressOptions: o, w: w, began: time.Now(), abort: cancel, settling: make(chan struct{}),
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * o.Clients}},
	}
	run.slow = run.slowClient()
	defer run.http.CloseIdleConnections()
	defer run.slow.CloseIdleConnections()
	defer run.closeAll()
	if err := run.connect(ctx); err != nil {
		return err
	}
	fmt.Fprintf(o.progress, "stress: %d clients are at work\n", o.Clients)
	if err := run.work(ctx); err != nil {
		return err
	}
	if err := run.settle(ctx); err != nil {
		return err
	}
	record, err := run.collect(ctx)
	if err != nil {
		return err
	}
	run.tell(ctx, r, record)
	return check.Check(record)
}

// fail ends the run with the first failure.
func (run *stressRun) fail(err error) {
	run.mu.Lock()
	if run.failure == nil {
		run.failure = err
	}
	run.mu.Unlock()
	run.abort()
}

func (run *stressRun) failed() error {
	run.mu.Lock()
	defer run.mu.Unlock()
	return run.failure
}

func (run *stressRun) now() time.Duration { return time.Since(run.began) }

// work lets the clients do what they do, and kills the server meanwhile.
func (run *stressRun) work(ctx context.Context) error {
	working, stop := context.WithTimeout(ctx, run.Duration)
	defer stop()
	var workers sync.WaitGroup
	for _, c := range run.clients {
		workers.Go(func() { c.work(ctx, working) })
	}
	if run.KillEvery > 0 {
		workers.Go(func() { run.killer(ctx, working) })
	}
	workers.Wait()
	if err := run.failed(); err != nil {
		return err
	}
	return ctx.Err()
}

func (run *stressRun) killer(ctx, working context.Context) {
	rng := rand.New(rand.NewPCG(run.Seed, 1))
	for {
		select {
		case <-working.Done():
			return
		case <-time.After(run.KillEvery/2 + time.Duration(rng.Int64N(int64(run.KillEvery)))):
		}
		run.w.kill()
		run.kills++
		if err := run.w.start(ctx); err != nil {
			run.fail(fmt.Errorf("restart after kill -9: %w", err))
			return
		}
	}
}

func (run *stressRun) tell(ctx context.Context, r *report, record *check.Record) {
	acked, duplicates, refused := 0, 0, 0
	for _, s := range record.Sends {
		if len(s.Seqs) > 0 {
			acked++
			duplicates += len(s.Seqs) - 1
		}
		if s.Refusal != "" {
			refused++
		}
	}
	logs := map[string][]gochat.Entry{}
	for _, reading := range record.Readings {
		logs[reading.Conversation] = reading.Entries
	}
	entries, kinds := 0, map[string]int{}
	for _, log := range logs {
		entries += len(log)
		for _, e := range log {
			kinds[e.Kind]++
		}
	}
	r.add("clients", float64(run.Clients), "")
	r.add("conversations", float64(len(logs)), "")
	r.add("entries", float64(entries), "")
	r.add("messages sent", float64(len(record.Sends)), "")
	r.add("messages acknowledged", float64(acked), "")
	r.add("acknowledged again", float64(duplicates), "")
	r.add("refused", float64(refused), "")
	r.add("edits", float64(kinds[gochat.KindEdit]), "")
	r.add("recalls", float64(kinds[gochat.KindRecall]), "")
	r.add("joins", float64(kinds[gochat.KindMemberJoined]), "")
	r.add("leaves and kicks", float64(kinds[gochat.KindMemberLeft]+kinds[gochat.KindMemberRemoved]), "")
	r.add("mutes", float64(kinds[gochat.KindMemberMuted]), "")
	r.add("role changes", float64(kinds[gochat.KindRoleChanged]), "")
	r.add("groups dissolved", float64(kinds[gochat.KindDissolved]), "")
	r.add("logins ended", float64(len(record.Ends)), "")
	if left, ok := run.w.metric(ctx, `gochat_gateway_dropped_total{step="body"}`); ok {
		r.add("bodies left out for slow sockets", left, "")
	}
	r.add("entries seen on sockets", float64(len(record.Frames)), "")
	r.add("connections", float64(run.connections()), "")
	r.add("kills", float64(run.kills), "")
	r.add("settled after", run.settled.Seconds(), "s")
	r.add("violations", 0, "")
}
