package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

func TestRouterErrors(t *testing.T) {
	t.Parallel()
	f := newHTTPFixture(t, nil)
	f.do(t, "GET", "/api/v1/nothing", "").wantError(t, "unknown path", http.StatusNotFound, errs.NotFound)
	f.do(t, "GET", "/", "").wantError(t, "root", http.StatusNotFound, errs.NotFound)
	f.do(t, "GET", "/api/v1/users/profile/", "").wantError(t, "trailing slash", http.StatusNotFound, errs.NotFound)
	f.do(t, "GET", "/metrics", "").wantError(t, "metrics on the public port", http.StatusNotFound, errs.NotFound)
	f.do(t, "GET", "/debug/pprof/", "").wantError(t, "pprof on the public port", http.StatusNotFound, errs.NotFound)
	for _, path := range []string{"/api/v1/users/profile", "/docs", "/ws"} {
		a := f.do(t, "PATCH", path, "{}")
		a.wantError(t, "unknown method of "+path, http.StatusMethodNotAllowed, errs.MethodNotAllowed)
		if allow := a.header.Values("Allow"); !slices.Contains(allow, "GET") {
			t.Errorf("%s: Allow is %v", path, allow)
		}
	}
	if a := f.do(t, "HEAD", "/healthz", ""); a.status != http.StatusOK || a.body != "" {
		t.Errorf("HEAD: %d %q", a.status, a.body)
	}
}

func TestAuthorization(t *testing.T) {
	t.Parallel()
	f := newHTTPFixture(t, nil)
	for name, c := range map[string]struct{ header, challenge string }{
		"none":         {"", `Bearer realm="gochat"`},
		"empty":        {"Bearer ", `Bearer realm="gochat"`},
		"basic":        {"Basic YTpi", `Bearer realm="gochat"`},
		"forged":       {"Bearer forged", `Bearer realm="gochat", error="invalid_token"`},
		"expired":      {"Bearer expired", `Bearer realm="gochat", error="invalid_token"`},
		"without type": {goodToken, `Bearer realm="gochat"`},
	} {
		a := f.do(t, "GET", "/api/v1/users/profile", "", "Authorization", c.header)
		a.wantError(t, name, http.StatusUnauthorized, errs.Unauthorized)
		if got := a.header.Get("WWW-Authenticate"); got != c.challenge {
			t.Errorf("%s: WWW-Authenticate %q, want %q", name, got, c.challenge)
		}
	}
	if f.logic.called("GetUserProfile") {
		t.Error("logic was asked for somebody without a token")
	}
	// A token is needed before anything is said about the request.
	f.do(t, "POST", "/api/v1/messages/send", "{", "Authorization", "").wantError(t, "bad body without a token", http.StatusUnauthorized, errs.Unauthorized)
	f.do(t, "GET", "/api/v1/users/profile?token="+goodToken, "", "Authorization", "").wantError(t, "token in the URL", http.StatusUnauthorized, errs.Unauthorized)
}

