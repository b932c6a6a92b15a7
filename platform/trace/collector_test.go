package trace_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gochat-im/gochat/platform/obs"
	"github.com/gochat-im/gochat/platform/trace"
)

// A collector that does not answer, or refuses, costs the spans, which are counted, and one line.
func TestCollectorAway(t *testing.T) {
	t.Parallel()
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	t.Cleanup(refusing.Close)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	for _, url := range []string{refusing.URL, "http://" + l.Addr().String()} {
		var out strings.Builder
		log, err := obs.NewLogger("debug", "json", &out)
		if err != nil {
			t.Fatal(err)
		}
		reg := prometheus.NewRegistry()
		tracer, err := trace.Open(trace.Config{Endpoint: url, Sample: 1}, trace.Process{}, log, reg)
		if err != nil {
			t.Fatal(err)
		}
		const spans = 1200 // three requests
		for range spans {
			_, span := tracer.Begin(t.Context(), "x")
			span.End(nil)
		}
		closeTracer(t, tracer)
		want := "# HELP gochat_trace_spans_total Spans that were sent to the collector (sent), that it did not take (lost), and that found the queue to it full (full).\n" +
			"# TYPE gochat_trace_spans_total counter\ngochat_trace_spans_total{result=\"lost\"} 1200\n"
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "gochat_trace_spans_total"); err != nil {
			t.Error(err)
		}
		if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "trace.endpoint") {
			t.Errorf("log of %s:\n%s", url, got)
		}
	}
}

// Spans wait for a slow collector up to a bound; what is over it is counted.
func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(slow.Close)
	reg := prometheus.NewRegistry()
	tracer, err := trace.Open(trace.Config{Endpoint: slow.URL, Sample: 1}, trace.Process{}, quiet, reg)
	if err != nil {
		t.Fatal(err)
	}
	const over = 100
	for range 4096 + over {
		_, span := tracer.Begin(t.Context(), "x")
		span.End(nil)
	}
	close(release)
	closeTracer(t, tracer)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, m := range families[0].GetMetric() {
		got[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
	}
	if got["full"] != over || got["sent"] != 4096 || got["lost"] != 0 {
		t.Errorf("spans: %v", got)
	}
}
