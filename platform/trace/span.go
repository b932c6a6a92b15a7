package trace

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/obs"
)

// Span is a part of a trace; the zero value is none and does nothing.
type Span struct{ span trace.Span }

// Kind is a span's side of a call.
type Kind = trace.SpanKind

// The kinds of spans below another one.
const (
	Inside   = trace.SpanKindInternal
	Outgoing = trace.SpanKindClient
)

// Start begins a span below that of ctx; without one there it is none.
func Start(ctx context.Context, name string, kind Kind) (context.Context, Span) {
	above := trace.SpanFromContext(ctx)
	if !above.SpanContext().IsSampled() {
		return ctx, Span{}
	}
	return begin(ctx, above.TracerProvider().Tracer(scope), name, []trace.SpanStartOption{trace.WithSpanKind(kind)})
}

func begin(ctx context.Context, t trace.Tracer, name string, opts []trace.SpanStartOption) (context.Context, Span) {
	ctx, span := t.Start(ctx, name, opts...) //nolint:spancheck // the caller ends it
	s := Span{span}
	if id := obs.RequestID(ctx); id != "" {
		s.Request(id)
	}
	return ctx, s
}

// Recorded reports whether there is a span: what it would be told need not be made otherwise.
func (s Span) Recorded() bool { return s.span != nil }

// Rename gives the span the name that was not known before.
func (s Span) Rename(name string) {
	if s.span != nil {
		s.span.SetName(name)
	}
}

// Request notes the request id, which logs have too.
func (s Span) Request(id string) { s.Note("gochat.request_id", id) }

// Note adds what is known of the span: neither what a person wrote nor what they are known by.
func (s Span) Note(key, value string) {
	if s.span != nil {
		s.span.SetAttributes(attribute.String(key, value))
	}
}

// Count adds a number.
func (s Span) Count(key string, n int) {
	if s.span != nil {
		s.span.SetAttributes(attribute.Int(key, n))
	}
}

// Ref returns what a record of a bus carries; nil: nothing.
func (s Span) Ref() *Ref {
	if s.span == nil {
		return nil
	}
	return &Ref{s.span.SpanContext()}
}

// End ends the span. Of an error it keeps the code; those that are not the caller's doing mark the span as failed.
func (s Span) End(err error) {
	if s.span == nil {
		return
	}
	if err != nil {
		code := errs.CodeOf(err)
		s.Note("gochat.code", code.String())
		if code == errs.Internal || code == errs.Unavailable || code == errs.Timeout {
			s.Fail(code.String())
		}
	}
	s.span.End()
}

// Fail marks the span as failed.
func (s Span) Fail(reason string) {
	if s.span != nil {
		s.span.SetStatus(codes.Error, reason)
	}
}