// The acting user is the token's, whatever the request says.
func TestCallerIsTheTokens(t *testing.T) {
	t.Parallel()
	f := newHTTPFixture(t, nil)
	f.do(t, "DELETE", "/api/v1/auth/sessions/all", "")
	if r := got[*logicpb.RevokeSessionRequest](t, f.logic, "RevokeSession"); r.GetUserId() != aliceID || r.GetSessionId() != 0 || r.GetCurrentSessionId() != sessionID {
		t.Errorf("revoke all: %v", r)
	}
	f.do(t, "DELETE", groupURL+"/members/387204871236485121", "")
	if r := got[*repopb.RemoveGroupMemberRequest](t, f.logic, "RemoveGroupMember"); r.GetActorId() != aliceID || r.GetUserId() != bobID || r.GetGroupId() != convID {
		t.Errorf("remove: %v", r)
	}
	f.do(t, "POST", "/api/v1/groups/create", `{"name":"x"}`)
	if r := got[*repopb.CreateGroupRequest](t, f.logic, "CreateGroup"); r.GetGroup().GetOwnerId() != aliceID || r.GetGroup().GetMaxMembers() != 0 || r.GetGroup().GetJoinPolicy() != 0 {
		t.Errorf("create: %v", r)
	}
	f.do(t, "POST", "/api/v1/messages/send", `{"conversation_id":"387204871236485200","content":"x","message_type":"text"}`)
	r := got[*logicpb.Upstream](t, f.logic, "SendMessage")
	if m := r.GetMessage(); m.GetSenderId() != aliceID || m.GetEchoClientMsgId() || m.GetClientMsgId() == "" || len(m.GetClientMsgId()) > 64 {
		t.Errorf("send: %v", r)
	}
	if r.GetOrigin().GetRequestId() == "" || r.GetOrigin().GetSessionId() != sessionID {
		t.Errorf("origin: %v", r.GetOrigin())
	}
}

func TestPagingAndMutes(t *testing.T) {
	t.Parallel()
	f := newHTTPFixture(t, nil)
	f.logic.more = true
	next := func(path string) string {
		cursor, _ := f.do(t, "GET", path, "").json(t)["next_cursor"].(string)
		if cursor == "" {
			t.Fatalf("%s: no cursor although there is more", path)
		}
		return cursor
	}
	f.do(t, "GET", "/api/v1/conversations?limit=1000000&cursor="+next("/api/v1/conversations"), "")
	if r := got[*repopb.GetConversationsRequest](t, f.logic, "GetConversations"); r.GetBeforeId() != convID || r.GetBeforeUpdatedAt() != createdAt || r.GetLimit() != 100 {
		t.Errorf("conversations: %v", r)
	}
	members := next(groupURL + "/members")
	f.do(t, "GET", groupURL+"/members?cursor="+members, "")
	if r := got[*repopb.GetGroupMembersRequest](t, f.logic, "GetGroupMembers"); r.GetAfterUserId() != bobID || r.GetLimit() != 50 {
		t.Errorf("members: %v", r)
	}
	f.do(t, "GET", groupURL+"/requests?cursor="+members, "").wantError(t, "cursor of another list", http.StatusBadRequest, errs.Invalid)
	f.do(t, "GET", groupURL+"/requests?cursor="+next(groupURL+"/requests"), "")
	if r := got[*repopb.ListJoinRequestsRequest](t, f.logic, "ListJoinRequests"); r.GetAfterUserId() != bobID {
		t.Errorf("requests: %v", r)
	}
	f.do(t, "GET", "/api/v1/users?query=a&cursor="+next("/api/v1/users?query=a"), "")
	if r := got[*logicpb.SearchUsersRequest](t, f.logic, "SearchUsers"); r.GetAfterUsername() != "alice" || r.GetQuery() != "a" {
		t.Errorf("users: %v", r)
	}
	f.do(t, "GET", "/api/v1/messages/history?conversation_id=1&after_seq=0", "")
	if r := got[*repopb.GetMessagesRequest](t, f.logic, "GetMessageHistory"); !r.GetAfterSet() || r.GetAfterSeq() != 0 || r.GetIncludeAll() || r.GetUserId() != aliceID {
		t.Errorf("history after 0: %v", r)
	}
	for body, want := range map[string]int64{
		`{"muted_until":"2999-01-01T00:00:00+02:00"}`: time.Date(2998, 12, 31, 22, 0, 0, 0, time.UTC).UnixMilli(),
		`{"muted_until":""}`:                          0,
		`{"muted_until":null}`:                        0,
		`{"muted_until":"0001-01-01T00:00:00Z"}`:      0,
		`{"muted_until":"2001-01-01T00:00:00Z"}`:      0,
	} {
		f.do(t, "PUT", groupURL+"/members/387204871236485121", body)
		if r := got[*repopb.UpdateGroupMemberRequest](t, f.logic, "UpdateGroupMember"); r.MutedUntil == nil || r.GetMutedUntil() != want || r.Role != nil { //nolint:protogetter // presence matters
			t.Errorf("%s: %v", body, r)
		}
	}
}

