package registry

import (
	"context"
	"sync"
	"time"

	"github.com/gochat-im/gochat/platform/errs"
)

// place is a key of a space.
type place struct {
	space string
	key   int64
}

// member is a registered instance. It remembers what it bound, about 20 bytes a key: only who orders the changes and the
// rebuilding of a key in one place can keep a rebuilt binding from overtaking its end. One goroutine does all writing: it
// writes what is bound at the time of the write, so the order of changes cannot matter, and a lone change costs one round
// trip while many share one.
type member struct {
	registry *shared
	instance Instance
	wake     chan struct{}
	stop     context.CancelFunc
	stopped  chan struct{}
	started  context.Context

	mu      sync.Mutex // guards what follows
	bound   map[string]map[int64]struct{}
	changed map[place]struct{} // since it was written
	waiting []chan error       // for changed to be written
	left    bool

	// The rest belongs to run.
	session    uint64 // of the connection that everything bound was written over, or is about to be
	server     string // at its other end
	state      string // as last told
	beatDue    time.Time
	refreshDue time.Time
	visible    time.Time // from then on every process knows the instance
	backlog    []place   // to be written again
	version    int64
}

func newMember(r *shared, i Instance) *member {
	m := &member{
		registry: r, instance: i, wake: make(chan struct{}, 1), stopped: make(chan struct{}),
		bound: map[string]map[int64]struct{}{}, changed: map[place]struct{}{}, state: stateReady,
	}
	m.started, m.stop = context.WithCancel(r.done)
	return m
}

// join registers, before run starts.
func (m *member) join(ctx context.Context) error {
	state := m.registry.client.State()
	if !state.Up {
		return errs.Wrap(errs.Unavailable, errDown, "a backend is unavailable")
	}
	m.session, m.server = state.Session, state.Server
	answer, err := m.beat(ctx, "1")
	if err == nil && answer < 0 {
		return errs.New(errs.Conflict, "instance %q is registered already", m.instance.ID)
	}
	now := time.Now()
	m.refreshDue, m.visible = now.Add(refreshGap), now.Add(viewAge)
	return err
}

func (m *member) Bind(ctx context.Context, space string, keys ...int64) error {
	return m.change(ctx, space, keys, true)
}

func (m *member) Unbind(ctx context.Context, space string, keys ...int64) error {
	return m.change(ctx, space, keys, false)
}

// change remembers keys and waits until they are written.
func (m *member) change(ctx context.Context, space string, keys []int64, bind bool) error {
	written := make(chan error, 1)
	if err := m.note(space, keys, bind, written); err != nil {
		return err
	}
	m.poke()
	select {
	case err := <-written:
		return err
	case <-ctx.Done():
		return errs.Wrap(errs.Unavailable, ctx.Err(), "a binding is not written yet")
	}
}

func (m *member) note(space string, keys []int64, bind bool, written chan error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left {
		return left()
	}
	of := m.bound[space]
	if of == nil {
		of = map[int64]struct{}{}
		m.bound[space] = of
	}
	for _, key := range keys {
		if bind {
			of[key] = struct{}{}
		} else {
			delete(of, key)
		}
		m.changed[place{space, key}] = struct{}{}
	}
	if !m.registry.client.State().Up {
		return errs.Wrap(errs.Unavailable, errDown, "a binding is not written yet")
	}
	m.waiting = append(m.waiting, written)
	return nil
}

func (m *member) Leave(ctx context.Context) error {
	m.mu.Lock()
	was := m.left
	m.left = true
	waiting := m.waiting
	m.waiting = nil
	m.mu.Unlock()
	if was {
		<-m.stopped
		return nil
	}
	m.stop()
	<-m.stopped
	for _, w := range waiting {
		w <- left()
	}
	m.registry.mu.Lock()
	delete(m.registry.members, m)
	m.registry.mu.Unlock()
	m.registry.view(m.instance.Kind).forget(m.instance.ID)
	return m.sayLeft(ctx)
}

func (m *member) sayLeft(ctx context.Context) error {
	m.state = stateLeft
	_, err := m.beat(ctx, "0")
	return err
}

// poke has run look what there is to do.
func (m *member) poke() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}
