package limit

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/gochat-im/gochat/platform/redis"
)

const (
	// leases is how many parts a burst has: what a process takes from a bucket at once, to give it out by itself.
	leases = 32
	// hold is how long a process may give out what it took; what is left then is lost to the key.
	hold = 10 * time.Second
	// maxBlock is how long a process refuses by itself after Redis did: a token that is given back elsewhere, or a filled
	// bucket, is seen so much later at most.
	maxBlock = 500 * time.Millisecond
	// takeTimeout is how long somebody waits for Redis before this process decides alone.
	takeTimeout = 250 * time.Millisecond
)

// take takes tokens of a bucket. The bucket is the time at which it will be full again, in the server's microseconds
// (the generic cell rate algorithm, ITU-T I.371: a token moves it by 1/rate, and it may lie a whole burst ahead).
//
// KEYS: the bucket. ARGV: rate, burst, tokens wanted; 0: only look; below 0: give back.
// Answers the tokens granted (1 when looking and there is one), and the microseconds until there is one.
var take = redis.NewScript(`
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local step = 1000000 / tonumber(ARGV[1])
local burst, n = tonumber(ARGV[2]), tonumber(ARGV[3])
local full = math.max(now, tonumber(redis.call('GET', KEYS[1]) or now))
local granted, wait = 0, 0
if n >= 0 then
  local free = math.floor((now - full) / step + burst + 0.000001)
  if free < 1 then
    return {0, math.ceil(full - now - (burst - 1) * step)}
  end
  if n == 0 then return {1, 0} end
  granted = math.min(free, n)
  full = full + granted * step
else
  full = full + n * step
end
if full <= now then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], string.format('%.3f', full), 'PX', math.ceil((full - now) / 1000))
end
return {granted, wait}`)

// shared has buckets in Redis that all processes take from. A process takes a lease of burst/32 tokens (at least one) and
// gives them out itself for at most 10 s, so that a hot key costs a round trip for every burst/32 tokens. Over any time T
// all n processes together let pass at most burst + rate·T + n·burst/32 (with a burst below 64 exactly burst + rate·T),
// and may lose a key as many tokens.
//
// While Redis is lost each process limits by itself, with the full rate and burst.
type shared struct {
	client   *redis.Client
	log      *slog.Logger
	metrics  *metrics
	name     string
	rate     string
	burst    string
	lease    int
	held     *table[held]
	fallback Limiter
}

// held is what a process has of a bucket.
type held struct {
	tokens  int
	ends    time.Time // when the tokens are lost
	asking  bool      // somebody takes a lease: others take one token each
	retryAt time.Time // when Redis has a token again
	blocked time.Time // until then nobody asks
}

type metrics struct{ takes, fallbacks prometheus.Counter }

// NewRedis is the Maker of limits that all processes share. reg may be nil.
func NewRedis(client *redis.Client, log *slog.Logger, reg prometheus.Registerer) Maker {
	f := promauto.With(reg)
	m := &metrics{
		takes:     f.NewCounter(prometheus.CounterOpts{Name: "gochat_limit_redis_calls_total", Help: "Questions to Redis about limits."}),
		fallbacks: f.NewCounter(prometheus.CounterOpts{Name: "gochat_limit_fallbacks_total", Help: "Limits that this process decided alone because Redis is lost."}),
	}
	return func(name string, cfg Config, maxKeys int) Limiter {
		return &shared{
			client: client, log: log, metrics: m, name: name,
			rate: strconv.FormatFloat(cfg.Rate, 'g', -1, 64), burst: strconv.Itoa(cfg.Burst), lease: max(1, cfg.Burst/leases),
			held: newTable[held](maxKeys), fallback: NewEmbedded(cfg, maxKeys),
		}
	}
}

