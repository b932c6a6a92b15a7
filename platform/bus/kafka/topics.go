package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

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
		if err != nil && !errors.Is(err, kafka.LeaderNotAvailable) {
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

	mu       sync.Mutex // guards failures
	failures int        // in a row
}

func (h *health) bad(err error) {
	h.mu.Lock()
	h.failures++
	n := h.failures
	h.mu.Unlock()
	if n&(n-1) == 0 { // 1, 2, 4, 8 …
		h.log.Warn("a request to Kafka failed: trying again", slog.Int("failures", n), slog.Any("error", err))
	}
}

func (h *health) good() {
	h.mu.Lock()
	n := h.failures
	h.failures = 0
	h.mu.Unlock()
	if n > 0 {
		h.log.Info("requests to Kafka succeed again", slog.Int("failures", n))
	}
}
