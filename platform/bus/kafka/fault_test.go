package kafka_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/testenv"
)

const patience = 60 * time.Second

func topic(name string) bus.Topic {
	return bus.Topic{Name: name, New: func() proto.Message { return new(wrapperspb.Int64Value) }, Attempts: 2}
}

func record(key, v int64) bus.Record { return bus.Record{Key: key, Message: wrapperspb.Int64(v)} }

// firsts are the records of each key as they first came.
type firsts struct {
	mu   sync.Mutex
	next map[int64]int64
}

// follow subscribes to the topic t.
func follow(t *testing.T, b bus.Bus) *firsts {
	t.Helper()
	seen := &firsts{next: map[int64]int64{}}
	if err := b.Subscribe(topic("t"), func(_ context.Context, batch []bus.Record) error {
		seen.add(t, batch)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return seen
}

func (f *firsts) add(t *testing.T, batch []bus.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range batch {
		switch v := r.Message.(*wrapperspb.Int64Value).GetValue(); {
		case v == f.next[r.Key]:
			f.next[r.Key]++
		case v > f.next[r.Key]:
			t.Errorf("key %d: record %d came before record %d", r.Key, v, f.next[r.Key])
		}
	}
}

func (f *firsts) of(key int64) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.next[key]
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	timeout, tick := time.After(patience), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("timed out: %s", what)
		}
	}
}

// publishOn publishes records of n keys, each key's one after the other, until the function that it returns is called,
// which tells how many of each were acknowledged.
func publishOn(t *testing.T, b bus.Bus, firstKey, n int64) (acknowledged func() map[int64]int64) {
	t.Helper()
	ended := make(chan struct{})
	var publishers sync.WaitGroup
	var mu sync.Mutex
	counts := map[int64]int64{}
	for key := firstKey; key < firstKey+n; key++ {
		publishers.Go(func() {
			for v := int64(0); ; v++ {
				select {
				case <-ended:
					return
				default:
				}
				if err := b.Publish(t.Context(), "t", record(key, v)); err != nil {
					t.Errorf("Publish: %v", err)
					return
				}
				mu.Lock()
				counts[key] = v + 1
				mu.Unlock()
			}
		})
	}
	return func() map[int64]int64 {
		close(ended)
		publishers.Wait()
		return counts
	}
}

