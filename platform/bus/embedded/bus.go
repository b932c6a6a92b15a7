// Package embedded is the bus of a single process. Each topic has a fixed
// number of lanes; a hash of the key picks the lane, one goroutine works a
// lane in order, and a batch is whatever has queued by then: no timers. Queues
// live in memory and are bounded in records; a full one makes publishers wait.
//
// Handlers may publish to other topics, also while Stop drains. Topics must
// not feed each other in a circle: full ones would wait for each other.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/bus/internal/work"
	"github.com/gochat-im/gochat/platform/errs"
)

type phase int32

const (
	open     phase = iota // taking records; delivering them once started
	draining              // taking records of handlers only
	stopped
)

// Bus implements bus.Bus in memory.
type Bus struct {
	cfg     Config
	log     *slog.Logger
	metrics *work.Metrics
	made    time.Time

	topics atomic.Pointer[map[string]*topic] // copied on write

	mu       sync.Mutex // guards what follows and serializes Subscribe, Start and Stop's beginning
	started  bool
	stopping bool
	cancel   context.CancelFunc

	phase     atomic.Int32
	pending   atomic.Int64 // records taken and not done, of all topics
	drained   chan struct{}
	drainOnce sync.Once
	finished  chan struct{} // closed when the first Stop is done
	workers   sync.WaitGroup
}

var _ bus.Bus = (*Bus)(nil)

// New makes a bus; settings that are 0 take their default. reg may be nil.
func New(cfg Config, log *slog.Logger, reg prometheus.Registerer) *Bus {
	b := &Bus{
		cfg: cfg.withDefaults(), log: log, made: time.Now(),
		drained: make(chan struct{}), finished: make(chan struct{}),
	}
	b.topics.Store(&map[string]*topic{})
	b.metrics = work.NewMetrics(reg, b.backlogs)
	return b
}

// Subscribe implements bus.Bus. It is refused after Start.
func (b *Bus) Subscribe(t bus.Topic, h bus.Handler) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := *b.topics.Load()
	switch {
	case t.Name == "" || h == nil:
		return errors.New("subscribe: a topic needs a name and a handler")
	case b.started || b.stopping:
		return fmt.Errorf("subscribe to %s: the bus has started", t.Name)
	case old[t.Name] != nil:
		return fmt.Errorf("subscribe to %s: the topic has a handler", t.Name)
	}
	next := maps.Clone(old)
	next[t.Name] = newTopic(b, t, h)
	b.topics.Store(&next)
	return nil
}

// Start implements bus.Bus. The end of ctx does not end the bus; Stop does.
func (b *Bus) Start(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.started || b.stopping {
		return errors.New("start bus: already started or stopped")
	}
	b.started = true
	ctx, b.cancel = context.WithCancel(context.WithoutCancel(ctx))
	ctx = context.WithValue(ctx, handlerMark{}, b)
	for _, t := range *b.topics.Load() {
		for i := range t.lanes {
			b.workers.Go(func() { t.lanes[i].run(ctx) })
		}
	}
	return nil
}

// Stop implements bus.Bus. What is left when ctx ends is lost and counted in
// the error; the handlers' context has ended by then.
func (b *Bus) Stop(ctx context.Context) error {
	b.mu.Lock()
	if b.stopping {
		b.mu.Unlock()
		<-b.finished
		return nil
	}
	b.stopping = true
	started, cancel := b.started, b.cancel
	b.mu.Unlock()
	defer close(b.finished)

	b.enter(draining)
	var err error
	if started {
		b.settle(0)
		select {
		case <-b.drained:
		case <-ctx.Done():
			err = context.Cause(ctx)
			cancel()
		}
	}
	b.enter(stopped)
	if started {
		cancel()
		b.workers.Wait()
	}
	if left := b.pending.Load(); left > 0 {
		return errors.Join(fmt.Errorf("stop bus: %d records were not handled", left), err)
	}
	return nil
}

// Depth implements bus.Bus.
func (b *Bus) Depth() map[string]int {
	depth := map[string]int{}
	for name, backlog := range b.backlogs() {
		depth[name] = backlog.Records
	}
	return depth
}

func (b *Bus) backlogs() map[string]work.Backlog {
	topics := *b.topics.Load()
	backlogs := make(map[string]work.Backlog, len(topics))
	for name, t := range topics {
		backlogs[name] = t.backlog()
	}
	return backlogs
}

// enter changes the phase and makes every lane see it: when it returns, no
// publisher is past the check of the old phase.
func (b *Bus) enter(p phase) {
	b.phase.Store(int32(p))
	for _, t := range *b.topics.Load() {
		for i := range t.lanes {
			t.lanes[i].phaseChanged(p)
		}
	}
}

// settle takes n records off the pending ones. A handler's records count
// before the ones it handled are settled, so that 0 means all topics are empty.
func (b *Bus) settle(n int) {
	if b.pending.Add(-int64(n)) == 0 && phase(b.phase.Load()) != open {
		b.drainOnce.Do(func() { close(b.drained) })
	}
}

func (b *Bus) now() time.Duration { return time.Since(b.made) }

// handlerMark marks the context of handlers, whose records are taken while draining.
type handlerMark struct{}

func (b *Bus) admits(ctx context.Context) bool {
	switch phase(b.phase.Load()) {
	case open:
		return true
	case draining:
		return ctx.Value(handlerMark{}) == b
	default:
		return false
	}
}

func errStopping(topic string) error {
	return errs.New(errs.Unavailable, "the server is shutting down").With("topic", topic)
}
