package e2e

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gochat-im/gochat/platform/trace/tracetest"
)

// pathOfMessage are the spans that a message leaves on its way through all four roles.
var pathOfMessage = []string{"im-persist-topic process", "RepoService/CreateMessages", "GatewayService/Deliver"}

// A request is one trace through all roles, whether they share a process or not: what a trusted proxy began goes on.
// Nothing that a person wrote or is known by is in it.
func TestOneTraceThroughAllRoles(t *testing.T) {
	t.Parallel()
	c := tracetest.Start(t)
	s := deploy(t, "GOCHAT_TRACE_ENDPOINT="+c.URL, "GOCHAT_TRACE_SAMPLE=0", "GOCHAT_GATEWAY_HTTP_TRUSTED_PROXIES=127.0.0.0/8")
	a, b := register(t, s, "trace_alice"), register(t, s, "trace_bob")
	chat := single(t, a, b)
	const content, traceID = "nobody else reads this", "0af7651916cd43dd8448eb211c80319c"
	for parent, want := range map[string]bool{"00-" + traceID + "-b7ad6b7169203331-01": true, "00-11111111111111111111111111111111-b7ad6b7169203331-00": false} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url()+"/api/v1/messages/send",
			strings.NewReader(fmt.Sprintf(`{"conversation_id":%q,"message_type":"text","content":%q}`, chat, content)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + a.token}, "Traceparent": {parent}, "X-Request-Id": {"traced-request"}}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("send: %d", resp.StatusCode)
		}
		if want {
			eventually(t, "the request's line in the log, with its trace", func() bool {
				return slices.ContainsFunc(strings.Split(s.log(), "\n"), func(line string) bool {
					return strings.Contains(line, "trace_id="+traceID) && strings.Contains(line, "request_id=traced-request") && strings.Contains(line, "msg=request ")
				})
			})
		}
	}
	id, err := hex.DecodeString(traceID)
	if err != nil {
		t.Fatal(err)
	}
	path := append([]string{"POST /api/v1/messages/send", "LogicService/SendMessage", "RepoService/CheckSenders"}, pathOfMessage...)
	spans := c.Await(t, "the whole way of the message, through all four roles", func(spans []tracetest.Span) bool {
		return complete(tracetest.Of(spans, id), path) && len(rolesOf(tracetest.Of(spans, id))) == 4
	})
	ours := tracetest.Of(spans, id)
	if len(ours) != len(spans) {
		t.Errorf("spans of other traces: %v", tracetest.Names(spans))
	}
	for _, span := range ours {
		if n := strings.Count(span.String(), "traced-request"); span.GetName() == path[0] && n == 0 {
			t.Errorf("%s lacks the request id", span.GetName())
		}
		for _, secret := range []string{content, a.name, b.name, a.token, testPassword, "example.org", "traceparent"} {
			if strings.Contains(span.String(), secret) {
				t.Errorf("%s holds %q: %v", span.GetName(), secret, span)
			}
		}
	}
}

// rolesOf are the roles of the processes that spans come from.
func rolesOf(spans []tracetest.Span) map[string]bool {
	roles := map[string]bool{}
	for _, span := range spans {
		for _, attribute := range span.Process {
			if attribute.GetKey() == "gochat.roles" {
				for _, role := range attribute.GetValue().GetArrayValue().GetValues() {
					roles[role.GetStringValue()] = true
				}
			}
		}
	}
	return roles
}

// A frame that is sampled is a trace too, whose parts hang together.
func TestTraceOfFrame(t *testing.T) {
	t.Parallel()
	c := tracetest.Start(t)
	s := deploy(t, "GOCHAT_TRACE_ENDPOINT="+c.URL, "GOCHAT_TRACE_SAMPLE=1")
	a, b := register(t, s, "frame_alice"), register(t, s, "frame_bob")
	chat := single(t, a, b)
	w := a.dial(t)
	w.send(t, `{"type":"message","id":"1","data":{"conversation_id":"`+chat+`","message_type":"text","content":"hi"}}`)
	w.until(t, "ack")
	w.send(t, `{"type":"sync","id":"2","data":{}}`)
	w.until(t, "sync")
	path := append([]string{"frame message", "im-upstream-topic process", "RepoService/CheckSenders"}, pathOfMessage...)
	spans := c.Await(t, "the frames", func(spans []tracetest.Span) bool {
		first, sync, upgrade := tracetest.Named(spans, "frame message"), tracetest.Named(spans, "frame sync"), tracetest.Named(spans, "GET /ws")
		return first != nil && complete(tracetest.Of(spans, first.GetTraceId()), path) &&
			sync != nil && complete(tracetest.Of(spans, sync.GetTraceId()), []string{"frame sync", "LogicService/Sync"}) &&
			upgrade != nil && complete(tracetest.Of(spans, upgrade.GetTraceId()), []string{"GET /ws", "LogicService/ValidateToken"})
	})
	if id := tracetest.Named(spans, "frame message").Value("gochat.request_id"); !strings.Contains(s.log(), "request_id="+id) {
		t.Errorf("request id %q is in no log", id)
	}
}

// complete reports whether a trace has all of some spans, and every span's parent but that of the first, which may be
// somebody else's.
func complete(spans []tracetest.Span, names []string) bool {
	have := map[string]bool{}
	for _, s := range spans {
		have[string(s.GetSpanId())] = true
	}
	for _, s := range spans {
		if s.GetName() != names[0] && !have[string(s.GetParentSpanId())] {
			return false
		}
	}
	return !slices.ContainsFunc(names, func(name string) bool { return tracetest.Named(spans, name) == nil })
}

// Without its collector the server serves on, counts what was lost, and says so once.
func TestCollectorIsAway(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	s := deploy(t, "GOCHAT_TRACE_ENDPOINT=http://"+l.Addr().String(), "GOCHAT_TRACE_SAMPLE=1")
	a, b := register(t, s, "away_alice"), register(t, s, "away_bob")
	chat := single(t, a, b)
	eventually(t, "spans are counted as lost", func() bool {
		a.say(t, chat, "still here")
		return s.metrics(t)[`gochat_trace_spans_total{result="lost"}`] > 20
	})
	for _, p := range s.processes {
		if n := strings.Count(p.log.String(), "the collector takes no spans"); n > 1 {
			t.Errorf("%s says so %d times", p.name, n)
		}
	}
	if !strings.Contains(s.log(), "the collector takes no spans") {
		t.Error("no line says that the collector is away")
	}
}

func TestTraceSettingsAreChecked(t *testing.T) {
	t.Parallel()
	for setting, value := range map[string]string{"trace.endpoint": "GOCHAT_TRACE_ENDPOINT=collector", "trace.sample": "GOCHAT_TRACE_SAMPLE=2"} {
		_, stderr, code := gochat(t, "", []string{value}, "serve", "--data-dir", t.TempDir())
		if code != 2 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, setting+": ") {
			t.Errorf("%s: code %d, %s", value, code, stderr)
		}
	}
}