func TestBodyRules(t *testing.T) {
	t.Parallel()
	f := newHTTPFixture(t, func(c *Config) { c.HTTP.MaxBodyBytes = 2048; c.MaxMessageBytes = 1000 })
	const path = "/api/v1/messages/send"
	body := func(n int) string {
		return `{"conversation_id":"1","message_type":"text","content":"` + strings.Repeat("x", n) + `"}`
	}
	if a := f.do(t, "POST", path, body(1000)); a.status != http.StatusOK {
		t.Errorf("the largest message: %d %s", a.status, a.body)
	}
	f.do(t, "POST", path, body(1001)).wantError(t, "a message over the limit", http.StatusRequestEntityTooLarge, errs.TooLarge)
	f.do(t, "POST", path, body(3000)).wantError(t, "a body over the limit", http.StatusRequestEntityTooLarge, errs.TooLarge)
	f.do(t, "POST", groupURL+"/join", body(3000)).wantError(t, "a body over the limit where none is", http.StatusRequestEntityTooLarge, errs.TooLarge)
	for _, contentType := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", "application/problem+json", "multipart/form-data; boundary=x"} {
		f.do(t, "POST", path, body(1), "Content-Type", contentType).wantError(t, contentType, http.StatusUnsupportedMediaType, errs.Invalid)
	}
	if a := f.do(t, "POST", path, body(1), "Content-Type", "Application/JSON; charset=UTF-8"); a.status != http.StatusOK {
		t.Errorf("application/json in other letters: %d", a.status)
	}
	f.do(t, "POST", path, "", "Content-Type", "application/json").wantError(t, "no body", http.StatusBadRequest, errs.Invalid)

	// Chunked, so that no length warns the server.
	req, err := http.NewRequestWithContext(t.Context(), "POST", f.url+path, struct{ *strings.Reader }{strings.NewReader(body(3000))})
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+goodToken)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("chunked: %d", resp.StatusCode)
	}
}

// A body that does not arrive ends its own request only, and soon.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	f := newHTTPFixture(t, func(c *Config) { c.HTTP.BodyTimeout = 20 * time.Millisecond })
	body, writer := io.Pipe()
	defer writer.Close()
	req, err := http.NewRequestWithContext(t.Context(), "POST", f.url+"/api/v1/messages/read", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+goodToken)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	answer{resp.StatusCode, resp.Header, string(b)}.wantError(t, "slow body", http.StatusRequestTimeout, errs.Invalid)
}

func TestErrorsOfLogic(t *testing.T) {
	t.Parallel()
	f := newHTTPFixture(t, nil)
	for _, c := range []struct {
		err    error
		status int
		code   errs.Code
	}{
		{errs.InvalidField("x", "is bad"), 400, errs.Invalid},
		{errs.New(errs.Unauthorized, "no"), 401, errs.Unauthorized},
		{errs.New(errs.Forbidden, "no"), 403, errs.Forbidden},
		{errs.New(errs.NotFound, "no"), 404, errs.NotFound},
		{errs.New(errs.Conflict, "no"), 409, errs.Conflict},
		{errs.New(errs.TooLarge, "no"), 413, errs.TooLarge},
		{errs.New(errs.RateLimited, "no").RetryAfter(2500 * time.Millisecond), 429, errs.RateLimited},
		{errs.New(errs.Unavailable, "no"), 503, errs.Unavailable},
		{errs.New(errs.Timeout, "no"), 504, errs.Timeout},
		{context.DeadlineExceeded, 504, errs.Timeout},
		{errs.Wrap(errs.Internal, errors.New("secret cause"), "internal error"), 500, errs.Internal},
		{errors.New("secret cause"), 500, errs.Internal},
		{errs.New(errs.Code(4242), "from a later version"), 500, errs.Code(4242)},
	} {
		f.logic.fail = c.err
		a := f.do(t, "GET", "/api/v1/users/profile", "")
		a.wantError(t, c.err.Error(), c.status, c.code)
		retry := a.header.Get("Retry-After")
		if want := map[int]string{429: "3", 503: "1"}[c.status]; retry != want {
			t.Errorf("%v: Retry-After %q, want %q", c.err, retry, want)
		}
		if strings.Contains(a.body, "secret") {
			t.Errorf("the answer tells the cause: %s", a.body)
		}
	}
	if !strings.Contains(f.log.String(), "secret cause") {
		t.Error("the cause is not in the log")
	}
}

