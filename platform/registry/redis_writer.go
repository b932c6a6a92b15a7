package registry

import (
	"context"
	"maps"
	"strconv"
	"time"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/redis"
)

const (
	bindSeconds  = 3600             // for which a binding stays when its owner is gone
	refreshGap   = 20 * time.Minute // between two writes of everything that is bound
	writeBatch   = 500              // keys in one round trip
	failureDelay = 200 * time.Millisecond
)

// run renews the lease and writes bindings until the instance leaves.
func (m *member) run() {
	defer close(m.stopped)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-m.started.Done():
			return
		case <-timer.C:
		case <-m.wake:
		}
		timer.Reset(m.work(m.started))
	}
}

// work does what is due and returns when to look again at the latest.
func (m *member) work(ctx context.Context) time.Duration {
	for ctx.Err() == nil {
		state := m.registry.client.State()
		if !state.Up {
			m.answer(m.take(), errs.Wrap(errs.Unavailable, errDown, "a binding is not written yet"))
			return m.registry.cfg.Lease / 3 // the end of the loss wakes
		}
		if err := m.renew(ctx, state); err != nil {
			m.answer(m.take(), err)
			return failureDelay
		}
		if err := m.write(ctx); err != nil {
			m.state, m.beatDue = stateRebuild, time.Now() // until it is written, nobody may rely on what is
			return failureDelay
		}
		if !m.busy() {
			break
		}
	}
	return max(0, time.Until(m.beatDue))
}

func (m *member) busy() bool {
	return len(m.backlog) > 0 || m.state == stateRebuild || m.pending()
}

// pending tells whether a change waits to be written.
func (m *member) pending() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.waiting) > 0 || len(m.changed) > 0
}

// renew tells that the instance lives, when that is due, and finds out whether its bindings must be written again: after
// a loss of the connection or of the registration nobody knows what is left of them.
func (m *member) renew(ctx context.Context, on redis.State) error {
	now := time.Now()
	rebuilt := m.state == stateRebuild && len(m.backlog) == 0 && m.session == on.Session && !m.pending()
	switch {
	case m.session != on.Session:
		m.rebuild(on)
	case rebuilt:
		m.state = stateReady
	case now.Before(m.beatDue):
		return nil
	}
	answer, err := m.beat(ctx, "0")
	if err != nil {
		m.beatDue = now
		if rebuilt {
			m.state = stateRebuild
		}
		return err
	}
	if answer < 0 {
		m.registry.log.ErrorContext(ctx, "another process registered under this instance's address: nobody finds this one any more",
			"instance", m.instance.ID, "address", m.instance.Address)
	}
	if answer == 0 { // nobody knew it any more
		m.visible = time.Now().Add(viewAge)
		if m.state == stateReady {
			m.rebuild(on)
			_, err = m.beat(ctx, "0")
			return err
		}
	}
	if now.After(m.refreshDue) && len(m.backlog) == 0 {
		m.backlog = m.all()
		m.refreshDue = now.Add(refreshGap)
	}
	return nil
}

// rebuild has everything written again, and look-ups not rely on it until then.
func (m *member) rebuild(on redis.State) {
	m.session, m.server, m.state, m.backlog = on.Session, on.Server, stateRebuild, m.all()
	m.refreshDue = time.Now().Add(refreshGap)
	m.registry.metrics.rebuilds.Inc()
	m.registry.log.Info("bindings are written again", "instance", m.instance.ID, "keys", len(m.backlog))
}

func (m *member) all() []place {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []place
	for space, keys := range m.bound {
		for key := range keys {
			all = append(all, place{space, key})
		}
	}
	return all
}

// beat renews the lease, and answers what the script of that name does.
func (m *member) beat(ctx context.Context, first string) (int64, error) {
	r := m.registry
	ctx, cancel := r.client.Within(ctx)
	defer cancel()
	answer, err := beat.Exec(ctx, r.client, redis.Call{
		Keys: []string{r.instancesKey(m.instance.Kind)},
		Args: []string{m.instance.ID, strconv.FormatInt(r.cfg.Lease.Milliseconds(), 10), m.state, m.server + "|" + m.instance.Address, first},
	})[0].AsInt64()
	if err != nil {
		return 0, r.client.Failed(err, "renew a lease")
	}
	m.beatDue = time.Now().Add(r.cfg.Lease / 3)
	return answer, nil
}

// taken is what a write has to do, and who waits for it.
type taken struct {
	places  map[place]struct{}
	waiting []chan error
}

// take takes over every change.
func (m *member) take() taken {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := taken{places: m.changed, waiting: m.waiting}
	m.changed, m.waiting = map[place]struct{}{}, nil
	return t
}

// answer tells the waiting what became of their changes. What failed stays to be written.
func (m *member) answer(t taken, err error) {
	if err != nil {
		m.mu.Lock()
		maps.Copy(m.changed, t.places)
		m.mu.Unlock()
	}
	for _, w := range t.waiting {
		w <- err
	}
}

// write writes every change, and one batch of the backlog.
func (m *member) write(ctx context.Context) error {
	t := m.take()
	batch := make([]place, 0, len(t.places))
	for p := range t.places {
		batch = append(batch, p)
	}
	err := m.put(ctx, batch)
	if err == nil && len(t.waiting) > 0 {
		select { // no answer before every process knows the instance
		case <-time.After(time.Until(m.visible)):
		case <-ctx.Done():
			err = left()
		}
	}
	m.answer(t, err)
	if err != nil || len(m.backlog) == 0 {
		return err
	}
	n := min(writeBatch, len(m.backlog))
	if err := m.put(ctx, m.backlog[:n]); err != nil {
		return err
	}
	if m.backlog = m.backlog[n:]; len(m.backlog) == 0 {
		m.backlog = nil
	}
	return nil
}

// put writes places as they are bound now.
func (m *member) put(ctx context.Context, places []place) error {
	r := m.registry
	for len(places) > 0 {
		n := min(writeBatch, len(places))
		calls := make([]redis.Call, n)
		m.version++
		version := strconv.FormatInt(m.version, 10)
		m.mu.Lock()
		for i, p := range places[:n] {
			seconds := "0"
			if _, bound := m.bound[p.space][p.key]; bound {
				seconds = strconv.Itoa(bindSeconds)
			}
			calls[i] = redis.Call{
				Keys: []string{r.client.Key("bind", m.instance.Kind, p.space, strconv.FormatInt(p.key, 10))},
				Args: []string{m.instance.ID, version, seconds},
			}
		}
		m.mu.Unlock()
		bounded, cancel := r.client.Within(ctx)
		results := bind.Exec(bounded, r.client, calls...)
		cancel()
		for _, result := range results {
			if err := r.client.Failed(result.Error(), "write bindings"); err != nil {
				return err
			}
		}
		places = places[n:]
	}
	return nil
}
