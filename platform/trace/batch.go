package trace

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// Batch is the work on several records at once.
type Batch struct {
	records []*Ref
	spans   []Span // by record; none where it has no trace
}

// Work begins the work on records, of which each may have a trace: each of those gets a span in its own. What the
// work calls is done once for all: it belongs to the first of them, and that one and the others are linked. Without a
// tracer in ctx, or a trace, there is nothing to end.
func Work(ctx context.Context, name string, records []*Ref) (context.Context, *Batch) {
	t := tracerOf(ctx)
	b := &Batch{records: records, spans: make([]Span, len(records))}
	var first Span
	under := ctx
	for i, r := range records {
		if t == nil || r == nil || !r.span.IsSampled() {
			continue
		}
		opts := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer)}
		if first.Recorded() {
			opts = append(opts, trace.WithLinks(trace.Link{SpanContext: first.span.SpanContext()}))
		}
		in, span := begin(trace.ContextWithRemoteSpanContext(ctx, r.span), t.tracer, name, opts)
		b.spans[i] = span
		if !first.Recorded() {
			first, under = span, in
			first.Count("messaging.batch.message_count", len(records))
			continue
		}
		first.span.AddLink(trace.Link{SpanContext: span.span.SpanContext()})
	}
	return under, b
}

// Ref returns the place of the work on a record, or the record's own where there is no span of the work.
func (b *Batch) Ref(record int) *Ref {
	if s := b.spans[record]; s.Recorded() {
		return s.Ref()
	}
	return b.records[record]
}

// End ends the work on all.
func (b *Batch) End(err error) {
	for _, s := range b.spans {
		s.End(err)
	}
}
