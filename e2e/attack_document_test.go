package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
)

// schema is as much of a JSON schema as a request needs.
type schema struct {
	Ref        string            `json:"$ref"`
	Type       any               `json:"type"`
	Properties map[string]schema `json:"properties"`
	Required   []string          `json:"required"`
	Enum       []any             `json:"enum"`
	Items      *schema           `json:"items"`
}

// apiDocument is as much of the server's OpenAPI document as an attacker needs.
type apiDocument struct {
	Paths map[string]map[string]struct {
		Parameters []struct {
			Name, In string
			Required bool
			Schema   schema
		}
		RequestBody struct {
			Content map[string]struct{ Schema schema }
		}
		Responses map[string]any
	}
	Components struct{ Schemas map[string]schema }
}

func (d *apiDocument) resolve(s schema) schema {
	for s.Ref != "" {
		s = d.Components.Schemas[s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]]
	}
	return s
}

// example is a value that a schema accepts, more or less.
func (d *apiDocument) example(s schema) any {
	s = d.resolve(s)
	if len(s.Enum) > 0 {
		return s.Enum[0]
	}
	kind := fmt.Sprint(s.Type)
	switch {
	case strings.Contains(kind, "object"):
		o := map[string]any{}
		for _, name := range s.Required {
			o[name] = d.example(s.Properties[name])
		}
		return o
	case strings.Contains(kind, "array"):
		return []any{d.example(*s.Items)}
	case strings.Contains(kind, "integer"), strings.Contains(kind, "number"):
		return 1
	case strings.Contains(kind, "boolean"):
		return true
	}
	return "1"
}

// What no field of any request accepts, or accepts and does nothing bad with.
var hostile = map[string]any{
	"null": nil, "a number": 7, "a huge number": json.RawMessage("1e400"), "a negative": -1, "a boolean": true, "a list": []any{1}, "an object": map[string]any{"$ne": 1},
	"nested": json.RawMessage(strings.Repeat("[", 3000) + strings.Repeat("]", 3000)), "a NUL": "a\x00b", "nothing": "", "blanks": "  ",
	"SQL": "' OR 1=1 --", "wildcards": "%_*\\", "markup": "<script>alert(1)</script>", "a line break": "a\r\nX-Evil: 1", "a path": "../../etc/passwd",
	"long": strings.Repeat("x", 5000), "a lone surrogate": json.RawMessage(`"\ud800"`), "direction marks": "\u202eabc\u2066", "64 bits and more": "99999999999999999999",
}