func TestPanicIsAnswered(t *testing.T) {
	t.Parallel()
	f := newHTTPFixture(t, nil)
	f.logic.panics = true
	f.do(t, "GET", "/api/v1/users/profile", "").wantError(t, "panic", http.StatusInternalServerError, errs.Internal)
	if log := f.log.String(); !strings.Contains(log, "the double panics") || !strings.Contains(log, "http_users.go") || !strings.Contains(log, `"status":500`) {
		t.Errorf("the log lacks the panic, its stack or its status: %s", log)
	}
}

func TestSendOutcomes(t *testing.T) {
	t.Parallel()
	const path, body = "/api/v1/messages/send", `{"conversation_id":"387204871236485200","content":"x","message_type":"text","client_msg_id":"c1"}`
	f := newHTTPFixture(t, func(c *Config) { c.HTTP.SendTimeout = 20 * time.Millisecond })
	f.logic.send = func(*logicpb.Upstream) *gatewaypb.Result {
		return &gatewaypb.Result{Code: int32(errs.Forbidden), Error: "you are muted", Details: map[string]string{"reason": "muted"}}
	}
	v := f.do(t, "POST", path, body).wantError(t, "refused by the store", http.StatusForbidden, errs.Forbidden)
	if v["message"] != "you are muted" {
		t.Errorf("refusal: %v", v)
	}
	f.logic.send = func(*logicpb.Upstream) *gatewaypb.Result { return nil }
	f.do(t, "POST", path, body).wantError(t, "no ack in time", http.StatusGatewayTimeout, errs.Timeout)
	f.logic.fail = errs.New(errs.NotFound, "no such conversation")
	f.do(t, "POST", path, body).wantError(t, "refused by logic", http.StatusNotFound, errs.NotFound)
	f.logic.fail, f.logic.send = nil, func(*logicpb.Upstream) *gatewaypb.Result {
		return &gatewaypb.Result{Event: textEvent(3), Duplicate: true}
	}
	if a := f.do(t, "POST", path, body); a.status != http.StatusOK || !strings.Contains(a.body, `"seq":3`) {
		t.Errorf("duplicate: %d %s", a.status, a.body)
	}
}

