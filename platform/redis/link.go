package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/rueidis"
)

// downGap is how often a lost server is tried.
const downGap = 200 * time.Millisecond

// State is what is known of the server.
type State struct {
	Up bool
	// Session grows with every loss of a connection and every flush of the database: what was read or written under an
	// earlier one may be gone.
	Session uint64
	// Server is another one after each start of a single server. It is empty for a cluster, whose nodes start apart.
	Server string
}

var errLost = errors.New("the connection was lost")

// link watches whether the server is there.
type link struct {
	name    string
	timeout time.Duration
	log     *slog.Logger
	state   atomic.Pointer[State]
	wake    chan struct{}
	cancel  context.CancelFunc
	done    chan struct{}

	mu     sync.Mutex // guards what follows and changes of state
	cause  error      // of being down
	closed bool

	watching sync.Mutex // guards watchers and makes their calls one at a time
	watchers []func(State)
	losses   prometheus.Counter
}

func newLink(name string, cfg Config, log *slog.Logger, reg prometheus.Registerer) *link {
	l := &link{
		name: name, timeout: cfg.Timeout, log: log.With("redis", name),
		wake: make(chan struct{}, 1), done: make(chan struct{}), cause: errLost,
	}
	l.state.Store(&State{})
	labels := prometheus.Labels{"client": name}
	l.losses = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "gochat_redis_losses_total", Help: "Times that a connection to Redis was lost.", ConstLabels: labels,
	})
	if reg != nil {
		reg.MustRegister(l.losses, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gochat_redis_up", Help: "1 when Redis answers.", ConstLabels: labels,
		}, func() float64 {
			if l.state.Load().Up {
				return 1
			}
			return 0
		}))
	}
	return l
}

// start proves that the server is there and keeps proving it.
func (l *link) start(ctx context.Context, client rueidis.Client) error {
	if err := l.prove(ctx, client); err != nil {
		return err
	}
	ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go l.run(ctx, client)
	return nil
}

func (l *link) stop() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.cancel()
	<-l.done
}

func (l *link) run(ctx context.Context, client rueidis.Client) {
	defer close(l.done)
	timer := time.NewTimer(pingGap)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-l.wake:
		}
		gap := pingGap
		if err := l.prove(ctx, client); err != nil {
			gap = downGap
		}
		timer.Reset(gap)
	}
}

// prove asks the server who it is, or that it lives, and settles the state.
func (l *link) prove(ctx context.Context, client rueidis.Client) error {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	before := *l.state.Load()
	if before.Up {
		if err := client.Do(ctx, client.B().Ping().Build()).Error(); err != nil {
			l.lose(err)
			return err
		}
		return nil
	}
	server, err := identity(ctx, client)
	l.mu.Lock()
	if err != nil {
		l.cause = err
		l.mu.Unlock()
		return err
	}
	if l.state.Load().Session != before.Session {
		l.mu.Unlock()
		l.doubt() // it was lost again meanwhile
		return errLost
	}
	first := before.Session == 0 && before.Server == ""
	l.cause = nil
	l.state.Store(&State{Up: true, Session: before.Session, Server: server})
	l.mu.Unlock()
	if !first {
		l.log.InfoContext(ctx, "redis is back")
	}
	l.tell()
	return nil
}

// lose settles that what was known of the server holds no more. cause is nil for a connection that broke.
func (l *link) lose(cause error) {
	if cause == nil {
		cause = errLost
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	was := *l.state.Load()
	l.state.Store(&State{Session: was.Session + 1, Server: was.Server})
	l.cause = cause
	l.mu.Unlock()
	if was.Up {
		l.losses.Inc()
		l.log.Warn("redis is lost", "error", cause)
		l.tell()
	}
	l.doubt()
}

// doubt has the server proven soon.
func (l *link) doubt() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *link) watch(fn func(State)) {
	l.watching.Lock()
	defer l.watching.Unlock()
	l.watchers = append(l.watchers, fn)
}

func (l *link) tell() {
	l.watching.Lock()
	defer l.watching.Unlock()
	for _, fn := range l.watchers {
		fn(*l.state.Load())
	}
}

func (l *link) ready() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cause
}

var runID = regexp.MustCompile(`(?m)^run_id:([0-9a-f]+)`)

// identity is the run id of a single server. A server that does not tell has none.
func identity(ctx context.Context, client rueidis.Client) (string, error) {
	if client.Mode() == rueidis.ClientModeCluster {
		return "", client.Do(ctx, client.B().Ping().Build()).Error()
	}
	info, err := client.Do(ctx, client.B().Info().Section("server").Build()).ToString()
	if err != nil {
		return "", fmt.Errorf("ask the server: %w", err)
	}
	if found := runID.FindStringSubmatch(info); found != nil {
		return found[1], nil
	}
	return "", nil
}