// Every operation of the document, with everything wrong that can be: the answer is a documented one, in the one shape,
// and the server has not failed.
func TestEveryCallRefusesNonsense(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	var d apiDocument
	decode(t, get(t, s.url()+"/api/v1/openapi.json"), &d)
	a, b := register(t, s, "alice"), register(t, s, "bob")
	foreign := single(t, b, register(t, s, "carol"))
	calls := 0
	for path, operations := range d.Paths {
		for method, op := range operations {
			if path == "/api/v1/auth/logout" || path == "/api/v1/auth/sessions/{id}" || path == "/api/v1/users/password" {
				continue // they end the session that the rest needs; other tests have them
			}
			send := func(what, path, contentType, body string) {
				t.Helper()
				calls++
				req, err := http.NewRequestWithContext(t.Context(), strings.ToUpper(method), s.url()+path, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Authorization", "Bearer "+a.token)
				if contentType != "" {
					req.Header.Set("Content-Type", contentType)
				}
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatalf("%s %s, %s: %v", method, path, what, err)
				}
				defer resp.Body.Close()
				raw, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				if resp.StatusCode >= 500 || op.Responses[fmt.Sprint(resp.StatusCode)] == nil {
					t.Errorf("%s %s, %s: %d is not documented: %s", method, path, what, resp.StatusCode, raw)
				}
				if resp.Header.Get("X-Evil") != "" {
					t.Errorf("%s %s, %s: a header was injected", method, path, what)
				}
				var answer map[string]any
				if resp.StatusCode < 400 {
					return
				}
				if err := json.Unmarshal(raw, &answer); err != nil || num(answer, "code") == 0 || str(answer, "message") == "" || str(answer, "request_id") == "" {
					t.Errorf("%s %s, %s: %d in another shape: %s", method, path, what, resp.StatusCode, raw)
				}
			}
			fill := func(id string) string {
				return strings.NewReplacer("{id}", id, "{user_id}", b.id).Replace(path)
			}
			query := ""
			for _, p := range op.Parameters {
				if p.In == "query" && p.Required {
					query += "&" + p.Name + "=" + foreign
				}
			}
			query = strings.Replace(query, "&", "?", 1)
			body := d.resolve(op.RequestBody.Content["application/json"].Schema)
			contentType := ""
			var whole map[string]any
			if body.Type != nil {
				contentType = "application/json"
				whole, _ = d.example(body).(map[string]any)
			}
			encoded := func(change func(map[string]any)) string {
				if whole == nil {
					return ""
				}
				o := maps.Clone(whole)
				change(o)
				return mustJSON(t, o)
			}
			same := func(map[string]any) {}
			send("as it should be", fill(foreign)+query, contentType, encoded(same))
			if strings.Contains(path, "{") {
				for _, id := range []string{"x", "0", "-1", "1.5", "99999999999999999999", "%00", "%2e%2e%2f", "'", "1%27%20OR%201=1", foreign + "-1", foreign + "-0", foreign + "--1", strings.Repeat("9", 3000)} {
					send("id "+id[:min(len(id), 30)], fill(id)+query, contentType, encoded(same))
				}
			}
			for _, p := range op.Parameters {
				if p.In != "query" {
					continue
				}
				for _, v := range []string{"", "x", "-1", "1.5", "99999999999999999999", "%00", "%ff%fe", "%25_", strings.Repeat("x", 2000), "1&" + p.Name + "=2"} {
					send("query "+p.Name+"="+v[:min(len(v), 30)], fill(foreign)+"?"+p.Name+"="+v, contentType, encoded(same))
				}
			}
			send("an unknown parameter", fill(foreign)+"?no_such_thing=1", contentType, encoded(same))
			if whole == nil {
				continue
			}
			for what, raw := range map[string]string{
				"no body": "", "not JSON": "{", "null": "null", "a list": "[]", "a string": `"x"`, "an empty object": "{}", "two values": "{}{}",
				"not UTF-8": "{\"a\":\"\xff\"}", "a BOM": "\ufeff{}", "deep": strings.Repeat(`{"a":`, 10_000), "wide": "[" + strings.Repeat("1,", 30_000) + "1]",
				"an unknown field": encoded(func(o map[string]any) { o["no_such_thing"] = 1 }), "a prototype": encoded(func(o map[string]any) { o["__proto__"] = map[string]any{"role": "admin"} }),
			} {
				send(what, fill(foreign)+query, contentType, raw)
			}
			for _, other := range []string{"", "text/plain", "application/xml", "multipart/form-data; boundary=x", "application/json; charset=utf-16"} {
				send("content type "+other, fill(foreign)+query, other, encoded(same))
			}
			for name := range body.Properties {
				send("without "+name, fill(foreign)+query, contentType, encoded(func(o map[string]any) { delete(o, name) }))
				for what, v := range hostile {
					send(name+" is "+what, fill(foreign)+query, contentType, hostileBody(t, whole, name, v))
				}
				if name != strings.ToUpper(name) {
					send(name+" in capitals", fill(foreign)+query, contentType, encoded(func(o map[string]any) { delete(o, name); o[strings.ToUpper(name)] = "1" }))
				}
			}
		}
	}
	if calls < 1000 {
		t.Errorf("%d calls only", calls)
	}
	t.Logf("%d calls", calls)
	a.must(t, http.MethodGet, "/api/v1/users/profile", http.StatusOK, nil)
	if log := s.log(); strings.Contains(log, "panic") {
		t.Error("a call panicked; see the log")
	}
}

// hostileBody is a body with one field's value as it is, which need not be one that a JSON encoder would write.
func hostileBody(t testing.TB, whole map[string]any, name string, v any) string {
	t.Helper()
	raw, ok := v.(json.RawMessage)
	if !ok {
		raw = json.RawMessage(mustJSON(t, v))
	}
	b := strings.Builder{}
	b.WriteString("{" + mustJSON(t, name) + ":")
	b.Write(raw)
	for k, other := range whole {
		if k != name {
			b.WriteString("," + mustJSON(t, k) + ":" + mustJSON(t, other))
		}
	}
	b.WriteString("}")
	return b.String()
}
