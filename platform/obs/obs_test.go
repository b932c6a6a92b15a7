package obs_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/gochat-im/gochat/platform/obs"
)

func TestLoggerCarriesRequestID(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log, err := obs.NewLogger("info", "json", &out)
	if err != nil {
		t.Fatal(err)
	}
	ctx := obs.WithRequestID(t.Context(), "r-1")
	log.With("part", "x").InfoContext(ctx, "hello")
	log.DebugContext(ctx, "silent")
	if got := out.String(); !strings.Contains(got, `"request_id":"r-1"`) || !strings.Contains(got, `"part":"x"`) || strings.Contains(got, "silent") {
		t.Errorf("log: %s", got)
	}
	if strings.Contains(out.String(), "trace_id") {
		t.Errorf("a trace where there is none: %s", out.String())
	}
	out.Reset()
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{15: 1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled})
	log.InfoContext(trace.ContextWithSpanContext(t.Context(), span), "traced")
	if got := out.String(); !strings.Contains(got, `"trace_id":"00000000000000000000000000000001"`) || strings.Contains(got, "request_id") {
		t.Errorf("a traced line: %s", got)
	}
	out.Reset()
	log.InfoContext(ctx, "of a batch", "request_id", "r-2")
	if got := out.String(); strings.Count(got, "request_id") != 1 || !strings.Contains(got, "r-2") {
		t.Errorf("a record that names its request: %s", got)
	}
	for _, bad := range [][2]string{{"loud", "json"}, {"info", "xml"}} {
		if _, err := obs.NewLogger(bad[0], bad[1], &out); err == nil {
			t.Errorf("NewLogger(%v): no error", bad)
		}
	}
}

func TestPrivateHandler(t *testing.T) {
	t.Parallel()
	var down error
	h := obs.PrivateHandler(obs.NewRegistry(), func(context.Context) map[string]error { return map[string]error{"store": down} })
	call := func(path string) (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		body, err := io.ReadAll(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		return w.Code, string(body)
	}
	if code, body := call("/metrics"); code != http.StatusOK || !strings.Contains(body, "go_goroutines") {
		t.Errorf("/metrics: %d", code)
	}
	if code, _ := call("/debug/pprof/goroutine"); code != http.StatusOK {
		t.Errorf("/debug/pprof/goroutine: %d", code)
	}
	if code, body := call("/readyz"); code != http.StatusOK || !strings.Contains(body, `"store":"ok"`) {
		t.Errorf("/readyz: %d %s", code, body)
	}
	down = obs.Degraded(errors.New("cache is gone"))
	if code, body := call("/readyz"); code != http.StatusOK || !strings.Contains(body, "degraded: cache is gone") {
		t.Errorf("/readyz when degraded: %d %s", code, body)
	}
	if err := obs.Degraded(nil); err != nil {
		t.Errorf("Degraded(nil) = %v", err)
	}
	down = errors.New("disk is gone")
	if code, body := call("/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "disk is gone") {
		t.Errorf("/readyz when down: %d %s", code, body)
	}
}
