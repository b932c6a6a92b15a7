package embedded_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/bus/bustest"
	"github.com/gochat-im/gochat/platform/bus/embedded"
	"github.com/gochat-im/gochat/platform/errs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newBus(cfg embedded.Config) *embedded.Bus {
	cfg.RetryMin, cfg.RetryMax = time.Millisecond, 2*time.Millisecond
	return embedded.New(cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
}

func TestContract(t *testing.T) {
	t.Parallel()
	bustest.Run(t, func(*testing.T) bus.Bus { return newBus(embedded.Config{}) })
}

func TestContractOfOneNarrowLane(t *testing.T) {
	t.Parallel()
	bustest.Run(t, func(*testing.T) bus.Bus {
		return newBus(embedded.Config{Lanes: 1, QueueRecords: 512, MaxBatch: 3})
	})
}

func record(key, v int64) bus.Record { return bus.Record{Key: key, Message: wrapperspb.Int64(v)} }

func TestPublishWaitsForRoomUntilContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(embedded.Config{Lanes: 1, QueueRecords: 2})
		release := make(chan struct{})
		var handled []int64
		_ = b.Subscribe(bus.Topic{Name: "t"}, func(_ context.Context, batch []bus.Record) error {
			<-release
			for _, r := range batch {
				handled = append(handled, r.Message.(*wrapperspb.Int64Value).GetValue())
			}
			return nil
		})
		_ = b.Start(t.Context())
		for v := range int64(2) {
			if err := b.Publish(t.Context(), "t", record(1, v)); err != nil {
				t.Fatalf("Publish into room: %v", err)
			}
		}
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := b.Publish(ctx, "t", record(1, 99))
		if errs.CodeOf(err) != errs.Unavailable || time.Since(began) != time.Second {
			t.Fatalf("Publish into a full lane: %v after %v, want unavailable after 1s", err, time.Since(began))
		}
		done, cancel := context.WithCancel(t.Context())
		cancel()
		if err := b.Publish(done, "t", record(1, 98)); errs.CodeOf(err) != errs.Unavailable {
			t.Fatalf("Publish into a full lane with an ended context: %v", err)
		}

		var first, second error
		go func() { first = b.Publish(t.Context(), "t", record(1, 2), record(1, 3)) }()
		synctest.Wait()
		go func() { second = b.Publish(t.Context(), "t", record(1, 4)) }()
		synctest.Wait()
		if n := b.Depth()["t"]; n != 2 {
			t.Fatalf("depth %d, want the bound 2", n)
		}
		close(release)
		synctest.Wait()
		if first != nil || second != nil {
			t.Fatalf("waiting publishers got %v, %v", first, second)
		}
		if err := b.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i, v := range handled {
			if v != int64(i) {
				t.Fatalf("handled %v, want 0 to 4 in order of arrival", handled)
			}
		}
		if len(handled) != 5 {
			t.Fatalf("handled %v, want 0 to 4", handled)
		}
	})
}

func TestMoreThanTheBoundFitsAnEmptyLane(t *testing.T) {
	t.Parallel()
	b := newBus(embedded.Config{Lanes: 1, QueueRecords: 2})
	var n atomic.Int64
	_ = b.Subscribe(bus.Topic{Name: "t"}, func(_ context.Context, batch []bus.Record) error {
		n.Add(int64(len(batch)))
		return nil
	})
	_ = b.Start(t.Context())
	for range 3 {
		if err := b.Publish(t.Context(), "t", record(1, 0), record(1, 1), record(1, 2), record(1, 3)); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Stop(t.Context()); err != nil || n.Load() != 12 {
		t.Fatalf("Stop: %v with %d records handled, want 12", err, n.Load())
	}
}

// Stop with publishers that wait: outsiders are turned away, handlers are not.
func TestStopWithFullTopics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(embedded.Config{Lanes: 1, QueueRecords: 1, MaxBatch: 1})
		release := make(chan struct{})
		var last atomic.Int64
		_ = b.Subscribe(bus.Topic{Name: "up"}, func(ctx context.Context, batch []bus.Record) error {
			return b.Publish(ctx, "down", batch[0], batch[0], batch[0])
		})
		_ = b.Subscribe(bus.Topic{Name: "down"}, func(context.Context, []bus.Record) error {
			<-release
			last.Add(1)
			return nil
		})
		_ = b.Start(t.Context())
		_ = b.Publish(t.Context(), "down", record(1, 0))
		_ = b.Publish(t.Context(), "up", record(1, 1)) // its handler waits for room
		synctest.Wait()
		var outsider error
		go func() { outsider = b.Publish(t.Context(), "up", record(1, 2)) }()
		synctest.Wait()
		var stopErr error
		go func() { stopErr = b.Stop(t.Context()) }()
		synctest.Wait()
		if errs.CodeOf(outsider) != errs.Unavailable {
			t.Errorf("waiting publisher got %v, want unavailable", outsider)
		}
		close(release)
		synctest.Wait()
		if stopErr != nil || last.Load() != 4 {
			t.Errorf("Stop: %v, %d records handled, want 4", stopErr, last.Load())
		}
	})
}

