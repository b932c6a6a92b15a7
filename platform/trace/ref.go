package trace

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Ref is the place in a trace of what comes from elsewhere: by a record of a bus, or from another process.
type Ref struct{ span trace.SpanContext }

// RefOf returns the place of ctx; nil: it has no span.
func RefOf(ctx context.Context) *Ref {
	span := trace.SpanContextFromContext(ctx)
	if !span.IsSampled() {
		return nil
	}
	return &Ref{span}
}

// Attr is what a line of the log about a record says of its trace; of none it is empty.
func (r *Ref) Attr() slog.Attr {
	if r == nil {
		return slog.Attr{}
	}
	return slog.String("trace_id", r.span.TraceID().String())
}

// Headers are the names of what carries a Ref between processes: https://www.w3.org/TR/trace-context/.
var Headers = propagation.TraceContext{}.Fields()

// Write hands over what Read needs, by Headers' names.
func (r *Ref) Write(set func(name, value string)) {
	if r != nil {
		propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(context.Background(), r.span), carrier{set: set})
	}
}

// Read returns what was written elsewhere; nil when there is none, or it is none.
func Read(get func(name string) string) *Ref {
	if get(traceparent) == "" {
		return nil
	}
	span := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carrier{get: get}))
	if !span.IsValid() {
		return nil
	}
	return &Ref{span}
}

const traceparent = "traceparent"

// carrier is what the library takes apart and puts together.
type carrier struct {
	get func(name string) string
	set func(name, value string)
}

func (c carrier) Get(name string) string { return c.get(name) }
func (c carrier) Set(name, value string) { c.set(name, value) }
func (carrier) Keys() []string           { return Headers }
