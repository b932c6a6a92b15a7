package bustest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/errs"
)

func keepsOrderOfKey(t *testing.T, b bus.Bus) {
	const keys, each = 40, 100
	seen := newJournal()
	var working [keys]atomic.Bool
	subscribe(t, b, topic("order"), func(_ context.Context, batch []bus.Record) error {
		for _, r := range batch {
			if !working[r.Key].CompareAndSwap(false, true) {
				t.Errorf("key %d: two handlers at once", r.Key)
			}
			seen.add(r)
			working[r.Key].Store(false)
		}
		return nil
	})
	start(t, b)
	var publishers sync.WaitGroup
	for key := range int64(keys) {
		publishers.Go(func() {
			for v := range int64(each) {
				if err := b.Publish(t.Context(), "order", record(key, v)); err != nil {
					t.Errorf("Publish: %v", err)
				}
			}
		})
	}
	publishers.Wait()
	seen.wait(t, keys*each)
	for key := range int64(keys) {
		wantRun(t, key, seen.of(key), each)
	}
}

func keepsOrderWithinOneCall(t *testing.T, b bus.Bus) {
	const keys, each = 30, 20
	seen := newJournal()
	subscribe(t, b, topic("call"), func(_ context.Context, batch []bus.Record) error {
		seen.add(batch...)
		return nil
	})
	start(t, b)
	var records []bus.Record
	for v := range int64(each) {
		for key := range int64(keys) {
			records = append(records, record(key, v))
		}
	}
	publish(t, b, "call", records...)
	publish(t, b, "call")
	seen.wait(t, keys*each)
	for key := range int64(keys) {
		wantRun(t, key, seen.of(key), each)
	}
}

func batchesWhatQueued(t *testing.T, b bus.Bus) {
	const records, maxBatch = 100, 16
	seen := newJournal()
	entered, release := make(chan struct{}, records), make(chan struct{})
	var largest atomic.Int64
	tp := topic("batch")
	tp.MaxBatch = maxBatch
	subscribe(t, b, tp, func(_ context.Context, batch []bus.Record) error {
		entered <- struct{}{}
		<-release
		largest.Store(max(largest.Load(), int64(len(batch))))
		seen.add(batch...)
		return nil
	})
	start(t, b)
	publish(t, b, "batch", record(7, 0))
	wait(t, entered, "the first record reaches the handler alone")
	for v := int64(1); v < records; v++ {
		publish(t, b, "batch", record(7, v))
	}
	close(release)
	seen.wait(t, records)
	wantRun(t, 7, seen.of(7), records)
	if n := largest.Load(); n < 2 || n > maxBatch {
		t.Errorf("largest batch has %d records, want 2 to %d", n, maxBatch)
	}
}

func repeatsBatchWhileUnavailable(t *testing.T, b bus.Bus) {
	seen := newJournal()
	var failures atomic.Int64
	tp := topic("unavailable")
	tp.Attempts = 2
	tp.OnDead = func(context.Context, bus.Record, error) error {
		t.Error("a record was given up although its error passes")
		return nil
	}
	passing := []error{
		errs.New(errs.Unavailable, "no database"), errs.New(errs.Timeout, "slow"),
		context.DeadlineExceeded, errs.New(errs.Unavailable, "no database"), errs.New(errs.Unavailable, "no database"),
	}
	subscribe(t, b, tp, func(_ context.Context, batch []bus.Record) error {
		if n := failures.Add(1); n <= int64(len(passing)) {
			return passing[n-1]
		}
		seen.add(batch...)
		return nil
	})
	start(t, b)
	publish(t, b, "unavailable", record(1, 0), record(1, 1), record(1, 2))
	seen.wait(t, 3)
	wantRun(t, 1, seen.of(1), 3)
}

func setsPoisonAside(t *testing.T, b bus.Bus) {
	const poison, attempts = 5, 3
	seen, dead := newJournal(), newJournal()
	entered, release := make(chan struct{}, 100), make(chan struct{})
	var alone, refusals atomic.Int64
	tp := topic("poison")
	tp.Attempts = attempts
	tp.OnDead = func(_ context.Context, r bus.Record, cause error) error {
		if errs.CodeOf(cause) != errs.Invalid {
			t.Errorf("OnDead got cause %v, want the handler's", cause)
		}
		if refusals.Add(1) <= 2 {
			return errs.New(errs.Internal, "not now") // repeated until it is nil
		}
		dead.add(r)
		return nil
	}
	subscribe(t, b, tp, func(_ context.Context, batch []bus.Record) error {
		entered <- struct{}{}
		<-release
		for _, r := range batch {
			if valueOf(r) == poison {
				if len(batch) == 1 {
					alone.Add(1)
				}
				return errs.New(errs.Invalid, "poison")
			}
		}
		seen.add(batch...)
		return nil
	})
	start(t, b)
	publish(t, b, "poison", record(1, 0))
	wait(t, entered, "the handler is busy")
	for v := int64(1); v < 10; v++ { // queue behind it, so that they come as a batch
		publish(t, b, "poison", record(1, v))
	}
	close(release)
	seen.wait(t, 9)
	dead.wait(t, 1)
	if got := dead.of(1); len(got) != 1 || got[0] != poison {
		t.Errorf("dead records %v, want [%d]", got, poison)
	}
	if n := alone.Load(); n != attempts {
		t.Errorf("the poison was tried alone %d times, want %d", n, attempts)
	}
	last := int64(-1)
	for _, v := range seen.of(1) {
		if v <= last || v == poison {
			t.Fatalf("handled %v: want the others in order", seen.of(1))
		}
		last = v
	}
}

func dropsPoisonWithoutOnDead(t *testing.T, b bus.Bus) {
	seen := newJournal()
	tp := topic("dropped")
	tp.Attempts = 1
	subscribe(t, b, tp, func(_ context.Context, batch []bus.Record) error {
		if valueOf(batch[0]) == 0 {
			return errs.New(errs.Internal, "broken")
		}
		seen.add(batch...)
		return nil
	})
	start(t, b)
	publish(t, b, "dropped", record(1, 0))
	publish(t, b, "dropped", record(1, 1))
	seen.wait(t, 1)
	stop(t, b)
}

func survivesPanics(t *testing.T, b bus.Bus) {
	seen, dead := newJournal(), newJournal()
	tp := topic("panic")
	tp.Attempts = 2
	var buried atomic.Bool
	tp.OnDead = func(_ context.Context, r bus.Record, cause error) error {
		wantInternal := errs.CodeOf(cause) == errs.Internal
		if !wantInternal {
			t.Errorf("cause of a panic is %v, want an internal error", cause)
		}
		if buried.CompareAndSwap(false, true) {
			panic("in OnDead")
		}
		dead.add(r)
		return nil
	}
	subscribe(t, b, tp, func(_ context.Context, batch []bus.Record) error {
		for _, r := range batch {
			if valueOf(r) == 0 {
				panic(errs.New(errs.Unavailable, "thrown"))
			}
		}
		seen.add(batch...)
		return nil
	})
	start(t, b)
	publish(t, b, "panic", record(1, 0))
	publish(t, b, "panic", record(1, 1))
	seen.wait(t, 1)
	dead.wait(t, 1)
}
