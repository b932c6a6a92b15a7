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
		bob:     bob,
		sockets: map[string]*socket{"alice": s.dial(t, nil), "bob": bob.dial(t)},
	}
	blocks := regexp.MustCompile("(?s)```dialogue\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	lines := 0
	for _, block := range blocks {
		for line := range strings.Lines(block[1]) {
			d.play(t, strings.TrimSpace(line))
			lines++
		}
	}
	if lines < 20 {
		t.Errorf("the page has only %d lines of dialogue", lines)
	}
}

// dialogue plays lines of "name> frame" and "name< frame".
type dialogue struct {
	vars    map[string]any
	bob     *account
	sockets map[string]*socket
}

func (d *dialogue) play(t *testing.T, line string) {
	t.Helper()
	i := strings.IndexAny(line, "<>")
	if i < 0 {
		t.Fatalf("not a line of a dialogue: %s", line)
	}
	if d.sockets[line[:i]] == nil && line[:i] == "bob_again" { // a connection that comes later
		d.sockets["bob_again"] = d.bob.dial(t)
	}
	w := d.sockets[line[:i]]
	var pattern any
	if err := json.Unmarshal([]byte(line[i+1:]), &pattern); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	if line[i] == '>' {
		raw, err := json.Marshal(d.fill(pattern))
		if err != nil {
			t.Fatal(err)
		}
		w.send(t, string(raw))
		return
	}
	_, raw, err := w.conn.Read(t.Context())
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	var got any
	var f frame
	if err := errors.Join(json.Unmarshal(raw, &got), json.Unmarshal(raw, &f)); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	covered.received(f)
	if err := d.match(pattern, got); err != nil {
		t.Fatalf("the page says %s\nthe server %s\n%v", line, raw, err)
	}
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
	}
	if !reflect.DeepEqual(pattern, got) {
		return fmt.Errorf("want %v, got %v", pattern, got)
	}
	return nil
}
