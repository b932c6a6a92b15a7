package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// TestProtocolPage executes the dialogues of docs/protocol.md: what the page says is what the server does.
func TestProtocolPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	s := deploy(t)
	alice, bob := register(t, s, "alice"), register(t, s, "bob")
	d := &dialogue{
		vars: map[string]any{
			"alice_token": alice.token, "alice_id": alice.id, "bob_id": bob.id, "chat": single(t, alice, bob),
		},
		accounts: map[string]*account{"alice": alice, "bob": bob},
		sockets:  map[string]*socket{"alice": s.dial(t, nil), "bob": bob.dial(t)},
	}
	blocks := regexp.MustCompile("(?s)```dialogue\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	lines := 0
	for _, block := range blocks {
		for line := range strings.Lines(block[1]) {
			d.play(t, strings.TrimSpace(line))
			lines++
		}
	}
	if lines < 45 {
		t.Errorf("the page has only %d lines of dialogue", lines)
	}
}

// dialogue plays lines of "name> frame", "name< frame", "name! METHOD path body" and "name= answer".
type dialogue struct {
	vars     map[string]any
	accounts map[string]*account
	sockets  map[string]*socket
	answer   any // of the last call
}

func (d *dialogue) play(t *testing.T, line string) {
	t.Helper()
	i := strings.IndexAny(line, "<>!=")
	if i < 0 {
		t.Fatalf("not a line of a dialogue: %s", line)
	}
	name, rest := line[:i], strings.TrimSpace(line[i+1:])
	switch line[i] {
	case '>':
		d.socket(t, name).send(t, d.filled(t, line, rest))
	case '<':
		d.expect(t, line, rest, d.receive(t, d.socket(t, name)))
	case '!':
		method, rest, _ := strings.Cut(rest, " ")
		path, body, _ := strings.Cut(rest, " ")
		d.call(t, line, d.accounts[name], method, path, body)
	case '=':
		d.expect(t, line, rest, d.answer)
	}
}

// socket returns a named connection: "bob_again" is one that Bob opens when he first uses it.
func (d *dialogue) socket(t *testing.T, name string) *socket {
	t.Helper()
	if d.sockets[name] == nil {
		owner, _, _ := strings.Cut(name, "_")
		d.sockets[name] = d.accounts[owner].dial(t)
	}
	return d.sockets[name]
}

// receive returns the next frame but those that may come at any moment.
func (d *dialogue) receive(t *testing.T, w *socket) any {
	t.Helper()
	for {
		_, raw, err := w.conn.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got any
		var f frame
		if err := errors.Join(json.Unmarshal(raw, &got), json.Unmarshal(raw, &f)); err != nil {
			t.Fatal(err)
		}
		covered.received(f)
		if f.Type != "delivered" {
			return got
		}
	}
}

func (d *dialogue) call(t *testing.T, line string, who *account, method, path, body string) {
	t.Helper()
	for name, value := range d.vars {
		path = strings.ReplaceAll(path, "$"+name, fmt.Sprint(value))
	}
	var request any
	if body != "" {
		request = json.RawMessage(d.filled(t, line, body))
	}
	status, answer := who.try(t, method, path, request)
	if status >= 300 {
		t.Fatalf("%s: %d %v", line, status, answer)
	}
	d.answer = map[string]any(answer)
}

func (d *dialogue) expect(t *testing.T, line, pattern string, got any) {
	t.Helper()
	var p any
	if err := json.Unmarshal([]byte(pattern), &p); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	if err := d.match(p, got); err != nil {
		t.Fatalf("the page says %s\nthe server %s\n%v", line, mustJSON(t, got), err)
	}
}

// filled is a pattern with its values.
func (d *dialogue) filled(t *testing.T, line, pattern string) string {
	t.Helper()
	var p any
	if err := json.Unmarshal([]byte(pattern), &p); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return mustJSON(t, d.fill(p))
}

// fill replaces "$name" by its value, in keys too.
func (d *dialogue) fill(v any) any {
	switch v := v.(type) {
	case string:
		if name, ok := strings.CutPrefix(v, "$"); ok {
			return d.vars[name]
		}
	case map[string]any:
		filled := map[string]any{}
		for k, e := range v {
			if name, ok := strings.CutPrefix(k, "$"); ok {
				k = fmt.Sprint(d.vars[name])
			}
			filled[k] = d.fill(e)
		}
		return filled
	case []any:
		filled := make([]any, len(v))
		for i, e := range v {
			filled[i] = d.fill(e)
		}
		return filled
	}
	return v
}

// match holds got against a pattern: every field of the pattern is there, "…" is anything, "$name" is the value of that
// name, or gives it one.
func (d *dialogue) match(pattern, got any) error {
	switch p := pattern.(type) {
	case string:
		if p == "…" {
			return nil
		}
		if name, ok := strings.CutPrefix(p, "$"); ok {
			if known, ok := d.vars[name]; ok {
				return d.match(known, got)
			}
			d.vars[name] = got
			return nil
		}
	case map[string]any:
		m, ok := got.(map[string]any)
		if !ok {
			return fmt.Errorf("want an object, got %v", got)
		}
		for k, e := range p {
			v, ok := m[k]
			if !ok {
				return fmt.Errorf("%s is missing", k)
			}
			if err := d.match(e, v); err != nil {
				return fmt.Errorf("%s: %w", k, err)
			}
		}
		return nil
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(p) {
			return fmt.Errorf("want %d values, got %v", len(p), got)
		}
		for i, e := range p {
			if err := d.match(e, list[i]); err != nil {
				return fmt.Errorf("%d: %w", i, err)
			}
		}
		return nil
	}
	if !reflect.DeepEqual(pattern, got) {
		return fmt.Errorf("want %v, got %v", pattern, got)
	}
	return nil
}
