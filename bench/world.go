package bench

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"github.com/gochat-im/gochat/repo/repopb"
)

// plan is what must exist before a measurement: so many users, one-to-one
// conversations and groups between them (by their index).
type plan struct {
	Users   int
	Singles [][2]int
	Groups  [][]int // the first is the owner
	// Seed adds more to a data folder before its server starts.
	Seed func(ctx context.Context, store repopb.RepoServiceServer, w *world) error
	Env  []string // settings of the child, as GOCHAT_…=…
}

// account is one user with an access token.
type account struct {
	ID    string
	Token string
	// Of one that was registered through the API.
	Name, Password string
}

// world is a server with what a plan asked for.
type world struct {
	*server
	Accounts []account
	Singles  []string // conversation ids, as planned
	Groups   []string
}

// openEnv lifts what would limit a measurement before the server does.
var openEnv = []string{
	"GOCHAT_LOG_LEVEL=warn",
	"GOCHAT_GATEWAY_LIMITS_SEND_RATE=1000000000", "GOCHAT_GATEWAY_LIMITS_SEND_BURST=1000000000",
	"GOCHAT_GATEWAY_LIMITS_FRAME_RATE=1000000000", "GOCHAT_GATEWAY_LIMITS_FRAME_BURST=1000000000",
	"GOCHAT_GATEWAY_LIMITS_CALL_RATE=1000000000", "GOCHAT_GATEWAY_LIMITS_CALL_BURST=1000000000",
	"GOCHAT_GATEWAY_LIMITS_CONNECT_RATE=1000000000", "GOCHAT_GATEWAY_LIMITS_CONNECT_BURST=1000000000",
	"GOCHAT_GATEWAY_LIMITS_LOGIN_RATE=1000000000", "GOCHAT_GATEWAY_LIMITS_LOGIN_BURST=1000000000",
	"GOCHAT_LOGIC_LOGIN_ADDRESS_RATE=1000000000", "GOCHAT_LOGIC_LOGIN_ADDRESS_BURST=1000000000",
	"GOCHAT_GATEWAY_LIMITS_UNAUTHENTICATED_PER_ADDRESS=1000000",
	"GOCHAT_GATEWAY_LIMITS_CONNECTIONS_PER_USER=1000000",
	"GOCHAT_GATEWAY_WEBSOCKET_MAX_UNAUTHENTICATED=1000000",
	"GOCHAT_GATEWAY_WEBSOCKET_DRAIN_WINDOW=0s",
}

// prepare makes a plan real: through the API of the deployment at urls, or in
// the data folder of a child that it then starts when there are none. End it
// with finish.
func prepare(ctx context.Context, urls []string, p plan) (*world, error) {
	if len(urls) > 0 {
		w := &world{server: attach(urls...)}
		return w, w.populate(ctx, p)
	}
	dir, err := os.MkdirTemp("", "gochat-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a data folder: %w", err)
	}
	w := &world{}
	if err := w.seed(ctx, dir, p); err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("seed the data folder: %w", err)
	}
	w.server, err = spawn(ctx, dir, append(append([]string{}, openEnv...), p.Env...))
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return w, nil
}

// finish stops a child and removes its data. It returns err, the outcome of what
// was done with it, with the end of the child's log when there is something to
// tell.
func (w *world) finish(err error) error {
	stopped := w.stop()
	switch {
	case err != nil && w.cmd != nil && w.stderr.String() != "":
		err = fmt.Errorf("%w\nThe server's log:\n%s", err, w.stderr)
	case err == nil:
		err = stopped
	}
	if w.dir != "" {
		os.RemoveAll(w.dir)
	}
	return err
}

// against measures a world that is made for it and, with --floor, the bare
// library in another after it.
func (o *options) against(ctx context.Context, p plan, name string,
	measure func(context.Context, *world, *report) error, floor func(context.Context) (*report, error),
) (*report, error) {
	w, err := prepare(ctx, o.URLs, p)
	if err != nil {
		return nil, err
	}
	r := &report{Name: name}
	if err := w.finish(measure(ctx, w, r)); err != nil || !o.Floor || floor == nil {
		return r, err
	}
	bare, err := floor(ctx)
	if err == nil {
		r.floors(bare)
	}
	return r, err
}

func thresholdEnv(members int) string {
	return "GOCHAT_DELIVERY_LARGE_GROUP_THRESHOLD=" + strconv.Itoa(members)
}