func TestHTTPLimits(t *testing.T) {
	t.Parallel()
	const slow = 0.001
	for name, c := range map[string]struct {
		change       func(*Config)
		method, path string
		body         string
	}{
		"requests of an address": {func(c *Config) { c.Limits.RequestRate, c.Limits.RequestBurst = slow, 1 }, "GET", "/api/v1/users/profile", ""},
		"unmatched paths":        {func(c *Config) { c.Limits.RequestRate, c.Limits.RequestBurst = slow, 1 }, "GET", "/docs", ""},
		"calls of a user":        {func(c *Config) { c.Limits.CallRate, c.Limits.CallBurst = slow, 1 }, "GET", "/api/v1/users/profile", ""},
		"sends of a user":        {func(c *Config) { c.Limits.SendRate, c.Limits.SendBurst = slow, 1 }, "POST", "/api/v1/messages/send", `{"conversation_id":"1","content":"x","message_type":"text"}`},
		"logins of an address":   {func(c *Config) { c.Limits.LoginRate, c.Limits.LoginBurst = slow, 1 }, "POST", "/api/v1/auth/login", `{"username":"a","password":"b"}`},
		"refreshes":              {func(c *Config) { c.Limits.LoginRate, c.Limits.LoginBurst = slow, 1 }, "POST", "/api/v1/auth/refresh", `{"refresh_token":"b"}`},
		"registrations":          {func(c *Config) { c.Limits.RegisterRate, c.Limits.RegisterBurst = slow, 1 }, "POST", "/api/v1/users/register", `{"username":"a","password":"b","email":""}`},
	} {
		f := newHTTPFixture(t, func(cfg *Config) {
			cfg.Limits.ExemptAddresses = nil
			c.change(cfg)
		})
		if a := f.do(t, c.method, c.path, c.body); a.status >= 300 {
			t.Errorf("%s: the first: %d %s", name, a.status, a.body)
		}
		// Headers that a stranger makes up change nothing.
		a := f.do(t, c.method, c.path, c.body, "X-Forwarded-For", "203.0.113.9")
		a.wantError(t, name, http.StatusTooManyRequests, errs.RateLimited)
		if a.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", name)
		}
		if a := f.do(t, "GET", "/healthz", ""); a.status != http.StatusOK {
			t.Errorf("%s: a health check was limited: %d", name, a.status)
		}
	}
	exempt := newHTTPFixture(t, func(c *Config) { c.Limits.RequestRate, c.Limits.RequestBurst = slow, 1 })
	for range 3 {
		if a := exempt.do(t, "GET", "/docs", ""); a.status != http.StatusOK {
			t.Errorf("an exempt address was limited: %d", a.status)
		}
	}
}

