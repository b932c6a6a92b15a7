package registry

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/rueidis"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/redis"
)

// errDown is the cause of what is not tried because Redis is known to be lost.
var errDown = errors.New("redis is lost")

// shared is the registry of many processes. In Redis lie, for each kind, a hash of instances with the ends of their
// leases, and for each bound key a string of instance ids. A process that is cut off from Redis alone counts as dead for
// the others after its lease, until it is back.
type shared struct {
	client  *redis.Client
	cfg     Config
	log     *slog.Logger
	metrics *metrics

	mu      sync.Mutex // guards what follows
	views   map[string]*view
	members map[*member]struct{}
	agreed  map[string]string // by key
	keeping bool              // keepAgreed runs
	closed  bool

	done    context.Context // ends with the registry
	end     context.CancelFunc
	workers sync.WaitGroup
}

// NewRedis returns a registry over a connection, which stays the caller's. reg may be nil.
func NewRedis(cfg Config, client *redis.Client, log *slog.Logger, reg prometheus.Registerer) Registry {
	r := &shared{
		client: client, cfg: cfg, log: log, views: map[string]*view{}, members: map[*member]struct{}{}, agreed: map[string]string{},
	}
	r.metrics = newMetrics(r, reg)
	r.done, r.end = context.WithCancel(context.Background())
	client.Watch(func(redis.State) { r.wakeAll() })
	return r
}

// wakeAll has every member look at the connection.
func (r *shared) wakeAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for m := range r.members {
		m.poke()
	}
}

func (r *shared) instancesKey(kind string) string { return r.client.Key("instances", kind) }

func (r *shared) view(kind string) *view {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.views[kind]
	if !ok {
		v = newView(r.client, r.instancesKey(kind), kind, r.cfg.Lease)
		r.views[kind] = v
		if !r.closed {
			r.workers.Go(func() { r.remember(v) })
		}
	}
	return v
}

// remember reads a kind's list from time to time, so that a process that seldom looks something up knows whom to name
// when Redis is lost.
func (r *shared) remember(v *view) {
	tick := time.NewTicker(r.cfg.Lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-r.done.Done():
			return
		case <-tick.C:
		}
		r.Instances(r.done, v.kind)
	}
}

func (r *shared) Instances(ctx context.Context, kind string) []Instance {
	ctx, cancel := r.client.Within(ctx)
	defer cancel()
	s, err := r.view(kind).current(ctx)
	if err != nil {
		r.log.DebugContext(ctx, "instances are answered from memory", "kind", kind, "error", err)
	}
	return s.live
}

func (r *shared) Lookup(ctx context.Context, kind, space string, keys []int64) Found {
	r.metrics.lookups.Inc()
	if len(keys) == 0 {
		return Found{}
	}
	ctx, cancel := r.client.Within(ctx)
	defer cancel()
	names := make([]string, len(keys))
	start := r.client.Key("bind", kind, space, "")
	for i, key := range keys {
		names[i] = start + strconv.FormatInt(key, 10)
	}
	v := r.view(kind)
	for range 2 { // the second time when the connection was lost, or the database flushed, in between
		state := r.client.State()
		s, err := v.current(ctx)
		if err == nil && state.Up && s.session == state.Session {
			var values map[string]rueidis.RedisMessage
			values, err = rueidis.MGet(r.client.Client, ctx, names)
			if err == nil && r.client.State().Session == state.Session {
				found := s.resolve(names, values)
				if found.Degraded {
					r.metrics.degraded.Inc()
				}
				return found
			}
		}
		if err = r.client.Failed(err, "look up"); err != nil {
			r.log.DebugContext(ctx, "a look-up is answered by all instances", "kind", kind, "error", err)
			break
		}
	}
	r.metrics.degraded.Inc()
	s, _ := v.cached()
	found := Found{Instances: make([][]Instance, len(keys)), Degraded: true}
	for i := range found.Instances {
		found.Instances[i] = s.live
	}
	return found
}

// resolve turns strings of ids into instances: those that live, and those whose bindings may be missing.
func (s *snapshot) resolve(names []string, values map[string]rueidis.RedisMessage) Found {
	found := Found{Instances: make([][]Instance, len(names)), Degraded: len(s.unsure) > 0}
	for i, name := range names {
		message := values[name]
		value, err := message.ToString()
		if err != nil { // nil: nobody has the key
			found.Instances[i] = s.unsure
			continue
		}
		var of []Instance
		for entry := range strings.SplitSeq(value, " ") {
			id, _, _ := strings.Cut(entry, "@")
			alone, lives := s.alone[id]
			switch {
			case !lives:
			case of == nil:
				of = alone
			default:
				of = append(slices.Clip(of), alone...)
			}
		}
		found.Instances[i] = s.withUnsure(of)
	}
	return found
}

// withUnsure adds the instances whose bindings may be missing.
func (s *snapshot) withUnsure(of []Instance) []Instance {
	if len(of) == 0 {
		return s.unsure
	}
next:
	for _, u := range s.unsure {
		for _, i := range of {
			if i.ID == u.ID {
				continue next
			}
		}
		of = append(slices.Clip(of), u)
	}
	return of
}

func (r *shared) Register(ctx context.Context, i Instance) (Registration, error) {
	if err := i.validate(); err != nil {
		return nil, err
	}
	m := newMember(r, i)
	if err := m.join(ctx); err != nil {
		return nil, err
	}
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil, errors.Join(left(), m.sayLeft(ctx))
	}
	r.members[m] = struct{}{}
	r.workers.Go(m.run)
	r.mu.Unlock()
	select { // until no process answers from a list without it
	case <-time.After(viewAge):
		return m, nil
	case <-ctx.Done():
		return nil, errors.Join(errs.Wrap(errs.Unavailable, ctx.Err(), "registering was given up"), m.Leave(context.WithoutCancel(ctx)))
	}
}

func (r *shared) Close(ctx context.Context) error {
	r.mu.Lock()
	r.closed = true
	members := make([]*member, 0, len(r.members))
	for m := range r.members {
		members = append(members, m)
	}
	r.mu.Unlock()
	var failed []error
	for _, m := range members {
		failed = append(failed, m.Leave(ctx))
	}
	r.end()
	r.workers.Wait()
	return errors.Join(failed...)
}
