package embedded

import (
	"context"
	"log/slog"

	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/bus/internal/work"
)

// topic is a subscription: its lanes and the worker of their batches.
type topic struct {
	work.Worker
	lanes []lane
}

func newTopic(b *Bus, t bus.Topic, h bus.Handler) *topic {
	if t.MaxBatch <= 0 {
		t.MaxBatch = b.cfg.MaxBatch
	}
	if t.Attempts <= 0 {
		t.Attempts = b.cfg.Attempts
	}
	tp := &topic{
		Worker: work.Worker{
			Topic: t, Handler: h, RetryMin: b.cfg.RetryMin, RetryMax: b.cfg.RetryMax,
			Log: b.log.With(slog.String("topic", t.Name)), Metrics: b.metrics.Of(t.Name),
		},
		lanes: make([]lane, b.cfg.Lanes),
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
	collecting, after := bus.CollectAfter(ctx)
	for {
		batch = l.take(batch[:0])
		if len(batch) == 0 {
			return
		}
		if !l.topic.Do(collecting, collecting, batch) {
			return // the rest stays pending: Stop reports it
		}
		after.Call(ctx)
		clear(batch)
		l.done()
	}
}

// backlog sums up the lanes.
func (t *topic) backlog() work.Backlog {
	var b work.Backlog
	now := t.lanes[0].bus.now()
	for i := range t.lanes {
		n, at := t.lanes[i].backlog()
		if n > 0 {
			b.Records += n
			b.Oldest = max(b.Oldest, now-at)
		}
	}
	return b
}
