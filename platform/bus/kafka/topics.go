package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

// partitions answers how many partitions a topic has, creating it if it is absent.
func (b *Bus) partitions(ctx context.Context, name string) (int, error) {
	for tries := 0; ; tries++ {
		n, err := b.lookUp(ctx, name)
		if err == nil {
			b.health.good()
			return n, nil
		}
		if errors.Is(err, kafka.UnknownTopicOrPartition) {
			err = b.create(ctx, name) // or it was made a moment ago and is not everywhere yet
		}
		if err != nil {
			b.health.bad(err)
		}
		if !b.pause(ctx, tries) {
			return 0, fmt.Errorf("look up topic %s: %w", name, errors.Join(err, context.Cause(ctx)))
		}
	}
}

func (b *Bus) lookUp(ctx context.Context, name string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.RequestTimeout)
	defer cancel()
	answer, err := b.client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{name}})
	if err != nil {
		return 0, err
	}
	for _, t := range answer.Topics {
		if t.Name != name {
			continue
		}
		if t.Error != nil {
			return 0, t.Error
		}
		if len(t.Partitions) > 0 {
			return len(t.Partitions), nil
		}
	}
	return 0, kafka.UnknownTopicOrPartition
}

// leaders tells which broker leads each partition of a topic, as far as one does
// and the library has learned of it, which may be seconds late.
func (b *Bus) leaders(ctx context.Context, name string) (map[int]int, error) {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.RequestTimeout)
	defer cancel()
	answer, err := b.client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{name}})
	if err != nil {
		return nil, fmt.Errorf("look up the leaders of topic %s: %w", name, err)
	}
	leaders := map[int]int{}
	for _, t := range answer.Topics {
		if t.Name != name {
			continue
		}
		for _, p := range t.Partitions {
			if p.Error == nil {
				leaders[p.ID] = p.Leader.ID
			}
		}
	}
	return leaders, nil
}

func (b *Bus) create(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.RequestTimeout)
	defer cancel()
	factor := b.cfg.ReplicationFactor
	if factor == 0 {
		factor = -1 // the broker's default
	}
	answer, err := b.client.CreateTopics(ctx, &kafka.CreateTopicsRequest{
		Topics: []kafka.TopicConfig{{Topic: name, NumPartitions: b.cfg.Partitions, ReplicationFactor: factor}},
	})
	if err != nil {
		return fmt.Errorf("create topic: %w", err)
	}
	switch err := answer.Errors[name]; {
	case err == nil:
		b.log.InfoContext(ctx, "topic created", slog.String("topic", name), slog.Int("partitions", b.cfg.Partitions))
	case !errors.Is(err, kafka.TopicAlreadyExists): // another process was first
		return fmt.Errorf("create topic: %w", err)
	}
	return nil
}

// health tells in the log when the brokers stop and begin to answer.
type health struct {
	log *slog.Logger

	mu       sync.Mutex // guards what follows
	failures int        // in a row
	since    time.Time  // of the first of them
	told     bool       // of them, as a warning
}

// patience is how long what belongs to an ordinary moment may go on before it is told.
const patience = 10 * time.Second

func (h *health) bad(err error) {
	h.mu.Lock()
	if h.failures == 0 {
		h.since = time.Now()
	}
	h.failures++
	n := h.failures
	tell := n&(n-1) == 0 && (!passing(err) || time.Since(h.since) >= patience) // 1, 2, 4, 8 …
	h.told = h.told || tell
	h.mu.Unlock()
	if tell {
		h.log.Warn("a request to Kafka failed: trying again", slog.Int("failures", n), slog.Any("error", err))
	}
}

func (h *health) good() {
	h.mu.Lock()
	n, told := h.failures, h.told
	h.failures, h.told = 0, false
	h.mu.Unlock()
	if told {
		h.log.Info("requests to Kafka succeed again", slog.Int("failures", n))
	}
}
