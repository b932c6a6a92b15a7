package kafka

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/bus/internal/work"
)

// consumer is a subscription: this process's member of the topic's group.
type consumer struct {
	bus    *Bus
	name   string // in Kafka: with the prefix
	worker work.Worker
	log    *slog.Logger

	mu       sync.Mutex         // guards progress
	progress map[int]*partition // that this process owns now
}

func newConsumer(b *Bus, t bus.Topic, h bus.Handler) *consumer {
	if t.MaxBatch <= 0 {
		t.MaxBatch = b.cfg.MaxBatch
	}
	if t.Attempts <= 0 {
		t.Attempts = b.cfg.Attempts
	}
	if onDead := t.OnDead; onDead != nil {
		t.OnDead = func(ctx context.Context, r bus.Record, cause error) error {
			return onDead(context.WithValue(ctx, deadMark{}, b), r, cause)
		}
	}
	log := b.log.With(slog.String("topic", t.Name))
	return &consumer{
		bus: b, name: b.cfg.Prefix + t.Name, log: log, progress: map[int]*partition{},
		worker: work.Worker{
			Topic: t, Handler: h, RetryMin: b.cfg.RetryMin, RetryMax: b.cfg.RetryMax,
			Log: log, Metrics: b.metrics.work.Of(t.Name),
		},
	}
}

// run is a member of the group until reading ends; handlers have the context working.
func (c *consumer) run(reading, working context.Context) {
	if _, err := c.bus.partitions(reading, c.name); err != nil {
		return // stopped before the topic was there
	}
	cfg := &c.bus.cfg
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: c.name, Brokers: cfg.Brokers, Dialer: c.bus.dialer, Topics: []string{c.name},
		StartOffset: kafka.FirstOffset, WatchPartitionChanges: true,
		SessionTimeout: cfg.SessionTimeout, RebalanceTimeout: cfg.SessionTimeout,
		HeartbeatInterval: cfg.SessionTimeout / 10, JoinGroupBackoff: 200 * time.Millisecond, Timeout: cfg.RequestTimeout,
		// The group's log lines come as errors of Next or are routine.
	})
	if err != nil {
		c.log.ErrorContext(reading, "cannot consume", slog.Any("error", err)) // the settings were validated
		return
	}
	for tries := 0; ; {
		generation, err := group.Next(reading)
		switch {
		case err == nil:
			tries = 0
			c.bus.health.good()
			c.own(generation, reading, working)
		case reading.Err() != nil:
			if err := group.Close(); err != nil { // leaves the group: its partitions go on elsewhere at once
				c.log.InfoContext(working, "left the group without a word", slog.Any("error", err))
			}
			return
		default:
			c.bus.health.bad(err)
			c.bus.pause(reading, tries)
			tries++
		}
	}
}

// own works the partitions of a generation, which joins the next one only after
// all have ended and their offsets are committed.
func (c *consumer) own(g *kafka.Generation, reading, working context.Context) {
	c.bus.metrics.rebalances.WithLabelValues(c.worker.Name).Inc()
	owned := map[int]*partition{}
	for _, a := range g.Assignments[c.name] {
		owned[a.ID] = &partition{c: c, id: a.ID, next: a.Offset, again: -1, done: max(a.Offset, -1)}
	}
	c.mu.Lock()
	c.progress = owned
	c.mu.Unlock()
	c.log.InfoContext(working, "partitions assigned", slog.Int("count", len(owned)), slog.Int("generation", int(g.ID)))
	if len(owned) == 0 {
		return
	}
	g.Start(func(assigned context.Context) {
		ctx, cancel := context.WithCancel(reading)
		defer cancel()
		var workers sync.WaitGroup
		workers.Go(func() { // a generation's context only says that it has ended
			select {
			case <-assigned.Done():
				cancel()
			case <-ctx.Done():
			}
		})
		commits := newCommitter(c, g, owned, working)
		if err := commits.takeOver(working); err != nil {
			c.bus.health.bad(err)
			return // the group is joined anew
		}
		for _, s := range c.shares(owned, commits) {
			workers.Go(func() {
				defer cancel() // a share ends early when its handler was ended: the group is joined anew
				s.run(ctx, working)
			})
		}
		commits.run(ctx)
		cancel()
		workers.Wait()
		commits.handOver(working)
	})
}

// shares deals partitions out to the workers.
func (c *consumer) shares(owned map[int]*partition, commits *committer) []*share {
	all := make([]*share, min(c.bus.cfg.Workers, len(owned)))
	for i := range all {
		all[i] = newShare(c, commits)
	}
	for i, id := range slices.Sorted(maps.Keys(owned)) {
		s := all[i%len(all)]
		s.owned = append(s.owned, owned[id])
	}
	return all
}

// backlog sums up the partitions of this process; the oldest record is of
// those that handlers have.
func (c *consumer) backlog() work.Backlog {
	c.mu.Lock()
	defer c.mu.Unlock()
	var sum work.Backlog
	for _, p := range c.progress {
		b := p.backlog()
		sum.Records, sum.Oldest = sum.Records+b.Records, max(sum.Oldest, b.Oldest)
	}
	return sum
}

// errRevoked ends a handler that kept a revoked partition for too long.
var errRevoked = errors.New("the partition was taken away")
