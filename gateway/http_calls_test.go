package gateway

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gochat-im/gochat/platform/errs"
)

// goodCall is one call that must succeed; route is its path in the document.
type goodCall struct {
	method, route, path, body string
	status                    int
	setup                     func(*apiLogic)
	want                      string // part of the answer
}

var goodCalls = []goodCall{
	{method: "POST", route: "/api/v1/users/register", body: `{"username":"alice","password":"a good secret","email":"alice@example.org"}`, status: 201, want: `"user":{"id":"387204871236485120","username":"alice","nickname":"Al <b>&"`},
	{method: "POST", route: "/api/v1/auth/login", body: `{"username":"alice","password":"a good secret","device_id":"phone","platform":"ios"}`, status: 200, want: `"token_type":"Bearer","expires_in":900,`},
	{method: "POST", route: "/api/v1/auth/refresh", body: `{"refresh_token":"r"}`, status: 200, want: `"refresh_token":"r"`},
	{method: "POST", route: "/api/v1/auth/logout", status: 204},
	{method: "GET", route: "/api/v1/auth/sessions", status: 200, want: `"last_seen_at":"2026-01-01T00:00:00.125Z","current":true}`},
	{method: "DELETE", route: "/api/v1/auth/sessions/{id}", path: "/api/v1/auth/sessions/387204871236485300", status: 204},
	{method: "DELETE", route: "/api/v1/auth/sessions/{id}", path: "/api/v1/auth/sessions/all", status: 204},
	{method: "PUT", route: "/api/v1/users/password", body: `{"old_password":"a","new_password":"b"}`, status: 204},
	{method: "GET", route: "/api/v1/users/profile", status: 200, want: `"email":"alice@example.org"`},
	{method: "PUT", route: "/api/v1/users/profile", body: `{"nickname":"x"}`, status: 200, want: `"status":"active"`},
	{method: "GET", route: "/api/v1/users/{id}", path: "/api/v1/users/387204871236485121", status: 200, want: `"created_at":"2026-01-01T00:00:00.125Z"`},
	{method: "GET", route: "/api/v1/users", path: "/api/v1/users?query=al&limit=5", status: 200, want: `"next_cursor":""`},
	{method: "POST", route: "/api/v1/messages/send", body: `{"conversation_id":"387204871236485200","content":"hi <b>&","message_type":"text","client_msg_id":"c1"}`, status: 200, want: `{"message":{"kind":"message","id":"387204871236485200-8","conversation_id":"387204871236485200","seq":8,"from_user_id":"387204871236485120","to_user_id":"387204871236485121","content":"hi <b>&","message_type":"text","client_msg_id":"c1","status":"sent","created_at":"2026-01-01T00:00:00.125Z"}}`},
	{method: "GET", route: "/api/v1/messages/history", path: "/api/v1/messages/history?conversation_id=387204871236485200&include=all", status: 200, want: `"kind":"edit","id":"387204871236485200-3","conversation_id":"387204871236485200","seq":3,"target_seq":2,"user_id":"387204871236485120","content":"ho"`},
	{method: "GET", route: "/api/v1/messages/history", path: "/api/v1/messages/history?conversation_id=387204871236485200&before_seq=9&limit=3", status: 200, want: `"kind":"member_joined","id":"387204871236485200-4","conversation_id":"387204871236485200","seq":4,"user_id":"387204871236485121","message_type":"system","target_user_ids":["387204871236485121"]`},
	{method: "GET", route: "/api/v1/messages/unread", status: 200, want: `{"total":2,"conversations":[{"conversation_id":"387204871236485200","unread":2,"last_seq":7,"read_seq":5}]}`},
	{method: "POST", route: "/api/v1/messages/read", body: `{"conversation_id":"387204871236485200","seq":7}`, status: 204},
	{method: "PUT", route: "/api/v1/messages/{id}", path: messageURL, body: `{"content":"ho"}`, status: 200, want: `"target_seq":7`},
	{method: "DELETE", route: "/api/v1/messages/{id}", path: messageURL, status: 204},
	{method: "DELETE", route: "/api/v1/messages/{id}", path: messageURL + "?scope=self", status: 204},
	{method: "GET", route: "/api/v1/conversations", status: 200, want: `"last_message":{"kind":"message"`},
	{method: "POST", route: "/api/v1/conversations/create", body: `{"type":"single","peer_user_id":"387204871236485121"}`, status: 200, want: `"peer_user_id":"387204871236485121"`},
	{method: "POST", route: "/api/v1/conversations/create", body: `{"type":"single","peer_user_id":"387204871236485121"}`, status: 201, setup: func(l *apiLogic) { l.created = true }},
	{method: "POST", route: "/api/v1/conversations/create", body: `{"type":"group","name":"Friends","member_ids":["387204871236485121"]}`, status: 201, want: `"conversation":{`},
	{method: "GET", route: "/api/v1/conversations/{id}", path: "/api/v1/conversations/387204871236485200", status: 200, want: `"pinned":true`},
	{method: "PUT", route: "/api/v1/conversations/{id}", path: "/api/v1/conversations/387204871236485200", body: `{"muted":true}`, status: 200},
	{method: "POST", route: "/api/v1/groups/create", body: `{"name":"Friends","member_ids":["387204871236485121"],"max_members":50,"join_policy":"approval"}`, status: 201, want: `"conversation_id":"387204871236485200"`},
	{method: "GET", route: "/api/v1/groups/{id}", path: groupURL, status: 200, want: `"my_role":""`},
	{method: "PUT", route: "/api/v1/groups/{id}", path: groupURL, body: `{"description":"x","join_policy":"open"}`, status: 200, want: `"my_role":"owner"`},
	{method: "DELETE", route: "/api/v1/groups/{id}", path: groupURL, status: 204},
	{method: "POST", route: "/api/v1/groups/{id}/join", path: groupURL + "/join", status: 204},
	{method: "POST", route: "/api/v1/groups/{id}/join", path: groupURL + "/join", body: `{}`, status: 202, setup: func(l *apiLogic) { l.pending = true }},
	{method: "POST", route: "/api/v1/groups/{id}/leave", path: groupURL + "/leave", status: 204},
	{method: "POST", route: "/api/v1/groups/{id}/transfer", path: groupURL + "/transfer", body: `{"user_id":"387204871236485121"}`, status: 204},
	{method: "GET", route: "/api/v1/groups/{id}/requests", path: groupURL + "/requests", status: 200, want: `"requests":[{"user_id":"387204871236485121"`},
	{method: "POST", route: "/api/v1/groups/{id}/requests/{user_id}", path: groupURL + "/requests/387204871236485121", body: `{"approve":true}`, status: 204},
	{method: "GET", route: "/api/v1/groups/{id}/members", path: groupURL + "/members", status: 200, want: `"role":"member"`},
	{method: "POST", route: "/api/v1/groups/{id}/members", path: groupURL + "/members", body: `{"user_ids":["387204871236485121"]}`, status: 200},
	{method: "DELETE", route: "/api/v1/groups/{id}/members/{user_id}", path: groupURL + "/members/387204871236485121", status: 204},
	{method: "PUT", route: "/api/v1/groups/{id}/members/{user_id}", path: groupURL + "/members/387204871236485121", body: `{"role":"admin"}`, status: 200, want: `"muted_until":"2026-01-01T00:00:00.125Z"`},
	{method: "GET", route: "/healthz", status: 200, want: `{"status":"ok"}`},
	{method: "GET", route: "/readyz", status: 200, want: `{"status":"ok"}`},
	{method: "GET", route: "/.well-known/jwks.json", status: 200, want: `"kty":"OKP"`},
}

