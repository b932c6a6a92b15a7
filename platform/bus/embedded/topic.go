package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/errs"
)

// topic is a subscription: its lanes and how their batches are worked.
type topic struct {
	bus.Topic
	handler bus.Handler
	cfg     Config
	log     *slog.Logger
	metrics topicMetrics
	lanes   []lane
}

func newTopic(b *Bus, t bus.Topic, h bus.Handler) *topic {
	if t.MaxBatch <= 0 {
		t.MaxBatch = b.cfg.MaxBatch
	}
	if t.Attempts <= 0 {
		t.Attempts = b.cfg.Attempts
	}
	tp := &topic{
		Topic: t, handler: h, cfg: b.cfg, log: b.log.With(slog.String("topic", t.Name)),
		metrics: b.metrics.of(t.Name), lanes: make([]lane, b.cfg.Lanes),
	}
	for i := range tp.lanes {
		l := &tp.lanes[i]
		l.bus, l.topic = b, tp
		l.work.L = &l.mu
	}
	return tp
}

// run works the lane until it closes.
func (l *lane) run(ctx context.Context) {
	batch := make([]bus.Record, 0, l.topic.MaxBatch)
	for {
		batch = l.take(batch[:0])
		if len(batch) == 0 {
			return
		}
		if !l.topic.work(ctx, batch) {
			return // the rest stays pending: Stop reports it
		}
		clear(batch)
		l.done()
	}
}

// work brings a batch to its end, whatever it takes; it returns false when ctx
// ended before.
func (t *topic) work(ctx context.Context, batch []bus.Record) bool {
	t.metrics.batch.Observe(float64(len(batch)))
	err := t.attempt(ctx, batch)
	switch {
	case err == nil:
		t.metrics.handled.Add(float64(len(batch)))
		return true
	case len(batch) == 1:
		return t.single(ctx, batch, 1, err)
	}
	if ctx.Err() == nil {
		t.log.Warn("batch failed: repeating its records one by one", slog.Int("records", len(batch)), slog.Any("error", err))
	}
	for i := range batch {
		if !t.single(ctx, batch[i:i+1:i+1], 0, nil) {
			return false
		}
	}
	return true
}

// single handles one record by itself; tried times it has failed with err already.
func (t *topic) single(ctx context.Context, record []bus.Record, tried int, err error) bool {
	for ; tried < t.Attempts; tried++ {
		if tried > 0 && !t.pause(ctx, tried-1) {
			return false
		}
		t.metrics.retries.Inc()
		if err = t.attempt(ctx, record); err == nil {
			t.metrics.handled.Inc()
			return true
		}
		if ctx.Err() != nil {
			return false
		}
	}
	return t.bury(ctx, record[0], err)
}

// attempt calls the handler until it succeeds or fails with an error that
// will not pass.
func (t *topic) attempt(ctx context.Context, batch []bus.Record) error {
	for n := 0; ; n++ {
		err := t.call(func() error { return t.handler(ctx, batch) })
		if code := errs.CodeOf(err); code != errs.Unavailable && code != errs.Timeout {
			return err
		}
		if !t.pause(ctx, n) {
			return err
		}
		if n&(n-1) == 0 { // 0, 1, 2, 4, 8 …
			t.log.Warn("handler unavailable: repeating the batch", slog.Int("repetition", n+1), slog.Any("error", err))
		}
		t.metrics.retries.Add(float64(len(batch)))
	}
}

// bury hands a record that failed for good to OnDead until that takes it.
func (t *topic) bury(ctx context.Context, r bus.Record, cause error) bool {
	t.log.Error("record failed for good", slog.Int64("key", r.Key), slog.Int("attempts", t.Attempts), slog.Any("error", cause))
	t.metrics.dead.Inc()
	if t.OnDead == nil {
		return true
	}
	for n := 0; ; n++ {
		err := t.call(func() error { return t.OnDead(ctx, r, cause) })
		if err == nil {
			return true
		}
		if n&(n-1) == 0 {
			t.log.Error("dead record not taken over: repeating", slog.Int64("key", r.Key), slog.Any("error", err))
		}
		if !t.pause(ctx, n) {
			return false
		}
	}
}

// call runs f and turns its panic into an error of the record.
func (t *topic) call(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			t.log.Error("handler panicked", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			err = errs.Wrap(errs.Internal, fmt.Errorf("panic: %v", p), "internal error")
		}
	}()
	return f()
}

// pause waits before repetition n, from 0: RetryMin doubling up to RetryMax,
// half of it random. It returns false when ctx ended.
func (t *topic) pause(ctx context.Context, n int) bool {
	d := min(t.cfg.RetryMin<<min(n, 20), t.cfg.RetryMax)
	d = d/2 + rand.N(d/2+1)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// backlog sums up the lanes; oldest is the age of the oldest record.
func (t *topic) backlog() (depth int, oldest time.Duration) {
	now := t.lanes[0].bus.now()
	for i := range t.lanes {
		n, at := t.lanes[i].backlog()
		if n > 0 {
			depth += n
			oldest = max(oldest, now-at)
		}
	}
	return depth, oldest
}