func TestClientAddress(t *testing.T) {
	t.Parallel()
	a := newAddresses([]string{"10.0.0.0/8", "fd00::/8"})
	for _, c := range []struct{ peer, forwarded, want string }{
		{"192.0.2.1:5", "", "192.0.2.1"},
		{"192.0.2.1:5", "198.51.100.7", "192.0.2.1"},
		{"10.1.1.1:5", "198.51.100.7", "198.51.100.7"},
		{"10.1.1.1:5", "1.2.3.4, 198.51.100.7", "198.51.100.7"},
		{"10.1.1.1:5", "1.2.3.4, 198.51.100.7, 10.2.2.2", "198.51.100.7"},
		{"10.1.1.1:5", "1.2.3.4, garbage, 10.2.2.2", "10.2.2.2"},
		{"10.1.1.1:5", "", "10.1.1.1"},
		{"10.1.1.1:5", "198.51.100.7:4433", "198.51.100.7"},
		{"[::ffff:10.1.1.1]:5", "2001:db8::1", "2001:db8::1"},
		{"[fd00::1]:5", "[2001:db8::2]:80", "2001:db8::2"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.RemoteAddr = c.peer
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := a.client(r); got != c.want {
			t.Errorf("%s through %q: %s, want %s", c.peer, c.forwarded, got, c.want)
		}
	}
	l := newHTTPLimits(LimitsConfig{})
	one, _ := l.addressKey("2001:db8:1:2::1")
	two, _ := l.addressKey("2001:db8:1:2:ffff::9")
	if other, _ := l.addressKey("2001:db8:1:3::1"); one != two || one == other {
		t.Errorf("IPv6 is not limited by /64: %s, %s, %s", one, two, other)
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	stranger := newHTTPFixture(t, nil)
	if a := stranger.do(t, "GET", "/healthz", "", "X-Request-Id", "chosen"); a.header.Get("X-Request-Id") == "chosen" {
		t.Error("a stranger chose the request id")
	}
	proxied := newHTTPFixture(t, func(c *Config) { c.HTTP.TrustedProxies = []string{"127.0.0.0/8"} })
	if a := proxied.do(t, "GET", "/healthz", "", "X-Request-Id", "from-the.proxy_1"); a.header.Get("X-Request-Id") != "from-the.proxy_1" {
		t.Errorf("the proxy's request id became %q", a.header.Get("X-Request-Id"))
	}
	for _, bad := range []string{"a b", strings.Repeat("x", 65), "<script>", `"`} {
		if a := proxied.do(t, "GET", "/healthz", "", "X-Request-Id", bad); a.header.Get("X-Request-Id") == bad || a.header.Get("X-Request-Id") == "" {
			t.Errorf("request id %q became %q", bad, a.header.Get("X-Request-Id"))
		}
	}
}

func TestCrossOrigin(t *testing.T) {
	t.Parallel()
	closed := newHTTPFixture(t, nil)
	if a := closed.do(t, "GET", "/healthz", "", "Origin", "https://evil.example"); a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("another origin is allowed by default")
	}
	open := newHTTPFixture(t, func(c *Config) { c.WebSocket.AllowedOrigins = []string{"*.chat.example", "https://one.example"} })
	for origin, want := range map[string]bool{
		"https://web.chat.example": true, "https://one.example": true, "http://one.example": false,
		"https://evil.example": false, "https://chat.example.evil": false, "null": false,
	} {
		a := open.do(t, "OPTIONS", "/api/v1/messages/send", "", "Origin", origin, "Access-Control-Request-Method", "POST")
		if allowed := a.header.Get("Access-Control-Allow-Origin") == origin && a.status == http.StatusNoContent; allowed != want {
			t.Errorf("%s: %d %v", origin, a.status, a.header)
		}
		if a.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: credentials are allowed", origin)
		}
	}
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	f := newHTTPFixture(t, nil)
	f.SetReady(func(context.Context) error { return errors.New("the disk is on fire") })
	a := f.do(t, "GET", "/readyz", "")
	a.wantError(t, "not ready", http.StatusServiceUnavailable, errs.Unavailable)
	if strings.Contains(a.body, "disk") || a.header.Get("Retry-After") == "" {
		t.Errorf("not ready: %s %v", a.body, a.header)
	}
	if a := f.do(t, "GET", "/healthz", ""); a.status != http.StatusOK {
		t.Errorf("alive but not ready: %d", a.status)
	}
	f.SetReady(func(context.Context) error { return nil })
	if a := f.do(t, "GET", "/readyz", ""); a.status != http.StatusOK {
		t.Errorf("ready again: %d", a.status)
	}
}

// The log and the metrics name routes, never what was asked for.
func TestLogAndMetricsHoldNoRequestData(t *testing.T) {
	t.Parallel()
	f := newHTTPFixture(t, nil)
	f.do(t, "GET", "/api/v1/users/387204871236485121", "")
	f.do(t, "GET", "/api/v1/users?query=somebody-secret", "")
	f.do(t, "GET", "/nowhere/but-here", "")
	f.do(t, "BREW", "/nowhere", "")
	f.do(t, "POST", "/api/v1/auth/login", `{"username":"alice","password":"pass-secret"}`)
	log := f.log.String()
	if !strings.Contains(log, `"route":"/api/v1/users/{id}"`) || !strings.Contains(log, `"request_id"`) || !strings.Contains(log, `"status":200`) {
		t.Errorf("the access log: %s", log)
	}
	for _, secret := range []string{"somebody-secret", "pass-secret", "but-here", "BREW", goodToken, "387204871236485121"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q: %s", secret, log)
		}
	}
	if n := testutil.ToFloat64(f.http.metrics.requests.WithLabelValues("unmatched", "GET", "404")); n != 1 {
		t.Errorf("unmatched requests counted: %v", n)
	}
	if n := testutil.ToFloat64(f.http.metrics.requests.WithLabelValues("/api/v1/users/{id}", "GET", "200")); n != 1 {
		t.Errorf("requests of a route counted: %v", n)
	}
}

