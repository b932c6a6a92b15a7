package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

func mustJSON(t testing.TB, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// Every call that needs an account refuses everybody else, in one shape.
func TestEveryCallNeedsAToken(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	var document struct {
		Paths map[string]map[string]struct {
			Security []map[string][]string `json:"security"`
		} `json:"paths"`
	}
	page := get(t, s.url()+"/api/v1/openapi.json")
	defer page.Body.Close()
	decode(t, page, &document)
	open := map[string]bool{
		"post /api/v1/users/register": true, "post /api/v1/auth/login": true, "post /api/v1/auth/refresh": true,
		"get /healthz": true, "get /readyz": true, "get /.well-known/jwks.json": true,
	}
	calls := 0
	var all []string
	defer func() { covered.describe(all) }()
	for path, operations := range document.Paths {
		for method := range operations {
			all = append(all, method+" "+path)
			if open[method+" "+path] || !strings.HasPrefix(path, "/api/") {
				continue
			}
			calls++
			url := strings.NewReplacer("{id}", "1", "{user_id}", "1").Replace(path)
			for name, token := range map[string]string{"none": "", "garbage": "garbage", "unsigned": "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."} {
				a := &account{s: s, token: token}
				status, answer := a.try(t, strings.ToUpper(method), url, map[string]any{})
				if status != http.StatusUnauthorized || num(answer, "code") != 1002 || str(answer, "request_id") == "" {
					t.Errorf("%s %s with token %s: %d %v", method, path, name, status, answer)
				}
			}
		}
	}
	if calls < 30 {
		t.Errorf("the document lists %d calls only", calls)
	}
}

func TestOneErrorShape(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a := register(t, s, "alice")
	for name, c := range map[string]struct {
		method, path, contentType, body string
		status                          int
		code                            int64
	}{
		"unknown path":       {http.MethodGet, "/api/v1/nothing", "", "", http.StatusNotFound, 1003},
		"unknown method":     {http.MethodPatch, "/api/v1/users/profile", "", "", http.StatusMethodNotAllowed, 1010},
		"not JSON":           {http.MethodPut, "/api/v1/users/profile", "application/json", "{", http.StatusBadRequest, 1001},
		"array":              {http.MethodPut, "/api/v1/users/profile", "application/json", "[]", http.StatusBadRequest, 1001},
		"trailing":           {http.MethodPut, "/api/v1/users/profile", "application/json", `{"nickname":"x"} {}`, http.StatusBadRequest, 1001},
		"unknown field":      {http.MethodPut, "/api/v1/users/profile", "application/json", `{"nick":"x"}`, http.StatusBadRequest, 1001},
		"wrong type":         {http.MethodPut, "/api/v1/users/profile", "application/json", `{"nickname":7}`, http.StatusBadRequest, 1001},
		"form":               {http.MethodPut, "/api/v1/users/profile", "application/x-www-form-urlencoded", "nickname=x", http.StatusUnsupportedMediaType, 1001},
		"too large":          {http.MethodPut, "/api/v1/users/profile", "application/json", `{"nickname":"` + strings.Repeat("x", 1<<20) + `"}`, http.StatusRequestEntityTooLarge, 1008},
		"deep":               {http.MethodPut, "/api/v1/users/profile", "application/json", strings.Repeat(`{"a":`, 5000), http.StatusBadRequest, 1001},
		"conversation of no": {http.MethodGet, "/api/v1/messages/history?conversation_id=1", "", "", http.StatusNotFound, 1003},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, s.url()+c.path, bytes.NewReader([]byte(c.body)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+a.token)
		if c.contentType != "" {
			req.Header.Set("Content-Type", c.contentType)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var answer map[string]any
		decode(t, resp, &answer)
		resp.Body.Close()
		if resp.StatusCode != c.status || num(answer, "code") != c.code || str(answer, "message") == "" || str(answer, "request_id") != resp.Header.Get("X-Request-Id") || answer["request_id"] == "" {
			t.Errorf("%s: %d %v (X-Request-Id %q)", name, resp.StatusCode, answer, resp.Header.Get("X-Request-Id"))
		}
	}
	resp := get(t, s.url()+"/api/v1/users/profile")
	defer resp.Body.Close()
	if resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control is %q", resp.Header.Get("Cache-Control"))
	}
}

func TestDocsNeedNoInternet(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	resp := get(t, s.url()+"/docs")
	var page bytes.Buffer
	if _, err := page.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || !strings.Contains(page.String(), "/api/v1/messages/send") {
		t.Errorf("/docs: %d, %d bytes", resp.StatusCode, page.Len())
	}
	for _, foreign := range []string{"src=\"http", "href=\"http", "@import", "//cdn"} {
		if strings.Contains(page.String(), foreign) {
			t.Errorf("/docs loads from elsewhere: %s", foreign)
		}
	}
	if resp.Header.Get("Content-Security-Policy") == "" {
		t.Error("/docs has no Content-Security-Policy")
	}
	if resp := get(t, s.url()+"/api/v1/openapi.yaml"); resp.StatusCode != http.StatusOK {
		t.Errorf("openapi.yaml: %d", resp.StatusCode)
	}
}

func TestNoSecretsInTheLog(t *testing.T) {
	t.Parallel()
	s := deploy(t, "GOCHAT_LOG_LEVEL=debug")
	a, b := register(t, s, "alice"), register(t, s, "bob")
	chat := single(t, a, b)
	a.say(t, chat, "the-secret-body")
	w := s.dial(t, nil)
	w.send(t, `{"type":"auth","data":{"token":"`+b.token+`"}}`)
	w.next(t)
	resp := get(t, s.url()+"/ws?token="+a.token+"x")
	resp.Body.Close()
	a.must(t, http.MethodPost, "/api/v1/auth/refresh", http.StatusOK, map[string]any{"refresh_token": a.refresh})
	s.stop()
	log := s.log()
	for name, secret := range map[string]string{
		"a message body": "the-secret-body", "an access token": a.token, "another's token": b.token, "a refresh token": a.refresh,
		"an e-mail": "alice@example.org", "a password": testPassword,
	} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %s", name)
		}
	}
}
