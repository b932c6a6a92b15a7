package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// covered is what the whole suite has exercised: at its end every call of the server's own description must have had a good and
// a bad case, and every frame and event must have been seen.
var covered = coverage{calls: map[string]outcomes{}, frames: map[string]bool{}}

type coverage struct {
	mu         sync.Mutex          // guards what follows
	calls      map[string]outcomes // by method and path, ids as they were
	frames     map[string]bool     // "sent ping", "received hello", "event edit"
	operations []string            // of the OpenAPI document: "get /api/v1/users/{id}"
}

type outcomes struct{ good, bad bool }

// call notes an answer. That a call needs a token is tested for all at once, so 401 is no bad case of its own.
func (c *coverage) call(method, path string, status int) {
	path, _, _ = strings.Cut(path, "?")
	c.mu.Lock()
	defer c.mu.Unlock()
	key := strings.ToLower(method) + " " + path
	o := c.calls[key]
	o.good = o.good || status < 300
	o.bad = o.bad || status >= 400 && (status != 401 || strings.HasPrefix(path, "/api/v1/auth/"))
	c.calls[key] = o
}

func (c *coverage) sent(raw string) {
	var f frame
	if json.Unmarshal([]byte(raw), &f) == nil {
		c.see("sent " + f.Type)
	}
}

func (c *coverage) received(f frame) {
	c.see("received " + f.Type)
	if f.Type == "event" {
		c.see("event " + str(f.Data, "kind"))
	}
}

func (c *coverage) see(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frames[what] = true
}

func (c *coverage) describe(operations []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.operations = operations
}

// missing lists what was not exercised.
func (c *coverage) missing() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var missing []string
	if len(c.operations) == 0 {
		missing = append(missing, "the OpenAPI document")
	}
	for _, operation := range c.operations {
		var seen outcomes
		for call, o := range c.calls {
			if matches(operation, call) {
				seen.good, seen.bad = seen.good || o.good, seen.bad || o.bad
			}
		}
		// These take nothing that could be wrong.
		plain := slices.Contains([]string{
			"get /healthz", "get /readyz", "get /.well-known/jwks.json", "get /api/v1/messages/unread", "get /api/v1/users/profile",
			"get /api/v1/auth/sessions", "post /api/v1/auth/logout",
		}, operation)
		if !seen.good || !seen.bad && !plain {
			missing = append(missing, fmt.Sprintf("%s (a good case: %v, a bad case: %v)", operation, seen.good, seen.bad))
		}
	}
	var frames []string
	for _, f := range []string{"auth", "message", "read", "open", "close", "typing", "sync", "ping"} {
		frames = append(frames, "sent "+f)
	}
	for _, f := range []string{"hello", "ack", "message", "event", "read", "typing", "sync", "error", "ok", "pong", "ping", "disconnect"} {
		frames = append(frames, "received "+f)
	}
	for _, kind := range []string{
		"edit", "recall", "created", "member_joined", "member_left", "member_removed", "role_changed", "member_muted", "group_updated", "dissolved", "hidden",
	} {
		frames = append(frames, "event "+kind)
	}
	for _, f := range frames {
		if !c.frames[f] {
			missing = append(missing, f)
		}
	}
	return missing
}

// matches compares "get /api/v1/users/{id}" with "get /api/v1/users/7". A path without parameters comes before one with.
func matches(operation, call string) bool {
	pattern, path := strings.Split(operation, "/"), strings.Split(call, "/")
	if len(pattern) != len(path) {
		return false
	}
	for i, part := range pattern {
		if part != path[i] && (!strings.HasPrefix(part, "{") || slices.Contains([]string{"profile", "login", "send", "history", "unread", "read", "create", "register", "password"}, path[i])) {
			return false
		}
	}
	return true
}
