package bustest

import (
	"context"
	"testing"
	"time"

	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/errs"
)

func stopDrainsChains(t *testing.T, b bus.Bus) {
	const records = 500
	seen := newJournal()
	gate, entered := make(chan struct{}), make(chan struct{}, records)
	forward := func(to string) bus.Handler {
		return func(ctx context.Context, batch []bus.Record) error {
			entered <- struct{}{}
			<-gate
			out := make([]bus.Record, len(batch))
			copy(out, batch)
			return b.Publish(ctx, to, out...)
		}
	}
	// Named against the flow, so that an order by name would fail.
	subscribe(t, b, topic("c"), forward("b"))
	subscribe(t, b, topic("b"), forward("a"))
	subscribe(t, b, topic("a"), func(_ context.Context, batch []bus.Record) error {
		seen.add(batch...)
		return nil
	})
	start(t, b)
	for v := range int64(records) {
		publish(t, b, "c", record(3, v))
	}
	wait(t, entered, "a handler is busy")
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop(t, b)
	}()
	close(gate)
	wait(t, stopped, "Stop returns")
	wantRun(t, 3, seen.of(3), records)
	for name, n := range b.Depth() {
		if n != 0 {
			t.Errorf("depth of %s is %d after Stop", name, n)
		}
	}
}

func stopEndsHandlersWithItsContext(t *testing.T, b bus.Bus) {
	entered, left := make(chan struct{}), make(chan struct{})
	subscribe(t, b, topic("stuck"), func(ctx context.Context, _ []bus.Record) error {
		close(entered)
		<-ctx.Done()
		close(left)
		return ctx.Err()
	})
	start(t, b)
	publish(t, b, "stuck", record(1, 1))
	wait(t, entered, "the handler runs")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Stop(ctx); err == nil {
		t.Error("Stop with an unhandled record: no error")
	}
	select {
	case <-left:
	default:
		t.Error("Stop returned while a handler ran")
	}
}

func refusesAfterStop(t *testing.T, b bus.Bus) {
	subscribe(t, b, topic("closed"), func(context.Context, []bus.Record) error { return nil })
	start(t, b)
	stop(t, b)
	wantCode(t, b.Publish(t.Context(), "closed", record(1, 1)), errs.Unavailable)
	stop(t, b) // a second time does nothing
}

func refusesSecondHandler(t *testing.T, b bus.Bus) {
	none := func(context.Context, []bus.Record) error { return nil }
	subscribe(t, b, topic("one"), none)
	if err := b.Subscribe(topic("one"), none); err == nil {
		t.Error("a topic took a second handler")
	}
	start(t, b)
	if err := b.Subscribe(topic("late"), none); err == nil {
		t.Error("Subscribe worked after Start")
	}
	if err := b.Start(t.Context()); err == nil {
		t.Error("Start worked twice")
	}
}

func countsDepth(t *testing.T, b bus.Bus) {
	entered, release := make(chan struct{}, 10), make(chan struct{})
	subscribe(t, b, topic("depth"), func(context.Context, []bus.Record) error {
		entered <- struct{}{}
		<-release
		return nil
	})
	start(t, b)
	publish(t, b, "depth", record(1, 0))
	wait(t, entered, "the handler runs")
	publish(t, b, "depth", record(1, 1), record(1, 2))
	wantDepth(t, b, 3) // one record in the handler and two queued
	close(release)
	wantDepth(t, b, 0)
	stop(t, b)
	if n := b.Depth()["depth"]; n != 0 {
		t.Errorf("depth is %d after Stop, want 0", n)
	}
}

// wantDepth waits for a depth: a bus on a broker learns of its records from the next answer.
func wantDepth(t *testing.T, b bus.Bus, want int) {
	t.Helper()
	timeout := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		n := b.Depth()["depth"]
		if n == want {
			return
		}
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("depth is %d, want %d", n, want)
		}
	}
}
