// Package tracetest is a collector of traces for tests: it takes OTLP over HTTP
// on a real socket, and tells what it got.
package tracetest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

const patience = 30 * time.Second // for what takes seconds

// Span is a span as it came, and the process that it came from.
type Span struct {
	*tracepb.Span
	Process []*commonpb.KeyValue
}

// Collector takes spans at URL.
type Collector struct {
	URL string

	mu     sync.Mutex // guards what follows
	spans  []Span
	header http.Header // of the last request
	more   chan struct{}
}

// Start starts a collector for the time of a test.
func Start(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{more: make(chan struct{})}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

// ServeHTTP implements http.Handler: https://opentelemetry.io/docs/specs/otlp/#otlphttp-request.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var data tracepb.TracesData
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" ||
		proto.Unmarshal(body, &data) != nil {
		http.Error(w, "this is no OTLP", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.header = r.Header
	for _, process := range data.GetResourceSpans() {
		for _, part := range process.GetScopeSpans() {
			for _, s := range part.GetSpans() {
				c.spans = append(c.spans, Span{s, process.GetResource().GetAttributes()})
			}
		}
	}
	close(c.more)
	c.more = make(chan struct{})
}

// Header returns the header of the last request.
func (c *Collector) Header() http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.header
}

// Spans returns what came until now.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span(nil), c.spans...)
}

// Await waits until what came is what is wanted, and returns it.
func (c *Collector) Await(t testing.TB, what string, enough func([]Span) bool) []Span {
	t.Helper()
	deadline := time.After(patience)
	for {
		c.mu.Lock()
		more := c.more
		c.mu.Unlock()
		if spans := c.Spans(); enough(spans) {
			return spans
		}
		select {
		case <-more:
		case <-deadline:
			t.Fatalf("the collector did not get %s within %v, but %v", what, patience, Names(c.Spans()))
		}
	}
}

// Names returns the names of spans.
func Names(spans []Span) []string {
	names := make([]string, len(spans))
	for i, s := range spans {
		names[i] = s.GetName()
	}
	return names
}

// Of returns the spans of one trace.
func Of(spans []Span, traceID []byte) []Span {
	var of []Span
	for _, s := range spans {
		if string(s.GetTraceId()) == string(traceID) {
			of = append(of, s)
		}
	}
	return of
}

// Named returns the first span of a name; nil: there is none.
func Named(spans []Span, name string) *Span {
	for i := range spans {
		if spans[i].GetName() == name {
			return &spans[i]
		}
	}
	return nil
}

// Value returns an attribute as text; "": it has none.
func (s *Span) Value(key string) string {
	for _, a := range s.GetAttributes() {
		if a.GetKey() == key {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}
