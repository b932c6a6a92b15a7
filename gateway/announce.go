package gateway

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/gochat-im/gochat/platform/registry"
)

const (
	// unbindAfter keeps a user bound for a client that comes back at once. A binding too many costs a needless call.
	unbindAfter = 10 * time.Second
	bindTimeout = 5 * time.Second
)

// announcer tells the registry which users and large groups this gateway serves. One goroutine writes what changed, so
// that of many changes at once each costs little and the last of a key counts. A nil one says nothing.
type announcer struct {
	registration registry.Registration
	log          *slog.Logger
	wake         chan struct{}
	stop         context.CancelFunc
	stopped      chan struct{}

	mu      sync.Mutex // guards what follows
	held    map[announced]*holding
	dirty   map[announced]struct{} // to be bound
	idle    []idleKey              // by due
	waiting []chan struct{}        // for the writes after now
	writing bool
}

type announced struct {
	space string
	key   int64
}

type holding struct {
	refs  int
	bound bool
}

type idleKey struct {
	announced
	due time.Time
}

func newAnnouncer(registration registry.Registration, log *slog.Logger) *announcer {
	a := &announcer{
		registration: registration, log: log, wake: make(chan struct{}, 1), stopped: make(chan struct{}),
		held: map[announced]*holding{}, dirty: map[announced]struct{}{},
	}
	var ctx context.Context
	ctx, a.stop = context.WithCancel(context.Background())
	go a.run(ctx)
	return a
}

// close ends the goroutine; settled changes stay.
func (a *announcer) close() {
	a.stop()
	<-a.stopped
}

// hold says that a connection needs a key. It does not wait: settle does.
func (a *announcer) hold(space string, key int64) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	k := announced{space, key}
	h := a.held[k]
	if h == nil {
		h = &holding{}
		a.held[k] = h
	}
	h.refs++
	if !h.bound {
		a.dirty[k] = struct{}{}
	}
}

// release takes one hold back.
func (a *announcer) release(space string, key int64) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	k := announced{space, key}
	if h := a.held[k]; h != nil {
		if h.refs--; h.refs == 0 {
			a.idle = append(a.idle, idleKey{k, time.Now().Add(unbindAfter)})
		}
	}
}

// settle returns when the registry knows everything that was held before, or ctx ends. A registry that is lost knows
// nothing, and its look-ups are answered by all gateways until it does: then nothing is waited for.
func (a *announcer) settle(ctx context.Context) {
	if a == nil {
		return
	}
	a.mu.Lock()
	if len(a.dirty) == 0 && !a.writing {
		a.mu.Unlock()
		return
	}
	written := make(chan struct{})
	a.waiting = append(a.waiting, written)
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
	select {
	case <-written:
	case <-a.stopped:
	case <-ctx.Done():
	}
}

func (a *announcer) run(ctx context.Context) {
	defer close(a.stopped)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-a.wake:
		}
		a.write(ctx)
	}
}

// write brings the registry up to date and wakes those who wait for it.
func (a *announcer) write(ctx context.Context) {
	a.mu.Lock()
	bind, unbind, waiting := map[string][]int64{}, map[string][]int64{}, a.waiting
	for k := range a.dirty {
		if h := a.held[k]; h != nil {
			h.bound = true
			bind[k.space] = append(bind[k.space], k.key)
		}
	}
	clear(a.dirty)
	for now := time.Now(); len(a.idle) > 0 && !a.idle[0].due.After(now); a.idle = a.idle[1:] {
		k := a.idle[0].announced
		if h := a.held[k]; h != nil && h.refs == 0 {
			delete(a.held, k)
			unbind[k.space] = append(unbind[k.space], k.key)
		}
	}
	a.waiting, a.writing = nil, true
	a.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, bindTimeout)
	defer cancel()
	for _, change := range []struct {
		keys map[string][]int64
		do   func(context.Context, string, ...int64) error
	}{{bind, a.registration.Bind}, {unbind, a.registration.Unbind}} {
		for space, keys := range change.keys {
			// The registry remembers what it could not write, and writes it once it is back.
			if err := change.do(ctx, space, keys...); err != nil {
				a.log.WarnContext(ctx, "the registry is behind", "space", space, "keys", len(keys), "error", err)
			}
		}
	}
	a.mu.Lock()
	a.writing = false
	a.mu.Unlock()
	for _, written := range waiting {
		close(written)
	}
}