// Every call of the document succeeds, and its answer is what the document says.
func TestCallsAnswerAsDocumented(t *testing.T) {
	t.Parallel()
	covered := map[string]bool{}
	f := newHTTPFixture(t, nil)
	document := f.http.document
	for _, c := range goodCalls {
		f.logic.created, f.logic.pending = false, false
		if c.setup != nil {
			c.setup(f.logic)
		}
		path := c.path
		if path == "" {
			path = c.route
		}
		a := f.do(t, c.method, path, c.body)
		name := c.method + " " + path
		covered[c.method+" "+c.route] = true
		if a.status != c.status || !strings.Contains(a.body, c.want) {
			t.Errorf("%s: %d %s, want %d with %s", name, a.status, a.body, c.status, c.want)
			continue
		}
		checkAgainstDocument(t, document, c.method, c.route, a)
		if a.header.Get("X-Request-Id") == "" || a.header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(a.header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("%s: headers %v", name, a.header)
		}
		if strings.HasPrefix(path, "/api/") && a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: Cache-Control %q", name, a.header.Get("Cache-Control"))
		}
		if strings.Contains(a.body, "$schema") || a.header.Get("Link") != "" {
			t.Errorf("%s links to a schema: %s", name, a.body)
		}
	}
	for path, item := range document.Paths {
		for _, op := range operationsOf(item) {
			if !covered[op.Method+" "+path] {
				t.Errorf("no test calls %s %s", op.Method, path)
			}
		}
	}
}

