// Package trace follows requests through roles and processes as OpenTelemetry
// traces: W3C trace context between processes and in the records of a bus,
// spans to a collector over OTLP.
//
// A context holds a span that is recorded, or none: what is not sampled costs
// the look-up of that. Spans never hold what a person wrote, or is known by.
package trace

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const (
	scope = "github.com/gochat-im/gochat"

	queueSpans    = 4096 // that wait for the collector; more are dropped
	batchSpans    = 512
	batchWait     = 2 * time.Second
	exportTimeout = 5 * time.Second
	closeTimeout  = 2 * time.Second
)

// Process names the process in its spans.
type Process struct {
	Version string
	Roles   []string
	ID      string // tells it from the others that run the same roles
}

// Tracer begins the traces of a process, and goes on with those of others. A nil one has none.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	sample   float64
}

// Open returns the tracer that the settings ask for; nil: none. Nothing is sent before the first span ends. A collector
// that does not answer costs its spans, which are counted, and nothing else. reg may be nil.
func Open(cfg Config, p Process, log *slog.Logger, reg prometheus.Registerer) (*Tracer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if !cfg.Enabled() {
		return nil, nil //nolint:nilnil // as documented
	}
	sender, err := newClient(cfg, "gochat/"+p.Version)
	if err != nil {
		return nil, err
	}
	counts := newCounts(log, reg)
	sending, err := otlptrace.New(context.Background(), sender)
	if err != nil {
		return nil, fmt.Errorf("start the sending of spans: %w", err)
	}
	exporter := &exporter{SpanExporter: sending, counts: counts}
	batches := sdk.NewBatchSpanProcessor(exporter, sdk.WithMaxQueueSize(queueSpans), sdk.WithMaxExportBatchSize(batchSpans),
		sdk.WithBatchTimeout(batchWait), sdk.WithExportTimeout(exportTimeout))
	provider := sdk.NewTracerProvider(
		sdk.WithSampler(sdk.AlwaysSample()), // what is not sampled is not begun
		sdk.WithSpanProcessor(bounded{batches, counts}),
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "gochat"), attribute.String("service.version", p.Version),
			attribute.String("service.instance.id", p.ID), attribute.StringSlice("gochat.roles", p.Roles),
		)),
	)
	return &Tracer{provider: provider, tracer: provider.Tracer(scope), sample: cfg.Sample}, nil
}

// Close sends what has ended, for a moment at most.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("close traces: %w", err)
	}
	return nil // a collector that is away keeps nobody
}

// Begin begins a trace, or not, as the setting sample says.
func (t *Tracer) Begin(ctx context.Context, name string) (context.Context, Span) {
	return t.Answer(ctx, name, nil, false)
}

// Answer is Begin for a request that may say which trace it belongs to. A caller that is trusted decides whether that
// goes on here; of another one's, a trace that begins here keeps a link.
func (t *Tracer) Answer(ctx context.Context, name string, caller *Ref, trusted bool) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	opts := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}
	switch {
	case caller != nil && trusted:
		return t.Continue(ctx, name, caller)
	case rand.Float64() >= t.sample: //nolint:gosec // chooses what is looked at
		return ctx, Span{}
	case caller != nil:
		opts = append(opts, trace.WithLinks(trace.Link{SpanContext: caller.span.WithTraceState(trace.TraceState{})}))
	}
	return begin(ctx, t.tracer, name, opts)
}

// Continue goes on with a trace of another process, if that one records it.
func (t *Tracer) Continue(ctx context.Context, name string, caller *Ref) (context.Context, Span) {
	if t == nil || caller == nil || !caller.span.IsSampled() {
		return ctx, Span{}
	}
	ctx = trace.ContextWithRemoteSpanContext(ctx, caller.span)
	return begin(ctx, t.tracer, name, []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)})
}

type tracerKey struct{}

// Into gives the tracer to what works under ctx without a caller: the handlers of a bus.
func (t *Tracer) Into(ctx context.Context) context.Context {
	if t == nil {
		return ctx
	}
	return context.WithValue(ctx, tracerKey{}, t)
}

func tracerOf(ctx context.Context) *Tracer {
	t, _ := ctx.Value(tracerKey{}).(*Tracer)
	return t
}
