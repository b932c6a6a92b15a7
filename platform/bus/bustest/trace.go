package bustest

import (
	"context"
	"log/slog"
	"testing"

	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/trace"
	"github.com/gochat-im/gochat/platform/trace/tracetest"
)

// carriesTraces: a record's trace goes on in its handler, and no other record's.
func carriesTraces(t *testing.T, b bus.Bus) {
	collector := tracetest.Start(t)
	tracer, err := trace.Open(trace.Config{Endpoint: collector.URL, Sample: 1}, trace.Process{}, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	type seen struct {
		value           int64
		record, handler *trace.Ref
	}
	handled := make(chan seen, 2)
	one := topic("traced")
	one.MaxBatch = 1
	subscribe(t, b, one, func(ctx context.Context, batch []bus.Record) error {
		handled <- seen{valueOf(batch[0]), batch[0].Trace, trace.RefOf(ctx)}
		return nil
	})
	if err := b.Start(tracer.Into(t.Context())); err != nil {
		t.Fatal(err)
	}
	_, span := tracer.Begin(t.Context(), "publish")
	sent := span.Ref()
	publish(t, b, "traced", record(1, 1), bus.Record{Key: 1, Message: record(1, 2).Message, Trace: sent})
	span.End(nil)
	for range 2 {
		got := <-handled
		if got.value == 1 {
			if got.record != nil || got.handler != nil {
				t.Errorf("a record without a trace was handled in one: %v", got)
			}
			continue
		}
		if !got.record.Attr().Equal(sent.Attr()) || !got.handler.Attr().Equal(sent.Attr()) {
			t.Errorf("the trace %v became %v, %v", sent.Attr(), got.record.Attr(), got.handler.Attr())
		}
	}
	stop(t, b)
	if err := tracer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	spans := collector.Spans()
	published, work := tracetest.Named(spans, "publish"), tracetest.Named(spans, "traced process")
	if len(spans) != 2 || published == nil || work == nil || string(work.GetParentSpanId()) != string(published.GetSpanId()) {
		t.Errorf("spans: %v", spans)
	}
}
