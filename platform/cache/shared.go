package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/rueidis"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/redis"
)

// settle is how long Redis must be back before its values are read again: what other processes could not invalidate
// while it was away they do in this time.
const settle = time.Second

// maxOwed is how many invalidations are remembered while Redis is away.
const maxOwed = 100_000

// SharedConfig are the settings of caches in Redis.
type SharedConfig struct {
	// TTL bounds how long a value lives. It is also, twice, how long other processes may read a stale value when a process
	// that alone is cut off from Redis changes it.
	TTL time.Duration `koanf:"ttl"`
}

// DefaultSharedConfig returns the defaults.
func DefaultSharedConfig() SharedConfig { return SharedConfig{TTL: time.Minute} }

// Validate reports the first setting that cannot work, by its name within the section.
func (c SharedConfig) Validate() error {
	if c.TTL < time.Second || c.TTL > time.Hour {
		return errors.New("ttl: must be 1s to 1h")
	}
	return nil
}

// Shared is what the caches of a process that lie in Redis have in common: the connection over which Redis tells what
// other processes changed, and the invalidations that are owed to them.
type Shared struct {
	client *redis.Client
	cfg    SharedConfig
	log    *slog.Logger
	reg    prometheus.Registerer

	settled atomic.Uint64 // 1 + the session in which Redis' values may be read
	debts   atomic.Int64  // len(owed)
	wake    chan struct{}
	cancel  context.CancelFunc
	done    chan struct{}

	mu       sync.Mutex // guards what follows
	caches   map[string]member
	owed     map[string]uint64 // "cache:key", to when it was owed last
	owing    uint64            // counts what was owed
	overflow time.Time         // when more was owed than is remembered
}

// member is one cache, to the connection.
type member interface {
	told(key string)
	forgetAll()
}

// OpenShared connects to Redis. reg may be nil.
func OpenShared(ctx context.Context, connection redis.Config, cfg SharedConfig, log *slog.Logger, reg prometheus.Registerer) (*Shared, error) {
	s := &Shared{
		cfg: cfg, log: log, reg: reg, wake: make(chan struct{}, 1), done: make(chan struct{}),
		caches: map[string]member{}, owed: map[string]uint64{},
	}
	prefix := connection.Prefix + ":cache:"
	var err error
	s.client, err = redis.Open(ctx, connection, redis.Options{
		Name: "cache", OnInvalidate: func(keys []string) { s.invalidated(prefix, keys) },
	}, log, reg)
	if err != nil {
		return nil, err
	}
	s.settled.Store(s.client.State().Session + 1)
	ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.client.Watch(func(redis.State) { s.poke() })
	s.poke() // what happened before the watch began
	go s.run(ctx)
	if reg != nil {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gochat_cache_owed_invalidations", Help: "Invalidations that other processes could not be told of yet.",
		}, func() float64 { return float64(s.debts.Load()) }))
	}
	return s, nil
}

// Close ends the connection. The caches load every value from then on.
func (s *Shared) Close() {
	s.cancel()
	<-s.done
	s.client.Close()
}

// Ready reports why Redis is not there, or nil.
func (s *Shared) Ready() error { return s.client.Ready() }

func (s *Shared) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// usable tells whether values of Redis may be read, and over which connection.
func (s *Shared) usable() (redis.State, bool) {
	state := s.client.State()
	return state, state.Up && s.settled.Load() == state.Session+1 && s.debts.Load() == 0
}

// name is where a key of a cache lies. Every start of the server has names of its own: values that it restores from an
// old copy, whose invalidations may be lost, are never read.
func (s *Shared) name(on redis.State, key string) string {
	return s.client.Key("cache", on.Server[:min(len(on.Server), 12)], key)
}

// invalidated takes what another process changed, or nil for a lost connection or a flush.
func (s *Shared) invalidated(prefix string, keys []string) {
	if keys == nil {
		s.mu.Lock()
		caches := slices.Collect(maps.Values(s.caches))
		s.mu.Unlock()
		for _, c := range caches {
			c.forgetAll()
		}
		return
	}
	for _, key := range keys {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok {
			continue
		}
		_, rest, _ = strings.Cut(rest, ":") // the server
		name, id, _ := strings.Cut(rest, ":")
		s.mu.Lock()
		c := s.caches[name]
		s.mu.Unlock()
		if c != nil {
			c.told(id)
		}
	}
}

// remove takes keys ("cache:key") out of Redis, which tells every process that has read them. What it cannot do it owes.
func (s *Shared) remove(ctx context.Context, keys []string) error {
	var err error
	for range 2 { // the second time over a new connection
		state := s.client.State()
		if !state.Up {
			err = errors.New("redis is lost")
			break
		}
		if err = s.del(ctx, state, keys); err == nil && s.client.State().Session == state.Session {
			return nil
		}
	}
	s.owe(keys)
	return errs.Wrap(errs.Unavailable, err, "other processes could not be told of a change yet")
}

func (s *Shared) del(ctx context.Context, on redis.State, keys []string) error {
	ctx, cancel := s.client.Within(ctx)
	defer cancel()
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = s.name(on, key)
	}
	for _, err := range rueidis.MDel(s.client.Client, ctx, names) {
		if err != nil {
			return s.client.Failed(err, "invalidate")
		}
	}
	return nil
}

func (s *Shared) owe(keys []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		if len(s.owed) >= maxOwed {
			s.overflow = time.Now()
			s.settled.Store(0)
			break
		}
		s.owing++
		s.owed[key] = s.owing
	}
	s.debts.Store(int64(len(s.owed)))
	s.poke()
}

// run does what is owed when Redis is back, and lets its values be read again after that.
func (s *Shared) run(ctx context.Context) {
	defer close(s.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	seen, since := s.client.State().Session, time.Now().Add(-settle) // the session that is up, and since when
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-s.wake:
		}
		timer.Reset(time.Hour)
		state := s.client.State()
		if !state.Up {
			continue
		}
		if err := s.pay(ctx); err != nil {
			s.log.DebugContext(ctx, "invalidations are still owed", "error", err)
			timer.Reset(settle / 5)
			continue
		}
		if seen != state.Session {
			seen, since = state.Session, time.Now()
		}
		s.mu.Lock()
		from := since.Add(settle)
		if until := s.overflow.Add(s.cfg.TTL); until.After(from) {
			from = until
		}
		s.mu.Unlock()
		if wait := time.Until(from); wait > 0 && s.settled.Load() != state.Session+1 {
			timer.Reset(wait)
			continue
		}
		s.settled.Store(state.Session + 1)
	}
}

// pay invalidates what is owed.
func (s *Shared) pay(ctx context.Context) error {
	s.mu.Lock()
	owed := maps.Clone(s.owed)
	s.mu.Unlock()
	keys := slices.Collect(maps.Keys(owed))
	for batch := range slices.Chunk(keys, 500) {
		state := s.client.State()
		if err := s.del(ctx, state, batch); err != nil {
			return err
		}
		if s.client.State().Session != state.Session {
			return fmt.Errorf("invalidate: %w", errors.New("the connection was lost"))
		}
		s.mu.Lock()
		for _, key := range batch {
			if s.owed[key] == owed[key] {
				delete(s.owed, key)
			}
		}
		s.debts.Store(int64(len(s.owed)))
		s.mu.Unlock()
	}
	return nil
}