func TestPublishWithoutHandlerOrStart(t *testing.T) {
	t.Parallel()
	b := newBus(embedded.Config{})
	if err := b.Publish(t.Context(), "nobody", record(1, 1)); errs.CodeOf(err) != errs.Internal {
		t.Errorf("Publish to a topic without handler: %v", err)
	}
	var n atomic.Int64
	_ = b.Subscribe(bus.Topic{Name: "t"}, func(_ context.Context, batch []bus.Record) error {
		n.Add(int64(len(batch)))
		return nil
	})
	if err := b.Publish(t.Context(), "t", record(1, 1)); err != nil {
		t.Fatalf("Publish before Start: %v", err)
	}
	_ = b.Start(t.Context())
	if err := b.Stop(t.Context()); err != nil || n.Load() != 1 {
		t.Errorf("Stop: %v, %d handled, want the early record handled", err, n.Load())
	}
}

func TestStopBeforeStart(t *testing.T) {
	t.Parallel()
	b := newBus(embedded.Config{})
	_ = b.Subscribe(bus.Topic{Name: "t"}, func(context.Context, []bus.Record) error { return nil })
	_ = b.Publish(t.Context(), "t", record(1, 1))
	if err := b.Stop(t.Context()); err == nil || !strings.Contains(err.Error(), "1 records") {
		t.Errorf("Stop = %v, want the lost record counted", err)
	}
	if err := b.Start(t.Context()); err == nil {
		t.Error("Start after Stop worked")
	}
}

// Publishers, handlers and Stop race: what Publish took is handled exactly once.
func TestTakenMeansHandled(t *testing.T) {
	t.Parallel()
	for range 20 {
		b := newBus(embedded.Config{Lanes: 3, QueueRecords: 8, MaxBatch: 4})
		var taken, handled atomic.Int64
		_ = b.Subscribe(bus.Topic{Name: "t"}, func(_ context.Context, batch []bus.Record) error {
			handled.Add(int64(len(batch)))
			return nil
		})
		_ = b.Start(t.Context())
		var publishers sync.WaitGroup
		for key := range int64(8) {
			publishers.Go(func() {
				for v := int64(0); b.Publish(t.Context(), "t", record(key, v)) == nil; v++ {
					taken.Add(1)
				}
			})
		}
		for handled.Load() < 200 {
			time.Sleep(10 * time.Microsecond) // lets the publishers run
		}
		if err := b.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		publishers.Wait()
		if taken.Load() != handled.Load() {
			t.Fatalf("%d records taken, %d handled", taken.Load(), handled.Load())
		}
	}
}

func BenchmarkPublish(b *testing.B) {
	bs := newBus(embedded.Config{})
	_ = bs.Subscribe(bus.Topic{Name: "t"}, func(context.Context, []bus.Record) error { return nil })
	_ = bs.Start(b.Context())
	msg := wrapperspb.Int64(1)
	b.ReportAllocs()
	var key int64
	for b.Loop() {
		key++
		_ = bs.Publish(b.Context(), "t", bus.Record{Key: key, Message: msg})
	}
	_ = bs.Stop(b.Context())
}

func BenchmarkPublish256(b *testing.B) {
	bs := newBus(embedded.Config{})
	_ = bs.Subscribe(bus.Topic{Name: "t"}, func(context.Context, []bus.Record) error { return nil })
	_ = bs.Start(b.Context())
	records := make([]bus.Record, 256)
	for i := range records {
		records[i] = record(int64(i), 1)
	}
	b.ReportAllocs()
	for b.Loop() {
		_ = bs.Publish(b.Context(), "t", records...)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/256, "ns/record")
	_ = bs.Stop(b.Context())
}
