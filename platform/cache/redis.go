package cache

import (
	"context"
	"crypto/rand"
	"maps"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gochat-im/gochat/platform/redis"
)

// tokenTTL is how long a load may take whose value is still put into Redis.
const tokenTTL = 30 * time.Second

// A key of Redis holds a value, or the token of those who load it: what was loaded is stored only where its token still
// lies. An invalidation deletes either, so that nothing loaded before it is stored after it (the leases of Facebook's
// memcache, https://www.usenix.org/conference/nsdi13/technical-sessions/presentation/nishtala).
const (
	tagValue = 'v'
	tagToken = 't'
)

// lease reads a key, or leaves a token there. The last read is what has Redis tell this client of changes: it forgets
// whom to tell at every write. KEYS: the key. ARGV: a token, its life in ms.
var lease = redis.NewScript(`
local v = redis.call('GET', KEYS[1])
if not v then
  v = ARGV[1]
  redis.call('SET', KEYS[1], v, 'PX', ARGV[2])
  redis.call('GET', KEYS[1])
end
return v`)

// fill stores a value in the place of its token. KEYS: the key. ARGV: token, value, life in ms. Answers 1: stored, 0: not.
var fill = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('GET', KEYS[1])
return 1`)

// Config describes a cache that may lie in Redis.
type Config[K comparable, V any] struct {
	Name       string // label of its metrics and part of its keys; without a colon
	MaxEntries int    // in this process
	Key        Codec[K]
	Value      Codec[V]
}

// New returns a cache: in two levels, this process and Redis, or without shared in this process alone. reg may be nil and
// counts for an in-process cache; shared has its own.
//
// In Redis, Invalidate returns when the key is gone there: this process never sees the old value again, and every other
// one stops seeing it when Redis' message reaches it, usually within a millisecond. A process whose connection broke
// forgets everything at once, one whose connection is half open after at most twice 0.5 s and the timeout of the
// settings. While Redis is lost every read loads and nothing is kept. Invalidate then answers errs.Unavailable: the value
// is forgotten here, and the other processes are told when Redis is back, before this one reads from it again. Only a
// process that is connected all the while, when the invalidating one is not, can see the old value until then, at most
// for two TTLs.
func New[K comparable, V any](shared *Shared, cfg Config[K, V], reg prometheus.Registerer) Cache[K, V] {
	if shared == nil {
		return NewEmbedded[K, V](EmbeddedConfig{Name: cfg.Name, MaxEntries: cfg.MaxEntries}, reg)
	}
	c := &twoLevel[K, V]{local: newLocal[K, V](cfg.MaxEntries, shared.cfg.TTL), shared: shared, cfg: cfg}
	registerMetrics(cfg.Name, c.Stats, shared.reg)
	if shared.reg != nil {
		shared.reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "gochat_cache_redis_hits_total", Help: "Misses of this process that Redis answered.",
			ConstLabels: prometheus.Labels{"cache": cfg.Name},
		}, func() float64 { return float64(c.remoteHits.Load()) }))
	}
	shared.mu.Lock()
	shared.caches[cfg.Name] = c
	shared.mu.Unlock()
	return c
}

// twoLevel keeps values in this process, as long as Redis watches them for it.
type twoLevel[K comparable, V any] struct {
	*local[K, V]

	shared     *Shared
	cfg        Config[K, V]
	remoteHits atomic.Uint64
}

func (c *twoLevel[K, V]) Get(ctx context.Context, key K, load func(ctx context.Context, key K) (V, error)) (V, error) {
	return c.get(ctx, key, func(ctx context.Context, key K) (V, bool, error) {
		values, keep, err := c.through(ctx, []K{key}, func(ctx context.Context, _ []K) (map[K]V, error) {
			v, err := load(ctx, key)
			return map[K]V{key: v}, err
		})
		return values[key], keep != nil && keep(key), err
	})
}

func (c *twoLevel[K, V]) GetMany(ctx context.Context, keys []K, load func(ctx context.Context, missing []K) (map[K]V, error)) (map[K]V, error) {
	return c.getMany(ctx, keys, func(ctx context.Context, missing []K) (map[K]V, func(K) bool, error) {
		return c.through(ctx, missing, load)
	})
}

func (c *twoLevel[K, V]) Invalidate(ctx context.Context, keys ...K) error {
	if len(keys) == 0 {
		return nil
	}
	ids := make([]string, 0, len(keys))
	for _, key := range keys {
		id, err := c.id(key)
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	c.forget(keys...)
	err := c.shared.remove(ctx, ids)
	c.forget(keys...) // what was read in between may be from before
	return err
}

// told drops a key that another process changed.
func (c *twoLevel[K, V]) told(id string) {
	if key, err := c.cfg.Key.Decode([]byte(id)); err == nil {
		c.forget(key)
	}
}

// id is a key's name in Redis, below what all caches have in common.
func (c *twoLevel[K, V]) id(key K) (string, error) {
	b, err := c.cfg.Key.Encode(key)
	return c.cfg.Name + ":" + string(b), err
}

// through reads keys from Redis and loads what is not there. keep tells which values Redis watches.
func (c *twoLevel[K, V]) through(ctx context.Context, keys []K, load func(ctx context.Context, missing []K) (map[K]V, error)) (values map[K]V, keep func(K) bool, err error) {
	watched := make(map[K]bool, len(keys))
	keep = func(key K) bool { return watched[key] }
	state, usable := c.shared.usable()
	if !usable {
		values, err = load(ctx, keys)
		return values, keep, err
	}
	values = make(map[K]V, len(keys))
	places, err := c.read(ctx, state, keys, values, watched)
	if err != nil {
		c.shared.log.DebugContext(ctx, "a cache reads around Redis", "cache", c.cfg.Name, "error", err)
	}
	missing := keys
	if len(values) > 0 {
		missing = nil
		for _, key := range keys {
			if _, ok := values[key]; !ok {
				missing = append(missing, key)
			}
		}
	}
	if len(missing) == 0 {
		return values, keep, nil
	}
	loaded, err := load(ctx, missing)
	if err != nil {
		return nil, nil, err
	}
	maps.Copy(values, loaded)
	c.store(ctx, loaded, places, watched)
	return values, keep, nil
}

// place is where a value goes that is being loaded.
type place struct{ name, token string }

// read puts what Redis has into values and returns where to put the rest. Redis watches the values it answered with.
func (c *twoLevel[K, V]) read(ctx context.Context, on redis.State, keys []K, values map[K]V, watched map[K]bool) (map[K]place, error) {
	ctx, cancel := c.shared.client.Within(ctx)
	defer cancel()
	token, life := string(tagToken)+rand.Text(), strconv.FormatInt(tokenTTL.Milliseconds(), 10)
	calls := make([]redis.Call, len(keys))
	for i, key := range keys {
		id, err := c.id(key)
		if err != nil {
			return nil, err
		}
		calls[i] = redis.Call{Keys: []string{c.shared.name(on, id)}, Args: []string{token, life}}
	}
	places := make(map[K]place, len(keys))
	var failed error
	for i, result := range lease.Exec(ctx, c.shared.client, calls...) {
		answer, err := result.AsBytes()
		if err != nil {
			failed = c.shared.client.Failed(err, "read a cache")
			continue
		}
		switch {
		case len(answer) > 0 && answer[0] == tagValue:
			v, err := c.cfg.Value.Decode(answer[1:])
			if err != nil {
				failed = err
				continue
			}
			values[keys[i]], watched[keys[i]] = v, true
			c.remoteHits.Add(1)
		default:
			places[keys[i]] = place{calls[i].Keys[0], string(answer)}
		}
	}
	return places, failed
}

// store puts loaded values into their places. Those that are not there any more are not watched.
func (c *twoLevel[K, V]) store(ctx context.Context, loaded map[K]V, places map[K]place, watched map[K]bool) {
	var keys []K
	var calls []redis.Call
	life := strconv.FormatInt(c.shared.cfg.TTL.Milliseconds(), 10)
	for key, v := range loaded {
		at, ok := places[key]
		if !ok {
			continue
		}
		b, err := c.cfg.Value.Encode(v)
		if err != nil {
			c.shared.log.ErrorContext(ctx, "a value cannot be encoded", "cache", c.cfg.Name, "error", err)
			continue
		}
		keys = append(keys, key)
		calls = append(calls, redis.Call{Keys: []string{at.name}, Args: []string{at.token, string(tagValue) + string(b), life}})
	}
	if len(calls) == 0 {
		return
	}
	ctx, cancel := c.shared.client.Within(ctx)
	defer cancel()
	for i, result := range fill.Exec(ctx, c.shared.client, calls...) {
		stored, err := result.AsInt64()
		if err := c.shared.client.Failed(err, "fill a cache"); err != nil {
			c.shared.log.DebugContext(ctx, "a cache is not filled", "cache", c.cfg.Name, "error", err)
		}
		watched[keys[i]] = err == nil && stored == 1
	}
}