// What the router serves and what the document lists are the same.
func TestDocumentMatchesRoutes(t *testing.T) {
	t.Parallel()
	f := newHTTPFixture(t, nil)
	documented := map[string]bool{}
	for path, item := range f.http.document.Paths {
		for _, op := range operationsOf(item) {
			documented[op.Method+" "+path] = true
			if op.Summary == "" || len(op.Tags) != 1 || op.Responses["422"] != nil || op.Responses["default"] != nil {
				t.Errorf("%s %s: summary %q, tags %v, responses %v", op.Method, path, op.Summary, op.Tags, op.Responses)
			}
		}
	}
	undocumented := map[string]bool{"GET /docs": true, "GET /api/v1/openapi.json": true, "GET /api/v1/openapi.yaml": true}
	served := map[string]bool{}
	err := chi.Walk(f.http.routes, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		name := method + " " + route
		served[name] = true
		if !documented[name] && !undocumented[name] {
			t.Errorf("%s is served, not documented", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range documented {
		if !served[name] {
			t.Errorf("%s is documented, not served", name)
		}
	}
	if len(documented) < 30 {
		t.Errorf("only %d operations", len(documented))
	}
}

func TestDocs(t *testing.T) {
	t.Parallel()
	f := newHTTPFixture(t, nil)
	page := f.do(t, "GET", "/docs", "", "Authorization", "")
	for _, want := range []string{"/api/v1/messages/send", "client_msg_id", "schema-Message", "WebSocket frames", "4503", "rate_limited", "prefers-color-scheme: dark", "DELETE"} {
		if page.status != http.StatusOK || !strings.Contains(page.body, want) {
			t.Errorf("/docs (%d) lacks %q", page.status, want)
		}
	}
	for _, bad := range []string{"ZgotmplZ", "<script", "http://", "https://", "@import", "url("} {
		if strings.Contains(page.body, bad) {
			t.Errorf("/docs holds %q", bad)
		}
	}
	csp := page.header.Get("Content-Security-Policy")
	if !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "style-src 'sha256-") {
		t.Errorf("/docs: %s", csp)
	}
	if a := f.do(t, "GET", "/docs", "", "If-None-Match", page.header.Get("ETag")); a.status != http.StatusNotModified || a.body != "" {
		t.Errorf("the same page again: %d", a.status)
	}
	document := f.do(t, "GET", "/api/v1/openapi.json", "", "Authorization", "").json(t)
	if document["openapi"] != "3.1.0" {
		t.Errorf("openapi.json: version %v", document["openapi"])
	}
	if a := f.do(t, "GET", "/api/v1/openapi.yaml", "", "Authorization", ""); a.status != http.StatusOK || !strings.Contains(a.body, "/api/v1/messages/send:") {
		t.Errorf("openapi.yaml: %d", a.status)
	}
}

func TestHTTPConfigIsChecked(t *testing.T) {
	t.Parallel()
	if err := DefaultHTTPConfig().Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*HTTPConfig){
		"trusted_proxies":  func(c *HTTPConfig) { c.TrustedProxies = []string{"10.0.0.1"} },
		"max_body_bytes":   func(c *HTTPConfig) { c.MaxBodyBytes = 0 },
		"max_header_bytes": func(c *HTTPConfig) { c.MaxHeaderBytes = -1 },
		"request_timeout":  func(c *HTTPConfig) { c.RequestTimeout = 0 },
		"send_timeout":     func(c *HTTPConfig) { c.SendTimeout = time.Minute },
		"write_timeout":    func(c *HTTPConfig) { c.WriteTimeout = time.Second },
		"idle_timeout":     func(c *HTTPConfig) { c.IdleTimeout = -1 },
	} {
		c := DefaultHTTPConfig()
		change(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), name+": ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