// checkAgainstDocument validates an answer with the schema that the document has for it.
func checkAgainstDocument(t *testing.T, document *huma.OpenAPI, method, route string, a answer) {
	t.Helper()
	var op *huma.Operation
	for _, o := range operationsOf(document.Paths[route]) {
		if o.Method == method {
			op = o
		}
	}
	if op == nil {
		t.Errorf("the document has no %s %s", method, route)
		return
	}
	r := op.Responses[http.StatusText(0)+itoa(a.status)]
	if r == nil {
		t.Errorf("%s %s: the document has no answer %d", method, route, a.status)
		return
	}
	media := r.Content["application/json"]
	if media == nil {
		if a.body != "" {
			t.Errorf("%s %s: an undocumented body: %s", method, route, a.body)
		}
		return
	}
	var v any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Errorf("%s %s: %v", method, route, err)
		return
	}
	var res huma.ValidateResult
	huma.Validate(document.Components.Schemas, media.Schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, v, &res)
	for _, err := range res.Errors {
		t.Errorf("%s %s: %v in %s", method, route, err, a.body)
	}
}

func itoa(n int) string {
	b, _ := json.Marshal(n)
	return string(b)
}

// What is wrong with a request is answered with 1001 and the field's name, and logic never sees it.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	f := newHTTPFixture(t, nil)
	const send = "/api/v1/messages/send"
	for _, c := range []struct {
		name, method, path, body, field string
	}{
		{"not JSON", "POST", send, `{`, "body"},
		{"an array", "POST", send, `[]`, "body"},
		{"null", "POST", send, `null`, "body"},
		{"trailing data", "POST", send, `{"conversation_id":"1","content":"x","message_type":"text"} {}`, "body"},
		{"not UTF-8", "POST", send, "{\"conversation_id\":\"1\",\"content\":\"\xff\",\"message_type\":\"text\"}", "body"},
		{"missing content", "POST", send, `{"conversation_id":"1","message_type":"text"}`, "content"},
		{"empty content", "POST", send, `{"conversation_id":"1","content":"","message_type":"text"}`, "content"},
		{"content of another type", "POST", send, `{"conversation_id":"1","content":{"a":1},"message_type":"text"}`, "content"},
		{"content null", "POST", send, `{"conversation_id":"1","content":null,"message_type":"text"}`, "content"},
		{"field of another case", "POST", send, `{"conversation_id":"1","Content":"x","message_type":"text"}`, ""},
		{"message_type system", "POST", send, `{"conversation_id":"1","content":"x","message_type":"system"}`, "message_type"},
		{"from_user_id", "POST", send, `{"conversation_id":"1","content":"x","message_type":"text","from_user_id":"2"}`, "from_user_id"},
		{"status", "POST", send, `{"conversation_id":"1","content":"x","message_type":"text","status":"read"}`, "status"},
		{"negative id", "POST", send, `{"conversation_id":"-1","content":"x","message_type":"text"}`, "conversation_id"},
		{"id a number", "POST", send, `{"conversation_id":1,"content":"x","message_type":"text"}`, "conversation_id"},
		{"huge id", "POST", send, `{"conversation_id":"99999999999999999999","content":"x","message_type":"text"}`, "conversation_id"},
		{"id over 63 bits", "POST", send, `{"conversation_id":"9223372036854775808","content":"x","message_type":"text"}`, "conversation_id"},
		{"id with zeros", "POST", send, `{"conversation_id":"01","content":"x","message_type":"text"}`, "conversation_id"},
		{"id with a newline", "POST", send, `{"conversation_id":"1\n","content":"x","message_type":"text"}`, "conversation_id"},
		{"long client_msg_id", "POST", send, `{"conversation_id":"1","content":"x","message_type":"text","client_msg_id":"` + strings.Repeat("x", 65) + `"}`, "client_msg_id"},
		{"role at registration", "POST", "/api/v1/users/register", `{"username":"a","password":"b","email":"c","role":"admin"}`, "role"},
		{"status in a profile", "PUT", "/api/v1/users/profile", `{"status":"active"}`, "status"},
		{"id in a profile", "PUT", "/api/v1/users/profile", `{"id":"1"}`, "id"},
		{"username a number", "POST", "/api/v1/auth/login", `{"username":7,"password":"x"}`, "username"},
		{"owner_id of a group", "POST", "/api/v1/groups/create", `{"name":"x","owner_id":"1"}`, "owner_id"},
		{"owner_id in an update", "PUT", groupURL, `{"owner_id":"1"}`, "owner_id"},
		{"max_members 1", "POST", "/api/v1/groups/create", `{"name":"x","max_members":1}`, "max_members"},
		{"max_members huge", "POST", "/api/v1/groups/create", `{"name":"x","max_members":1e30}`, "max_members"},
		{"max_members a fraction", "POST", "/api/v1/groups/create", `{"name":"x","max_members":2.5}`, "max_members"},
		{"a bad id among many", "POST", "/api/v1/groups/create", `{"name":"x","member_ids":["1","x"]}`, "member_ids[1]"},
		{"unknown policy", "POST", "/api/v1/groups/create", `{"name":"x","join_policy":"anyone"}`, "join_policy"},
		{"no members to add", "POST", groupURL + "/members", `{"user_ids":[]}`, "user_ids"},
		{"role owner", "PUT", groupURL + "/members/1", `{"role":"owner"}`, "role"},
		{"no change of a member", "PUT", groupURL + "/members/1", `{}`, "role"},
		{"muted_until no time", "PUT", groupURL + "/members/1", `{"muted_until":"tomorrow"}`, "muted_until"},
		{"muted_until a number", "PUT", groupURL + "/members/1", `{"muted_until":7}`, "muted_until"},
		{"approve a string", "POST", groupURL + "/requests/1", `{"approve":"yes"}`, "approve"},
		{"approve missing", "POST", groupURL + "/requests/1", `{}`, "approve"},
		{"seq 0", "POST", "/api/v1/messages/read", `{"conversation_id":"1","seq":0}`, "seq"},
		{"seq negative", "POST", "/api/v1/messages/read", `{"conversation_id":"1","seq":-4}`, "seq"},
		{"seq huge", "POST", "/api/v1/messages/read", `{"conversation_id":"1","seq":1e300}`, "seq"},
		{"type unknown", "POST", "/api/v1/conversations/create", `{"type":"channel"}`, "type"},
		{"single without peer", "POST", "/api/v1/conversations/create", `{"type":"single"}`, "peer_user_id"},
		{"single with members", "POST", "/api/v1/conversations/create", `{"type":"single","peer_user_id":"1","member_ids":["2"]}`, "member_ids"},
		{"group with peer", "POST", "/api/v1/conversations/create", `{"type":"group","name":"x","peer_user_id":"1"}`, "peer_user_id"},
		{"body where none is", "POST", groupURL + "/join", `{"role":"owner"}`, "body"},
		{"path id of letters", "GET", "/api/v1/users/abc", "", "id"},
		{"path id negative", "GET", "/api/v1/users/-1", "", "id"},
		{"path id huge", "GET", "/api/v1/users/99999999999999999999", "", "id"},
		{"path id with a zero", "GET", "/api/v1/groups/007", "", "id"},
		{"session id of letters", "DELETE", "/api/v1/auth/sessions/ALL", "", "id"},
		{"message id without seq", "PUT", "/api/v1/messages/1", `{"content":"x"}`, "id"},
		{"message id with more", "PUT", "/api/v1/messages/1-2-3", `{"content":"x"}`, "id"},
		{"message id of seq 0", "DELETE", "/api/v1/messages/1-0", "", "id"},
		{"message id overflowing", "DELETE", "/api/v1/messages/9999999999999999999-1", "", "id"},
		{"scope unknown", "DELETE", messageURL + "?scope=all", "", "scope"},
		{"limit 0", "GET", "/api/v1/conversations?limit=0", "", "limit"},
		{"limit negative", "GET", "/api/v1/conversations?limit=-1", "", "limit"},
		{"limit a word", "GET", "/api/v1/conversations?limit=ten", "", "limit"},
		{"unknown parameter", "GET", "/api/v1/conversations?offset=1", "", "offset"},
		{"token in the query", "GET", "/api/v1/conversations?token=x", "", "token"},
		{"forged cursor", "GET", "/api/v1/conversations?cursor=forged", "", "cursor"},
		{"cursor of another list", "GET", groupURL + "/members?cursor=AWMAAADdrPY", "", "cursor"},
		{"no query", "GET", "/api/v1/users?query=", "", "query"},
		{"no conversation", "GET", "/api/v1/messages/history", "", "conversation_id"},
		{"before_seq 0", "GET", "/api/v1/messages/history?conversation_id=1&before_seq=0", "", "before_seq"},
		{"before_seq negative", "GET", "/api/v1/messages/history?conversation_id=1&before_seq=-1", "", "before_seq"},
		{"after_seq huge", "GET", "/api/v1/messages/history?conversation_id=1&after_seq=99999999999999999999", "", "after_seq"},
		{"both seqs", "GET", "/api/v1/messages/history?conversation_id=1&after_seq=1&before_seq=3", "", "after_seq"},
		{"include unknown", "GET", "/api/v1/messages/history?conversation_id=1&include=none", "", "include"},
	} {
		v := f.do(t, c.method, c.path, c.body).wantError(t, c.name, http.StatusBadRequest, errs.Invalid)
		details, _ := v["details"].(map[string]any)
		if c.field != "" && details["field"] != c.field {
			t.Errorf("%s: field %v in %v, want %s", c.name, details["field"], v, c.field)
		}
	}
	f.logic.mu.Lock()
	defer f.logic.mu.Unlock()
	if len(f.logic.last) > 0 {
		t.Errorf("logic was asked: %v", f.logic.last)
	}
}
