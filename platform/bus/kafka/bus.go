// Package kafka is the bus between processes. A topic's partitions are what
// lanes are in process: a stable hash of the key picks one, its records are
// stored one request after the other and worked by one goroutine of one process.
//
// Publishing: every broker gets one request at a time (acks=all) for a topic,
// with whatever has queued for the partitions that it leads while the last one
// was under way; records of a partition are sent only after the outcome of those
// before. There is no timer, so a lone record waits for nothing, a repetition
// cannot overtake or be overtaken, and the broker knows one whose first try did
// arrive by its number: a record lies there once, those of a key in order.
//
// Consuming: a group a topic. A process deals its partitions out to a few
// workers. Each asks every broker that leads some of its partitions for the
// records of all of these at once, and hands what has come to the handler in one
// batch, however many partitions it is of. What was handled is committed afterwards, every
// 100 ms for all partitions together and once more when they are given up, so a
// process that dies gives what it did last to the next owner again; what that
// one may have had in hand is marked, and what is to be called after a batch
// (bus.AfterDone) is called after the commit. When a
// partition is taken away, the batch in hand may end within a third of the
// session timeout; then its context ends and the batch is left to the next
// owner, who gets the partition only after this process has let go, or when its
// session has expired.
//
// A process consumes only what was subscribed to in it. A broker that is away
// is waited for: nothing here ends because of it.
package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go"

	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/bus/internal/work"
	"github.com/gochat-im/gochat/platform/errs"
)

// Bus implements bus.Bus on Kafka.
type Bus struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics

	transport *kafka.Transport
	dialer    *kafka.Dialer
	client    *kafka.Client
	health    health

	mu        sync.Mutex // guards what follows
	outlets   map[string]*outlet
	consumers map[string]*consumer
	started   bool
	stopping  bool

	publishing context.Context // ends when nothing is stored any more
	endPublish context.CancelFunc
	storing    sync.WaitGroup
	reading    context.CancelFunc // asks the consumers to end after their batches
	working    context.CancelFunc // ends the handlers' context
	readers    sync.WaitGroup
	finished   chan struct{} // closed when the first Stop is done
}

var _ bus.Bus = (*Bus)(nil)

// New makes a bus; it connects when it is used. reg may be nil.
func New(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Bus, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("kafka.%w", err)
	}
	encrypt, err := cfg.TLS.Config()
	if err != nil {
		return nil, fmt.Errorf("kafka.tls.%w", err)
	}
	login, err := cfg.SASL.mechanism()
	if err != nil {
		return nil, fmt.Errorf("kafka.sasl.%w", err)
	}
	const client = "gochat"
	b := &Bus{
		cfg: cfg, log: log,
		transport: &kafka.Transport{TLS: encrypt, SASL: login, ClientID: client, DialTimeout: cfg.RequestTimeout},
		dialer:    &kafka.Dialer{TLS: encrypt, SASLMechanism: login, ClientID: client, Timeout: cfg.RequestTimeout, DualStack: true},
		health:    health{log: log},
		outlets:   map[string]*outlet{}, consumers: map[string]*consumer{}, finished: make(chan struct{}),
	}
	b.client = &kafka.Client{Addr: kafka.TCP(cfg.Brokers...), Transport: b.transport}
	b.publishing, b.endPublish = context.WithCancel(context.Background())
	b.metrics = newMetrics(b, reg)
	return b, nil
}

// Subscribe implements bus.Bus. It is refused after Start.
func (b *Bus) Subscribe(t bus.Topic, h bus.Handler) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case t.Name == "" || t.New == nil || h == nil:
		return errors.New("subscribe: a topic needs a name, a message and a handler")
	case b.started || b.stopping:
		return fmt.Errorf("subscribe to %s: the bus has started", t.Name)
	case b.consumers[t.Name] != nil:
		return fmt.Errorf("subscribe to %s: the topic has a handler", t.Name)
	}
	b.consumers[t.Name] = newConsumer(b, t, h)
	return nil
}

// Start implements bus.Bus. It does not wait for a broker. The end of ctx does
// not end the bus; Stop does.
func (b *Bus) Start(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.started || b.stopping {
		return errors.New("start bus: already started or stopped")
	}
	b.started = true
	ctx = context.WithValue(context.WithoutCancel(ctx), handlerMark{}, b)
	working, endWork := context.WithCancel(ctx)
	reading, endRead := context.WithCancel(working)
	b.working, b.reading = endWork, endRead
	for _, c := range b.consumers {
		b.readers.Go(func() { c.run(reading, working) })
	}
	return nil
}

// Stop implements bus.Bus. Consumers end the batches that they have, as long as
// ctx allows, and leave their groups; what is not handled stays in the topics.
func (b *Bus) Stop(ctx context.Context) error {
	b.mu.Lock()
	if b.stopping {
		b.mu.Unlock()
		<-b.finished
		return nil
	}
	b.stopping = true
	started := b.started
	b.mu.Unlock()
	defer close(b.finished)

	var err error
	if started {
		b.reading()
		done := make(chan struct{})
		go func() {
			b.readers.Wait()
			close(done)
		}()
		select {
		case <-done:
		case <-ctx.Done():
			err = fmt.Errorf("stop bus: handlers were ended: %w", context.Cause(ctx))
			b.working()
			<-done
		}
		b.working()
	}
	b.endPublish()
	b.storing.Wait()
	b.transport.CloseIdleConnections()
	return err
}

// Depth implements bus.Bus: the records of this process's partitions that were
// stored, as of the last answer from their brokers, and are not done.
func (b *Bus) Depth() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	depth := make(map[string]int, len(b.consumers))
	for name, c := range b.consumers {
		depth[name] = c.backlog().Records
	}
	return depth
}

// delay is how long to wait before repetition n, from 0.
func (b *Bus) delay(n int) time.Duration { return work.Delay(b.cfg.RetryMin, b.cfg.RetryMax, n) }

func (b *Bus) pause(ctx context.Context, n int) bool {
	return work.Pause(ctx, b.cfg.RetryMin, b.cfg.RetryMax, n)
}

// handlerMark marks the context of handlers, whose records are taken while Stop waits for them.
type handlerMark struct{}

func (b *Bus) admits(ctx context.Context) bool {
	return !b.stops() || ctx.Value(handlerMark{}) == b
}

func (b *Bus) stops() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stopping
}

func errStopping(topic string) error {
	return errs.New(errs.Unavailable, "the server is shutting down").With("topic", topic)
}
