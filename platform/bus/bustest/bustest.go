// Package bustest is the contract that every bus.Bus keeps, as tests.
package bustest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/errs"
)

const patience = 30 * time.Second // for what should take milliseconds

// testCase is one part of the contract.
type testCase struct {
	name string
	test func(*testing.T, bus.Bus)
}

var common = []testCase{
	{"KeepsOrderOfKey", keepsOrderOfKey},
	{"KeepsOrderWithinOneCall", keepsOrderWithinOneCall},
	{"BatchesWhatQueued", batchesWhatQueued},
	{"RepeatsBatchWhileUnavailable", repeatsBatchWhileUnavailable},
	{"SetsPoisonAside", setsPoisonAside},
	{"DropsPoisonWithoutOnDead", dropsPoisonWithoutOnDead},
	{"SurvivesPanics", survivesPanics},
	{"StopEndsHandlersWithItsContext", stopEndsHandlersWithItsContext},
	{"RefusesAfterStop", refusesAfterStop},
	{"RefusesSecondHandler", refusesSecondHandler},
	{"CountsDepth", countsDepth},
	{"CarriesTraces", carriesTraces},
	{"CallsAfterDone", callsAfterDone},
}

// Run runs the suite on a bus that lives in its process. make returns a new
// bus that was not started and that repeats within milliseconds; the suite
// stops it.
func Run(t *testing.T, make func(t *testing.T) bus.Bus) {
	t.Helper()
	for _, c := range append([]testCase{{"StopDrainsChains", stopDrainsChains}}, common...) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, stopped(t, make(t)))
		})
	}
}

// RunDurable runs the suite on a bus that keeps its records elsewhere. open
// returns a new bus on the topics of space, which a case uses for itself.
func RunDurable(t *testing.T, open func(t *testing.T, space string) bus.Bus) {
	t.Helper()
	for _, c := range common {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, stopped(t, open(t, c.name)))
		})
	}
	for _, c := range []struct {
		name string
		test func(t *testing.T, open func() bus.Bus)
	}{
		{"KeepsRecordsForTheNextProcess", keepsRecordsForNextProcess},
		{"GoesOnAfterStop", goesOnAfterStop},
		{"GivesUnfinishedBatchAgain", givesUnfinishedBatchAgain},
		{"PublishesOnly", publishesOnly},
		{"SharesTopicsWhileMembersComeAndGo", sharesWhileMembersComeAndGo},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, func() bus.Bus { return stopped(t, open(t, c.name)) })
		})
	}
}

// stopped stops a bus with its test.
func stopped(t *testing.T, b bus.Bus) bus.Bus {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = b.Stop(ctx) // cases that care have stopped it already
	})
	return b
}

func record(key, v int64) bus.Record { return bus.Record{Key: key, Message: wrapperspb.Int64(v)} }

func valueOf(r bus.Record) int64 { return r.Message.(*wrapperspb.Int64Value).GetValue() }

func topic(name string) bus.Topic {
	return bus.Topic{Name: name, New: func() proto.Message { return new(wrapperspb.Int64Value) }}
}

func subscribe(t *testing.T, b bus.Bus, topic bus.Topic, h bus.Handler) {
	t.Helper()
	if err := b.Subscribe(topic, h); err != nil {
		t.Fatalf("Subscribe(%s): %v", topic.Name, err)
	}
}

func start(t *testing.T, b bus.Bus) {
	t.Helper()
	if err := b.Start(t.Context()); err != nil {
		t.Fatalf("Start: %v", err)
	}
}

func publish(t *testing.T, b bus.Bus, topic string, records ...bus.Record) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := b.Publish(ctx, topic, records...); err != nil {
		t.Fatalf("Publish: %v", err)
	}
}

func stop(t *testing.T, b bus.Bus) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	if err := b.Stop(ctx); err != nil {
		t.Fatalf("Stop: %v", err)
	}
}

// journal remembers what handlers saw, by key, and lets tests wait for it.
type journal struct {
	mu    sync.Mutex
	byKey map[int64][]int64
	count int
	more  chan struct{} // closed and replaced with every addition
}

func newJournal() *journal {
	return &journal{byKey: map[int64][]int64{}, more: make(chan struct{})}
}

func (j *journal) add(batch ...bus.Record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range batch {
		j.byKey[r.Key] = append(j.byKey[r.Key], valueOf(r))
	}
	j.count += len(batch)
	close(j.more)
	j.more = make(chan struct{})
}

func (j *journal) of(key int64) []int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]int64(nil), j.byKey[key]...)
}

func (j *journal) wait(t *testing.T, n int) {
	t.Helper()
	timeout := time.After(patience)
	for {
		j.mu.Lock()
		count, more := j.count, j.more
		j.mu.Unlock()
		if count >= n {
			return
		}
		select {
		case <-more:
		case <-timeout:
			t.Fatalf("%d records arrived, want %d", count, n)
		}
	}
}

func wait[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("timed out: %s", what)
	}
	return v
}

func wantRun(t *testing.T, key int64, got []int64, n int) {
	t.Helper()
	if len(got) != n {
		t.Fatalf("key %d: %d records, want %d", key, len(got), n)
	}
	for i, v := range got {
		if v != int64(i) {
			t.Fatalf("key %d: record %d is %d: %s", key, i, v, fmt.Sprint(got[:i+1]))
		}
	}
}

func wantCode(t *testing.T, err error, code errs.Code) {
	t.Helper()
	if got := errs.CodeOf(err); got != code {
		t.Fatalf("code %v (%v), want %v", got, err, code)
	}
}