// TestBroker goes with one broker through its absence at the start and kill -9
// under load: what was acknowledged is handled, each key in order.
func TestBroker(t *testing.T) {
	t.Parallel()
	const keys = 6
	broker := testenv.NewKafka(t)
	cfg := settings(t, broker.Address(), "")
	b := newBus(t, cfg)
	seen := follow(t, b)
	if err := b.Start(t.Context()); err != nil {
		t.Fatalf("Start without a broker: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := b.Publish(ctx, "t", record(1, 0)); errs.CodeOf(err) != errs.Unavailable {
		t.Errorf("Publish without a broker: %v, want unavailable", err)
	}

	broker.Start()
	acknowledged := publishOn(t, b, 10, keys)
	flows := func() {
		t.Helper()
		before := seen.of(10)
		eventually(t, "records are handled", func() bool { return seen.of(10) > before+20 })
	}
	flows()
	broker.Kill()
	broker.Start()
	flows()
	for key, n := range acknowledged() {
		eventually(t, "what was acknowledged is handled", func() bool { return seen.of(key) >= n })
	}
	if err := b.Stop(t.Context()); err != nil {
		t.Errorf("Stop: %v", err)
	}
}

// TestProxy publishes and consumes through connections that stall and break.
func TestProxy(t *testing.T) {
	t.Parallel()
	broker := testenv.KafkaServer(t)
	proxy := broker.Proxy()
	cfg := settings(t, proxy.Address(), "")
	cfg.RequestTimeout = time.Second
	b := newBus(t, cfg)
	seen := follow(t, b)
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	next := int64(0)
	send := func() {
		t.Helper()
		for range 10 {
			if err := b.Publish(t.Context(), "t", record(1, next)); err != nil {
				t.Fatalf("Publish: %v", err)
			}
			next++
		}
		eventually(t, "what was acknowledged is handled", func() bool { return seen.of(1) >= next })
	}
	send()
	proxy.Stall()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := b.Publish(ctx, "t", record(2, 0)); errs.CodeOf(err) != errs.Unavailable {
		t.Errorf("Publish over a half-open connection: %v, want unavailable", err)
	}
	proxy.Resume()
	send()
	proxy.Cut()
	proxy.Restore()
	send()
	if err := b.Stop(t.Context()); err != nil {
		t.Errorf("Stop: %v", err)
	}
}

// TestUndecodable: what is no record of ours goes to OnDead in its place, as it is.
func TestUndecodable(t *testing.T) {
	t.Parallel()
	brokers := testenv.Kafka(t)
	cfg := settings(t, brokers, space(t, "u"))
	cfg.Partitions = 1
	b := newBus(t, cfg)
	seen := &firsts{next: map[int64]int64{}}
	dead := make(chan []byte, 10)
	tp := topic("t")
	tp.OnDead = func(_ context.Context, r bus.Record, cause error) error {
		raw, ok := r.Message.(*wrapperspb.BytesValue)
		if !ok || errs.CodeOf(cause) != errs.Invalid {
			t.Errorf("OnDead got %T because of %v, want the bytes of an invalid record", r.Message, cause)
		}
		dead <- raw.GetValue()
		return nil
	}
	if err := b.Subscribe(tp, func(_ context.Context, batch []bus.Record) error {
		seen.add(t, batch)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := b.Publish(t.Context(), "t", record(1, 0)); err != nil {
		t.Fatal(err)
	}
	transport := &kafka.Transport{}
	defer transport.CloseIdleConnections()
	foreign := &kafka.Client{Addr: kafka.TCP(cfg.Brokers...), Transport: transport}
	for _, r := range []kafka.Record{
		{Key: kafka.NewBytes([]byte("12345678")), Value: kafka.NewBytes([]byte{0xff, 0xff})},
		{Key: kafka.NewBytes([]byte("short")), Value: kafka.NewBytes([]byte("x"))},
		{},
	} {
		answer, err := foreign.Produce(t.Context(), &kafka.ProduceRequest{
			Topic: cfg.Prefix + "t", RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(r),
		})
		if err = errors.Join(err, answer.Error); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Publish(t.Context(), "t", record(1, 1)); err != nil {
		t.Fatal(err)
	}
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the records around them are handled", func() bool { return seen.of(1) == 2 })
	for _, want := range []string{"\xff\xff", "x", ""} {
		if got := string(<-dead); got != want {
			t.Errorf("dead record %q, want %q", got, want)
		}
	}
	if err := b.Stop(t.Context()); err != nil {
		t.Errorf("Stop: %v", err)
	}
}

func TestRefusesTooLargeRecord(t *testing.T) {
	t.Parallel()
	cfg := settings(t, testenv.Kafka(t), space(t, "l"))
	b := newBus(t, cfg)
	huge := bus.Record{Key: 1, Message: wrapperspb.Bytes(make([]byte, cfg.RequestBytes))}
	if err := b.Publish(t.Context(), "t", huge); errs.CodeOf(err) != errs.TooLarge {
		t.Errorf("Publish of too large a record: %v, want too large", err)
	}
	var many []bus.Record // more than one request holds
	for v := range int64(40) {
		many = append(many, bus.Record{Key: v % 2, Message: wrapperspb.Bytes(make([]byte, 100<<10))})
	}
	if err := b.Publish(t.Context(), "t", many...); err != nil {
		t.Errorf("Publish of many large records: %v", err)
	}
	if err := b.Stop(t.Context()); err != nil {
		t.Errorf("Stop: %v", err)
	}
}

// TestLargestRecordCanBePutAside: what was taken at the limit has room for a reason.
func TestLargestRecordCanBePutAside(t *testing.T) {
	t.Parallel()
	const reserve, reason = 8 << 10, 4 << 10
	cfg := settings(t, testenv.Kafka(t), space(t, "d"))
	b := newBus(t, cfg)
	tp := topic("t")
	tp.New = func() proto.Message { return new(wrapperspb.BytesValue) }
	buried := make(chan error, 1)
	tp.OnDead = func(ctx context.Context, r bus.Record, _ error) error {
		letter := append(r.Message.(*wrapperspb.BytesValue).GetValue(), make([]byte, reason)...)
		err := b.Publish(ctx, "dead", bus.Record{Key: r.Key, Message: wrapperspb.Bytes(letter)})
		select {
		case buried <- err:
		default:
		}
		return err
	}
	if err := b.Subscribe(tp, func(context.Context, []bus.Record) error { return errs.New(errs.Invalid, "never") }); err != nil {
		t.Fatal(err)
	}
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	sized := func(n int) bus.Record { return bus.Record{Key: 1, Message: wrapperspb.Bytes(make([]byte, n))} }
	if err := b.Publish(t.Context(), "t", sized(cfg.RequestBytes-reserve)); errs.CodeOf(err) != errs.TooLarge {
		t.Errorf("Publish of a record that leaves no room: %v, want too large", err)
	}
	if err := b.Publish(t.Context(), "t", sized(cfg.RequestBytes-reserve-128)); err != nil {
		t.Fatalf("Publish of the largest record: %v", err)
	}
	select {
	case err := <-buried:
		if err != nil {
			t.Errorf("put the largest record aside: %v", err)
		}
	case <-time.After(patience):
		t.Error("timed out: the record is put aside")
	}
	if err := b.Stop(t.Context()); err != nil {
		t.Errorf("Stop: %v", err)
	}
}
