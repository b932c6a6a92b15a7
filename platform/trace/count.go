package trace

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// logEvery is the least time between two lines about a collector that takes no spans.
const logEvery = time.Minute

// counts say what became of spans.
type counts struct {
	log     *slog.Logger
	spans   *prometheus.CounterVec
	pending atomic.Int64 // ended and not sent yet

	mu   sync.Mutex // guards what follows
	lost int        // since the last line
	last time.Time  // of that line
	told bool       // that the collector takes no spans, and not yet that it does again
}

func newCounts(log *slog.Logger, reg prometheus.Registerer) *counts {
	return &counts{log: log, spans: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "gochat_trace_spans_total",
		Help: "Spans that were sent to the collector (sent), that it did not take (lost), and that found the queue to it full (full).",
	}, []string{"result"})}
}

// sent notes the outcome of sending n spans.
func (c *counts) sent(ctx context.Context, n int, err error) {
	c.pending.Add(-int64(n))
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.spans.WithLabelValues("sent").Add(float64(n))
		if c.told {
			c.told = false
			c.log.InfoContext(ctx, "the collector takes spans again")
		}
		return
	}
	c.spans.WithLabelValues("lost").Add(float64(n))
	c.lost += n
	if time.Since(c.last) >= logEvery {
		c.log.WarnContext(ctx, "the collector takes no spans (trace.endpoint)", "lost", c.lost, "error", err)
		c.told, c.last, c.lost = true, time.Now(), 0
	}
}

// bounded keeps the spans that wait below the library's own bound, so that what is dropped is counted.
type bounded struct {
	sdk.SpanProcessor
	counts *counts
}

// OnEnd implements sdk.SpanProcessor.
func (b bounded) OnEnd(s sdk.ReadOnlySpan) {
	if b.counts.pending.Add(1) > queueSpans {
		b.counts.pending.Add(-1)
		b.counts.spans.WithLabelValues("full").Inc()
		return
	}
	b.SpanProcessor.OnEnd(s)
}

// exporter counts what was sent. It has no errors: the library would write them to standard error.
type exporter struct {
	sdk.SpanExporter
	counts *counts
}

// ExportSpans implements sdk.SpanExporter.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	e.counts.sent(ctx, len(spans), e.SpanExporter.ExportSpans(ctx, spans))
	return nil
}
