// Package work brings batches of records to their end, in the same way for
// every bus: what repeats, what is tried alone, and what is given up.
package work

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"time"

	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/trace"
)

// Worker works the batches of one topic. Several goroutines may use it.
type Worker struct {
	bus.Topic
	Handler  bus.Handler
	RetryMin time.Duration // first pause before a repetition; doubles…
	RetryMax time.Duration // …up to here
	Log      *slog.Logger
	Metrics  TopicMetrics
}

// Do brings a batch to its end, whatever it takes: the handler runs under ctx. It returns false when waiting ended
// during a pause before a repetition, or ctx did: then the batch is not done.
func (w *Worker) Do(ctx, waiting context.Context, batch []bus.Record) bool {
	w.Metrics.batch.Observe(float64(len(batch)))
	err := w.attempt(ctx, waiting, batch, false)
	switch {
	case err == nil:
		w.Metrics.handled.Add(float64(len(batch)))
		return true
	case len(batch) == 1:
		return w.single(ctx, waiting, batch, 1, err)
	}
	if waiting.Err() != nil && passes(err) {
		return false
	}
	if ctx.Err() == nil {
		w.Log.Warn("batch failed: repeating its records one by one", slog.Int("records", len(batch)), slog.Any("error", err))
	}
	for i := range batch {
		if !w.single(ctx, waiting, batch[i:i+1:i+1], 0, nil) {
			return false
		}
	}
	return true
}

// single handles one record by itself; tried times it has failed with err already.
func (w *Worker) single(ctx, waiting context.Context, record []bus.Record, tried int, err error) bool {
	for ; tried < w.Attempts; tried++ {
		if tried > 0 && !w.pause(waiting, tried-1) {
			return false
		}
		w.Metrics.retries.Inc()
		if err = w.attempt(ctx, waiting, record, true); err == nil {
			w.Metrics.handled.Inc()
			return true
		}
		if ctx.Err() != nil || waiting.Err() != nil && passes(err) {
			return false
		}
	}
	if ctx.Err() != nil || waiting.Err() != nil && passes(err) {
		return false
	}
	return w.Bury(ctx, waiting, record[0], err)
}

// attempt calls the handler until it succeeds or fails with an error that
// will not pass. again says that it was called with these records before.
func (w *Worker) attempt(ctx, waiting context.Context, batch []bus.Record, again bool) error {
	for n := 0; ; n++ {
		if again {
			batch = marked(batch)
		}
		again = true
		each, after := bus.CollectAfter(ctx)
		err := w.call(func() error { return w.handle(each, batch) })
		if !passes(err) {
			if err == nil {
				after.Pass(ctx)
			}
			return err
		}
		if !w.pause(waiting, n) {
			return err
		}
		if n&(n-1) == 0 { // 0, 1, 2, 4, 8 …
			w.Log.Warn("handler unavailable: repeating the batch", slog.Int("repetition", n+1), slog.Any("error", err))
		}
		w.Metrics.retries.Add(float64(len(batch)))
	}
}

// marked is a batch whose records say that they were handled before.
func marked(batch []bus.Record) []bus.Record {
	if !slices.ContainsFunc(batch, func(r bus.Record) bool { return !r.Again }) {
		return batch
	}
	batch = slices.Clone(batch)
	for i := range batch {
		batch[i].Again = true
	}
	return batch
}

// handle calls the handler, under spans where records have a trace.
func (w *Worker) handle(ctx context.Context, batch []bus.Record) (err error) {
	if !slices.ContainsFunc(batch, func(r bus.Record) bool { return r.Trace != nil }) {
		return w.Handler(ctx, batch)
	}
	refs := make([]*trace.Ref, len(batch))
	for i, r := range batch {
		refs[i] = r.Trace
	}
	ctx, spans := trace.Work(ctx, w.Name+" process", refs)
	defer func() { spans.End(err) }()
	batch = slices.Clone(batch)
	for i := range batch {
		batch[i].Trace = spans.Ref(i)
	}
	return w.Handler(ctx, batch)
}

// passes reports whether an error is worth a repetition of the same batch.
func passes(err error) bool {
	code := errs.CodeOf(err)
	return code == errs.Unavailable || code == errs.Timeout
}

// Bury hands a record that failed for good to OnDead until that takes it. It returns false when waiting ended before.
func (w *Worker) Bury(ctx, waiting context.Context, r bus.Record, cause error) bool {
	w.Log.Error("record failed for good", slog.Int64("key", r.Key), slog.Int("attempts", w.Attempts), slog.Any("error", cause))
	w.Metrics.dead.Inc()
	if w.OnDead == nil {
		return true
	}
	for n := 0; ; n++ {
		err := w.call(func() error { return w.OnDead(ctx, r, cause) })
		if err == nil {
			return true
		}
		if n&(n-1) == 0 {
			w.Log.Error("dead record not taken over: repeating", slog.Int64("key", r.Key), slog.Any("error", err))
		}
		if !w.pause(waiting, n) {
			return false
		}
	}
}

// call runs f and turns its panic into an error of the record.
func (w *Worker) call(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			w.Log.Error("handler panicked", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			err = errs.Wrap(errs.Internal, fmt.Errorf("panic: %v", p), "internal error")
		}
	}()
	return f()
}

// pause waits before repetition n, from 0. It returns false when waiting ended.
func (w *Worker) pause(waiting context.Context, n int) bool {
	return Pause(waiting, w.RetryMin, w.RetryMax, n)
}

// Delay is how long to wait before repetition n, from 0: least doubling up to most, half of it random.
func Delay(least, most time.Duration, n int) time.Duration {
	d := min(least<<min(n, 20), most)
	return d/2 + rand.N(d/2+1)
}

// Pause waits for as long as Delay says. It returns false when ctx ended.
func Pause(ctx context.Context, least, most time.Duration, n int) bool {
	timer := time.NewTimer(Delay(least, most, n))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
