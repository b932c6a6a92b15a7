package trace_test

import (
	"context"
	"log/slog"
	"math"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/obs"
	"github.com/gochat-im/gochat/platform/secure"
	"github.com/gochat-im/gochat/platform/trace"
	"github.com/gochat-im/gochat/platform/trace/tracetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

// open returns a tracer that follows everything, unless a test says otherwise. Closing it sends what has ended.
func open(t *testing.T, change func(*trace.Config)) *trace.Tracer {
	t.Helper()
	cfg := trace.Config{Sample: 1}
	change(&cfg)
	tracer, err := trace.Open(cfg, trace.Process{Version: "v1", Roles: []string{"gateway"}, ID: "host/1"}, quiet, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeTracer(t, tracer) })
	return tracer
}

func closeTracer(t *testing.T, tracer *trace.Tracer) {
	t.Helper()
	if err := tracer.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
}

func collected(t *testing.T) (*tracetest.Collector, *trace.Tracer) {
	c := tracetest.Start(t)
	return c, open(t, func(cfg *trace.Config) { cfg.Endpoint, cfg.Headers = c.URL, []string{"X-Key=secret=1"} })
}

func TestValidateNamesTheSetting(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		setting string
		cfg     trace.Config
	}{
		{"sample", trace.Config{Sample: -0.1}},
		{"sample", trace.Config{Sample: 1.1}},
		{"sample", trace.Config{Sample: math.NaN()}},
		{"endpoint", trace.Config{Endpoint: "collector:4318"}},
		{"endpoint", trace.Config{Endpoint: "grpc://collector:4317"}},
		{"endpoint", trace.Config{Endpoint: "http://"}},
		{"endpoint", trace.Config{Endpoint: "http://user:hidden@collector:4318"}},
		{"endpoint", trace.Config{Endpoint: "http://collector:4318?key=hidden"}},
		{"headers", trace.Config{Headers: []string{"hidden"}}},
		{"headers", trace.Config{Headers: []string{"two words=hidden"}}},
		{"headers", trace.Config{Headers: []string{"name=hid\nden"}}},
		{"tls.enabled", trace.Config{Endpoint: "http://collector:4318", TLS: secure.Client{Enabled: true}}},
		{"tls.enabled", trace.Config{TLS: secure.Client{CA: "ca.pem"}}},
	} {
		err := c.cfg.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), c.setting+": ") || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%+v: %v, want an error of %s that does not repeat it", c.cfg, err, c.setting)
		}
	}
	for _, good := range []trace.Config{trace.DefaultConfig(), {Endpoint: "https://collector/otlp", TLS: secure.Client{Enabled: true}}} {
		if err := good.Validate(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
	bad := trace.Config{Endpoint: "https://collector", TLS: secure.Client{Enabled: true, CA: "none"}}
	if _, err := trace.Open(bad, trace.Process{}, quiet, nil); err == nil || !strings.HasPrefix(err.Error(), "tls.ca: ") {
		t.Errorf("without the file: %v", err)
	}
}

func TestWithoutEndpointNothingIsThere(t *testing.T) {
	t.Parallel()
	tracer := open(t, func(*trace.Config) {})
	if tracer != nil {
		t.Fatal("a tracer without an endpoint")
	}
	ctx, span := tracer.Begin(t.Context(), "x")
	if span.Recorded() || span.Ref() != nil || ctx != t.Context() || tracer.Into(ctx) != ctx {
		t.Error("a span without a tracer")
	}
	span.Note("k", "v")
	span.Fail("x")
	span.End(nil)
}

func TestSpansReachTheCollector(t *testing.T) {
	t.Parallel()
	c, tracer := collected(t)
	ctx, request := tracer.Begin(obs.WithRequestID(t.Context(), "r-1"), "GET")
	_, call := trace.Start(ctx, "Service/Call", trace.Outgoing)
	call.End(errs.New(errs.Unavailable, "what a person wrote"))
	_, refused := trace.Start(ctx, "Service/Refused", trace.Inside)
	refused.End(errs.New(errs.NotFound, "no such thing"))
	request.Rename("GET /x")
	request.Count("n", 2)
	request.End(nil)
	closeTracer(t, tracer)

	spans := c.Spans()
	root, below := tracetest.Named(spans, "GET /x"), tracetest.Named(spans, "Service/Call")
	if len(spans) != 3 || root == nil || below == nil {
		t.Fatalf("spans: %v", tracetest.Names(spans))
	}
	if string(below.GetParentSpanId()) != string(root.GetSpanId()) || len(tracetest.Of(spans, root.GetTraceId())) != 3 {
		t.Error("the call is not below the request")
	}
	if root.Value("gochat.request_id") != "r-1" || below.Value("gochat.request_id") != "r-1" {
		t.Error("the spans lack the request id")
	}
	if below.GetStatus().GetMessage() != "unavailable" || strings.Contains(below.String(), "wrote") {
		t.Errorf("the failed call: %v", below)
	}
	if s := tracetest.Named(spans, "Service/Refused"); s.GetStatus().GetCode() != 0 || s.Value("gochat.code") != "not_found" {
		t.Errorf("a refusal is no failure: %v", s)
	}
	if got := c.Header(); got.Get("X-Key") != "secret=1" || got.Get("User-Agent") != "gochat/v1" {
		t.Errorf("header: %v", got)
	}
	process := map[string]string{}
	for _, a := range root.Process {
		process[a.GetKey()] = a.GetValue().GetStringValue()
	}
	if process["service.name"] != "gochat" || process["service.instance.id"] != "host/1" || process["service.version"] != "v1" {
		t.Errorf("process: %v", process)
	}
}

func TestSampling(t *testing.T) {
	t.Parallel()
	c := tracetest.Start(t)
	none := open(t, func(cfg *trace.Config) { cfg.Endpoint, cfg.Sample = c.URL, 0 })
	_, all := collected(t)
	_, elsewhere := all.Begin(t.Context(), "elsewhere")
	sampled := elsewhere.Ref()
	elsewhere.End(nil)
	unsampled := trace.Read(func(name string) string {
		return map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"}[name]
	})
	for _, x := range []struct {
		what    string
		tracer  *trace.Tracer
		caller  *trace.Ref
		trusted bool
		want    bool
	}{
		{"nobody asks, nothing is sampled", none, nil, false, false},
		{"nobody asks, all is sampled", all, nil, false, true},
		{"a trusted caller records", none, sampled, true, true},
		{"a trusted caller does not record", all, unsampled, true, false},
		{"a stranger records", none, sampled, false, false},
		{"a stranger does not record", all, unsampled, false, true},
	} {
		ctx, span := x.tracer.Answer(t.Context(), "x", x.caller, x.trusted)
		if span.Recorded() != x.want {
			t.Errorf("%s: recorded %t", x.what, span.Recorded())
		}
		same := x.caller != nil && span.Recorded() && span.Ref().Attr().Equal(x.caller.Attr())
		if same != (x.trusted && x.want) {
			t.Errorf("%s: in the caller's trace: %t", x.what, same)
		}
		if _, below := trace.Start(ctx, "below", trace.Inside); below.Recorded() != x.want {
			t.Errorf("%s: below it: %t", x.what, below.Recorded())
		}
		span.End(nil)
	}
}

func TestRefsTravel(t *testing.T) {
	t.Parallel()
	_, tracer := collected(t)
	_, span := tracer.Begin(t.Context(), "x")
	defer span.End(nil)
	carried := map[string]string{}
	span.Ref().Write(func(name, value string) { carried[name] = value })
	got := trace.Read(func(name string) string { return carried[name] })
	if !got.Attr().Equal(span.Ref().Attr()) {
		t.Errorf("%v became %v", span.Ref(), got)
	}
	var none *trace.Ref
	none.Write(func(name, _ string) { t.Errorf("nothing wrote %s", name) })
	for _, bad := range []string{"", "x", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "00-" + strings.Repeat("a", 5000)} {
		if r := trace.Read(func(string) string { return bad }); r != nil {
			t.Errorf("Read(%.60q) = %v", bad, r)
		}
	}
}

// Records of several traces that are worked on at once: each has its span in its own trace, the call is in the first's.
func TestWorkOnSeveralTraces(t *testing.T) {
	t.Parallel()
	c, tracer := collected(t)
	refs := make([]*trace.Ref, 4)
	for i := range 3 {
		_, sent := tracer.Begin(t.Context(), "send")
		refs[i+1] = sent.Ref()
		sent.End(nil)
	}
	ctx, work := trace.Work(tracer.Into(t.Context()), "topic process", refs)
	_, call := trace.Start(ctx, "call", trace.Inside)
	call.End(nil)
	if work.Ref(0) != nil || !work.Ref(2).Attr().Equal(refs[2].Attr()) || work.Ref(2) == refs[2] {
		t.Error("the places of the work")
	}
	work.End(nil)
	if _, passed := trace.Work(t.Context(), "topic process", refs); passed.Ref(1) != refs[1] {
		t.Error("without a tracer a record does not keep its place")
	}
	closeTracer(t, tracer)

	links := map[string][]string{}
	var workers []tracetest.Span
	for _, s := range c.Spans() {
		for _, l := range s.GetLinks() {
			links[string(s.GetSpanId())] = append(links[string(s.GetSpanId())], string(l.GetSpanId()))
		}
		if s.GetName() == "topic process" {
			workers = append(workers, s)
		}
	}
	if len(workers) != 3 {
		t.Fatalf("spans: %v", tracetest.Names(c.Spans()))
	}
	first := tracetest.Named(c.Spans(), "call").GetParentSpanId()
	for _, s := range workers {
		want := 1
		if string(s.GetSpanId()) == string(first) {
			want = 2
		} else if links[string(s.GetSpanId())][0] != string(first) {
			t.Error("a worker is not linked with the first")
		}
		if got := len(links[string(s.GetSpanId())]); got != want {
			t.Errorf("%d links, want %d", got, want)
		}
	}
}
