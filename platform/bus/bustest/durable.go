package bustest

import (
	"context"
	"sync"
	"testing"

	"github.com/gochat-im/gochat/platform/bus"
)

func keepsRecordsForNextProcess(t *testing.T, open func() bus.Bus) {
	const records = 20
	first := open()
	start(t, first)
	for v := range int64(records) {
		publish(t, first, "kept", record(1, v))
	}
	stop(t, first)
	seen := newJournal()
	second := open()
	subscribe(t, second, topic("kept"), func(_ context.Context, batch []bus.Record) error {
		seen.add(batch...)
		return nil
	})
	start(t, second)
	seen.wait(t, records)
	wantRun(t, 1, seen.of(1), records)
}

// goesOnAfterStop stops a process in the middle of its work: the next one
// begins after what was handled, and nothing is missing.
func goesOnAfterStop(t *testing.T, open func() bus.Bus) {
	const records = 200
	seen := newJournal()
	first := open()
	some := make(chan struct{})
	var once sync.Once
	subscribe(t, first, topic("stop"), func(_ context.Context, batch []bus.Record) error {
		seen.add(batch...)
		once.Do(func() { close(some) })
		return nil
	})
	start(t, first)
	published := make(chan struct{})
	publisher := open()
	start(t, publisher)
	go func() {
		defer close(published)
		for v := range int64(records) {
			if err := publisher.Publish(t.Context(), "stop", record(1, v)); err != nil {
				t.Errorf("Publish: %v", err)
			}
		}
	}()
	wait(t, some, "the first process works")
	stop(t, first)
	second := open()
	subscribe(t, second, topic("stop"), func(_ context.Context, batch []bus.Record) error {
		for _, r := range batch {
			if r.Again {
				t.Errorf("record %d says that it may have been handled before, after a stop in order", valueOf(r))
			}
		}
		seen.add(batch...)
		return nil
	})
	start(t, second)
	wait(t, published, "all is published")
	seen.wait(t, records)
	wantRun(t, 1, seen.of(1), records) // a stop in order repeats nothing
}

func givesUnfinishedBatchAgain(t *testing.T, open func() bus.Bus) {
	first := open()
	entered := make(chan struct{}, 1)
	subscribe(t, first, topic("again"), func(ctx context.Context, _ []bus.Record) error {
		bus.AfterDone(ctx, func(context.Context) { t.Error("what a batch left was called although the batch comes again") })
		entered <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	})
	start(t, first)
	publish(t, first, "again", record(1, 0), record(1, 1))
	wait(t, entered, "the first process has the batch")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := first.Stop(ctx); err == nil {
		t.Error("Stop ended a handler and answered no error")
	}
	seen := newJournal()
	second := open()
	subscribe(t, second, topic("again"), func(_ context.Context, batch []bus.Record) error {
		for _, r := range batch {
			if again := valueOf(r) < 2; r.Again != again {
				t.Errorf("record %d may have been handled before: %v, want %v", valueOf(r), r.Again, again)
			}
		}
		seen.add(batch...)
		return nil
	})
	start(t, second)
	seen.wait(t, 2)
	publish(t, second, "again", record(1, 2))
	seen.wait(t, 3)
	wantRun(t, 1, seen.of(1), 3)
}

// publishesOnly: a process that only publishes takes no records away from the
// one that handles them.
func publishesOnly(t *testing.T, open func() bus.Bus) {
	const records = 50
	seen := newJournal()
	publisher, consumer := open(), open()
	subscribe(t, publisher, topic("other"), func(context.Context, []bus.Record) error { return nil })
	subscribe(t, consumer, topic("mine"), func(_ context.Context, batch []bus.Record) error {
		seen.add(batch...)
		return nil
	})
	start(t, publisher)
	start(t, consumer)
	for v := range int64(records) {
		publish(t, publisher, "mine", record(v%7, v/7))
	}
	seen.wait(t, records)
	for key := range int64(7) {
		wantRun(t, key, seen.of(key), int((records-key+6)/7))
	}
}

// sharesWhileMembersComeAndGo: two processes share a topic while others join
// and leave all the time. Nothing is lost, and the first copies of a key's
// records come in order.
func sharesWhileMembersComeAndGo(t *testing.T, open func() bus.Bus) {
	const keys, each, members = 8, 120, 4
	seen := newFirsts()
	member := func() bus.Bus {
		b := open()
		subscribe(t, b, topic("shared"), func(_ context.Context, batch []bus.Record) error {
			seen.add(t, batch)
			return nil
		})
		start(t, b)
		return b
	}
	member()
	publisher := open()
	start(t, publisher)
	var publishers sync.WaitGroup
	churned := make(chan struct{})
	for key := range int64(keys) {
		publishers.Go(func() {
			for v := int64(0); ; v++ {
				select {
				case <-churned:
					if v >= each {
						seen.expect(key, v)
						return
					}
				default:
				}
				if err := publisher.Publish(t.Context(), "shared", record(key, v)); err != nil {
					t.Errorf("Publish: %v", err)
					return
				}
			}
		})
	}
	for i := range members {
		before := seen.total()
		b := member()
		seen.waitBeyond(t, before+10*(i+1)) // it goes on while the group changes
		stop(t, b)
	}
	close(churned)
	publishers.Wait()
	seen.waitAll(t)
}
