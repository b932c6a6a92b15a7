package e2e

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The server is ready in under a second and says so, and where, in one line: the only one until somebody asks for something.
func TestReadyInASecondAndOneLine(t *testing.T) {
	t.Parallel()
	// The best of a few starts: the machine may be busy, the binary has the race detector in it.
	best := time.Hour
	for range 10 {
		begin := time.Now()
		s := deploy(t, "GOCHAT_LOG_LEVEL=info")
		best = min(best, time.Since(begin))
		p := s.gateways[0]
		lines := strings.Split(strings.TrimSpace(p.log.String()), "\n")
		if current.name != "kafka" && len(lines) != 1 { // the topics of a new deployment are named
			t.Errorf("%d lines at the start: %q", len(lines), lines)
		}
		address := regexp.MustCompile(`http://[^\s,]+`).FindString(lines[len(lines)-1])
		if address != "http://"+p.address {
			t.Errorf("the line %q names %q, not http://%s", lines[len(lines)-1], address, p.address)
		}
		if resp := get(t, address+"/readyz"); resp.StatusCode != http.StatusOK {
			t.Errorf("not ready when it says so: %d", resp.StatusCode)
		}
		s.stop()
		if best < time.Second {
			return
		}
	}
	t.Errorf("the quickest start took %v", best)
}

// The file is the weakest, then the environment, then the flags.
func TestFileEnvironmentFlag(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte("listen: \"127.0.0.1:1001\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"GOCHAT_LISTEN=127.0.0.1:1002"}
	for _, c := range []struct {
		env  []string
		args []string
		want string
	}{
		{nil, nil, ":8080"},
		{nil, []string{"--config", file}, "127.0.0.1:1001"},
		{env, nil, "127.0.0.1:1002"},
		{env, []string{"--config", file}, "127.0.0.1:1002"},
		{env, []string{"--config", file, "--listen", "127.0.0.1:1003"}, "127.0.0.1:1003"},
	} {
		out, stderr, code := gochat(t, "", c.env, append([]string{"check-config"}, c.args...)...)
		if code != 0 || !strings.Contains(out, "listen "+c.want+",") {
			t.Errorf("env %v, args %v: exit %d, %q %q, want listen %s", c.env, c.args, code, out, stderr, c.want)
		}
	}
}

// The settings file of the repository is valid and changes nothing.
func TestOwnConfigFile(t *testing.T) {
	t.Parallel()
	plain, _, code := gochat(t, "", nil, "check-config")
	with, stderr, fileCode := gochat(t, "", nil, "check-config", "--config", "../config.yaml")
	if code != 0 || fileCode != 0 || plain != with {
		t.Errorf("without %q (exit %d), with %q %q (exit %d)", plain, code, with, stderr, fileCode)
	}
}

func TestShellCompletion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"ser"}, "serve"},
		{[]string{"admin", "user", "dis"}, "disable"},
		{[]string{"serve", "--data"}, "--data-dir"},
		{[]string{"bench", "str"}, "stress"},
	} {
		out, _, code := gochat(t, "", nil, append([]string{"__complete"}, c.args...)...)
		if code != 0 || !strings.HasPrefix(out, c.want) {
			t.Errorf("completion of %v: exit %d, %q", c.args, code, out)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if out, stderr, code := gochat(t, "", nil, "completion", shell); code != 0 || !strings.Contains(out, "gochat") || stderr != "" {
			t.Errorf("completion %s: exit %d, %d bytes, %q", shell, code, len(out), stderr)
		}
	}
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	for range 2 { // the second time there is nothing to do
		if out, stderr, code := gochat(t, "", nil, "migrate", "--data-dir", dir); code != 0 || !strings.Contains(out, "up to date") {
			t.Errorf("migrate: exit %d, %q %q", code, out, stderr)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "gochat.db")); err != nil {
		t.Error(err)
	}
}

// SIGTERM while messages are under way: everything that the server took is answered, nothing that it answered is lost, no new
// client is let in, and the sockets end with the reason.
func TestStopFinishesWhatWasAccepted(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a, b := register(t, s, "alice"), register(t, s, "bob")
	chat := single(t, a, b)
	const each = 100
	sockets := []*socket{a.dial(t), b.dial(t), a.dial(t)}
	for i, w := range sockets {
		for n := range each {
			w.send(t, mustJSON(t, map[string]any{"type": "message", "data": map[string]any{
				"conversation_id": chat, "content": "x", "message_type": "text", "client_msg_id": strings.Repeat("a", i+1) + "-" + mustJSON(t, n),
			}}))
		}
		w.send(t, `{"type":"ping"}`) // its pong says that the server has read what came before
		for f := w.next(t); f.Type != "pong"; f = w.next(t) {
			w.early = append(w.early, f)
		}
	}
	for _, p := range s.gateways { // the rest is stopped after them
		p.terminate()
	}
	acked := map[string]int64{}
	for i, w := range sockets {
		code, frames := w.closeCode(t)
		if code != 4001 || len(frames) == 0 || frames[len(frames)-1].Type != "disconnect" || num(frames[len(frames)-1].Data, "code") != 4001 {
			t.Errorf("socket %d closed with %d after %+v", i, code, frames)
		}
		acks := 0
		for _, f := range append(w.early, frames...) {
			switch f.Type {
			case "ack":
				acks++
				acked[str(f.Data, "client_msg_id")] = num(f.Data, "seq")
			case "error":
				t.Errorf("socket %d: %+v", i, f)
			}
		}
		if acks != each {
			t.Errorf("socket %d: %d of %d messages were answered before the close", i, acks, each)
		}
	}
	s.stop() // wants exit code 0
	s.start()
	stored := map[string]int64{}
	for _, m := range all(t, a, chat) {
		stored[str(m, "client_msg_id")] = num(m, "seq")
	}
	for id, seq := range acked {
		if stored[id] != seq {
			t.Errorf("%s was acknowledged as seq %d, stored as %d", id, seq, stored[id])
		}
	}
}

// While the sockets are being closed nobody new is let in.
func TestStopLetsNobodyIn(t *testing.T) {
	t.Parallel()
	s := deploy(t, "GOCHAT_GATEWAY_WEBSOCKET_DRAIN_WINDOW=30s")
	a := register(t, s, "alice")
	sockets := make([]*socket, 8)
	for i := range sockets {
		sockets[i] = a.dial(t)
	}
	g := s.gateways[0]
	g.terminate()
	eventually(t, "a new socket is refused", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+g.address+"/ws", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{
			"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
			"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Authorization": {"Bearer " + a.token},
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return true
		}
		defer resp.Body.Close()
		if resp.StatusCode == http.StatusSwitchingProtocols {
			return false
		}
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" || !bytes.Contains(body, []byte(`"code":1009`)) {
			t.Errorf("refused with %d, Retry-After %q, %s", resp.StatusCode, resp.Header.Get("Retry-After"), body)
		}
		return true
	})
	s.stop()
}