func (l *shared) Allow(ctx context.Context, key string) (bool, time.Duration) {
	ok, decided, retryAfter := l.fromHeld(key, true)
	if decided {
		return ok, retryAfter
	}
	want := 1
	if l.lease > 1 {
		l.held.with(key, true, func(h *held) {
			if !h.asking {
				h.asking, want = true, l.lease
			}
		})
	}
	granted, retryAfter, err := l.ask(ctx, key, want)
	if err != nil || granted > 1 || want > 1 {
		now := time.Now()
		l.held.with(key, true, func(h *held) {
			if want > 1 {
				h.asking = false
			}
			if granted > 1 {
				if now.After(h.ends) {
					h.tokens = 0
				}
				h.tokens, h.ends = h.tokens+granted-1, now.Add(hold)
			}
		})
	}
	if err != nil {
		l.metrics.fallbacks.Inc()
		return l.fallback.Allow(ctx, key)
	}
	return granted > 0, l.refused(key, granted, retryAfter)
}

func (l *shared) Check(ctx context.Context, key string) (bool, time.Duration) {
	ok, decided, retryAfter := l.fromHeld(key, false)
	if decided {
		return ok, retryAfter
	}
	there, retryAfter, err := l.ask(ctx, key, 0)
	if err != nil {
		l.metrics.fallbacks.Inc()
		return l.fallback.Check(ctx, key)
	}
	return there > 0, l.refused(key, there, retryAfter)
}

func (l *shared) Give(ctx context.Context, key string) {
	kept, now := false, time.Now()
	l.held.with(key, false, func(h *held) {
		h.blocked = time.Time{}
		if now.Before(h.ends) {
			h.tokens, kept = h.tokens+1, true
		}
	})
	if kept {
		return
	}
	if _, _, err := l.ask(ctx, key, -1); err != nil {
		l.fallback.Give(ctx, key)
	}
}

func (l *shared) Reset(ctx context.Context, key string) {
	l.held.drop(key)
	l.fallback.Reset(ctx, key)
	if !l.client.State().Up {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, takeTimeout)
	defer cancel()
	err := l.client.Do(ctx, l.client.B().Del().Key(l.key(key)).Build()).Error()
	if err = l.client.Failed(err, "fill a bucket"); err != nil {
		l.log.DebugContext(ctx, "a limit is not reset everywhere", "limit", l.name, "error", err)
	}
}

// fromHeld answers from what this process has, if it can.
func (l *shared) fromHeld(key string, take bool) (ok, decided bool, retryAfter time.Duration) {
	now := time.Now()
	l.held.with(key, false, func(h *held) {
		switch {
		case h.tokens > 0 && now.Before(h.ends):
			ok, decided = true, true
			if take {
				h.tokens--
			}
		case now.Before(h.blocked):
			decided, retryAfter = true, h.retryAt.Sub(now)
		}
	})
	return ok, decided, retryAfter
}

// refused remembers a refusal and returns its wait.
func (l *shared) refused(key string, granted int, retryAfter time.Duration) time.Duration {
	if granted > 0 {
		return 0
	}
	now := time.Now()
	l.held.with(key, true, func(h *held) {
		h.retryAt, h.blocked = now.Add(retryAfter), now.Add(min(retryAfter, maxBlock))
	})
	return retryAfter
}

var errDown = errors.New("redis is lost")

// ask runs take.
func (l *shared) ask(ctx context.Context, key string, n int) (granted int, retryAfter time.Duration, err error) {
	if !l.client.State().Up {
		return 0, 0, errDown
	}
	l.metrics.takes.Inc()
	bounded, cancel := context.WithTimeout(ctx, takeTimeout)
	defer cancel()
	answer, err := take.Exec(bounded, l.client, redis.Call{
		Keys: []string{l.key(key)}, Args: []string{l.rate, l.burst, strconv.Itoa(n)},
	})[0].AsIntSlice()
	if err = l.client.Failed(err, "ask a limit"); err != nil {
		l.log.DebugContext(ctx, "a limit is decided alone", "limit", l.name, "error", err)
		return 0, 0, err
	}
	if len(answer) != 2 {
		return 0, 0, errors.New("ask a limit: the answer is malformed")
	}
	wait := math.Min(float64(answer[1])*float64(time.Microsecond), math.MaxInt64/2)
	return int(answer[0]), time.Duration(wait), nil
}

func (l *shared) key(key string) string { return l.client.Key("limit", l.name, key) }
