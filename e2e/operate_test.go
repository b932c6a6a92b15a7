package e2e

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestStartRefusals(t *testing.T) {
	t.Parallel()
	running := deploy(t)
	readOnly := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(readOnly, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	badFile := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(badFile, []byte("gateway:\n  websockets: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		env  []string
		want string // the setting that the one line names
	}{
		"taken port":          {args: []string{"--listen", running.gateways[0].address, "--data-dir", t.TempDir()}, want: "listen: "},
		"taken private port":  {args: []string{"--listen", "127.0.0.1:0", "--private-listen", running.gateways[0].private, "--data-dir", t.TempDir()}, want: "private_listen: "},
		"unwritable folder":   {args: []string{"--listen", "127.0.0.1:0", "--private-listen", "", "--data-dir", filepath.Join(readOnly, "data")}, want: "data_dir"},
		"unknown key in file": {args: []string{"--config", badFile, "--data-dir", t.TempDir()}, want: "gateway.websockets"},
		"missing file":        {args: []string{"--config", badFile + ".missing", "--data-dir", t.TempDir()}, want: ".missing"},
		"bad value":           {args: []string{"--data-dir", t.TempDir()}, env: []string{"GOCHAT_SHUTDOWN_TIMEOUT=soon"}, want: "shutdown_timeout"},
		"unknown variable":    {args: []string{"--data-dir", t.TempDir()}, env: []string{"GOCHAT_NO_SUCH_THING=1"}, want: "GOCHAT_NO_SUCH_THING"},
		"value out of range":  {args: []string{"--data-dir", t.TempDir()}, env: []string{"GOCHAT_DELIVERY_LARGE_GROUP_THRESHOLD=1"}, want: "delivery.large_group_threshold"},
		"missing role":        {args: []string{"--roles", "gateway,logic", "--data-dir", t.TempDir()}, want: "roles.run"},
		"unknown role":        {args: []string{"--roles", "gate", "--data-dir", t.TempDir()}, want: "roles.run"},
		"unsupported store":   {args: []string{"--data-dir", t.TempDir()}, env: []string{"GOCHAT_STORE=oracle"}, want: "store: "},
		"unknown flag":        {args: []string{"--liste", ":1"}, want: "--liste"},
		"stray argument":      {args: []string{"now"}, want: "now"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, stderr, code := gochat(t, "", c.env, append([]string{"serve"}, c.args...)...)
			if code != 2 {
				t.Errorf("exit code %d, want 2", code)
			}
			if out != "" || strings.Count(strings.TrimSpace(stderr), "\n") != 0 || !strings.Contains(stderr, c.want) {
				t.Errorf("want one line that names %q, got %q", c.want, stderr)
			}
		})
	}
}

// A second process on the same data folder is refused, and the first goes on.
func testDataFolderBelongsToOne(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	_, stderr, code := gochat(t, "", nil, "serve", "--listen", "127.0.0.1:0", "--private-listen", "", "--data-dir", s.dir)
	if code != 2 || strings.Count(strings.TrimSpace(stderr), "\n") != 0 || !strings.Contains(stderr, "data_dir") {
		t.Errorf("a second process: exit %d, %q", code, stderr)
	}
	register(t, s, "alice")
}

func testKeysAreGeneratedAndPrivate(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	found := 0
	err := filepath.WalkDir(s.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if strings.Contains(path, "keys") && info.Mode().IsRegular() {
			found++
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v: others may read it", path, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found == 0 {
		t.Error("no signing key was generated")
	}
	var before, after struct{ Keys []map[string]any }
	decode(t, get(t, s.url()+"/.well-known/jwks.json"), &before)
	s.stop()
	s.start()
	decode(t, get(t, s.url()+"/.well-known/jwks.json"), &after)
	if len(before.Keys) != 1 || len(after.Keys) != 1 || before.Keys[0]["kid"] != after.Keys[0]["kid"] {
		t.Errorf("the keys changed over a restart: %v, then %v", before, after)
	}
	if _, private := before.Keys[0]["d"]; private {
		t.Error("the key set holds a private key")
	}
}

func TestOperationsStayOffThePublicPort(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/goroutine"} {
		if resp := get(t, s.url()+path); resp.StatusCode != http.StatusNotFound {
			t.Errorf("public %s: status %d, want 404", path, resp.StatusCode)
		}
		if resp := get(t, s.gateways[0].privateURL()+path); resp.StatusCode != http.StatusOK {
			t.Errorf("private %s: status %d, want 200", path, resp.StatusCode)
		}
	}
	body, err := io.ReadAll(get(t, s.gateways[0].privateURL()+"/readyz").Body)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(body), `":"ok"`) {
		t.Errorf("the private readiness has no details: %s", body)
	}
	if resp := get(t, s.url()+"/readyz"); resp.StatusCode != http.StatusOK {
		t.Errorf("public /readyz: %d", resp.StatusCode)
	}
}

func testAdminWithAndWithoutServer(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	admin := func(stdin string, args ...string) (string, string, int) {
		return s.admin(t, stdin, args...)
	}
	for _, mode := range []string{"running", "stopped"} {
		if mode == "stopped" {
			s.stop()
		}
		name := "op-" + mode
		if out, stderr, code := admin("correct horse battery\n", "user", "create", name); code != 0 || !strings.Contains(out, "created user "+name) {
			t.Fatalf("%s: create: %d %q %q", mode, code, out, stderr)
		}
		if _, stderr, code := admin("correct horse battery\n", "user", "create", name); code != 1 || !strings.Contains(stderr, "username") {
			t.Errorf("%s: a second create: %d %q", mode, code, stderr)
		}
		if _, stderr, code := admin("\n", "user", "create", "nobody"); code != 2 || !strings.Contains(stderr, "password") {
			t.Errorf("%s: create without a password: %d %q", mode, code, stderr)
		}
		if out, stderr, code := admin("", "user", "disable", name); code != 0 || !strings.Contains(out, "disabled user "+name) {
			t.Errorf("%s: disable: %d %q %q", mode, code, out, stderr)
		}
		if _, stderr, code := admin("", "user", "disable", "no-such-user"); code != 1 || stderr == "" {
			t.Errorf("%s: disable of nobody: %d %q", mode, code, stderr)
		}
		if out, stderr, code := admin("", "user", "enable", name); code != 0 {
			t.Errorf("%s: enable: %d %q %q", mode, code, out, stderr)
		}
		if out, stderr, code := admin("another good secret\n", "user", "reset-password", name); code != 0 {
			t.Errorf("%s: reset-password: %d %q %q", mode, code, out, stderr)
		}
		if out, stderr, code := admin("", "user", "sessions", name); code != 0 || !strings.Contains(out, "LAST SEEN") {
			t.Errorf("%s: sessions: %d %q %q", mode, code, out, stderr)
		}
		if out, stderr, code := admin("", "invite"); code != 0 || len(strings.TrimSpace(out)) < 16 {
			t.Errorf("%s: invite: %d %q %q", mode, code, out, stderr)
		}
		if out, stderr, code := admin("", "dead"); code != 0 || !strings.Contains(out, "KIND") {
			t.Errorf("%s: dead: %d %q %q", mode, code, out, stderr)
		}
	}
}

func TestHelpAndCompletion(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--help"}, {"serve", "--help"}, {"ready", "--help"}, {"admin", "user", "--help"}, {"bench", "--help"}, {"completion", "bash"}, {"version"}, {"check-config"}} {
		out, stderr, code := gochat(t, "", nil, args...)
		if code != 0 || len(out) < 20 || stderr != "" {
			t.Errorf("gochat %s: exit %d, %d bytes, %q", strings.Join(args, " "), code, len(out), stderr)
		}
	}
	if _, stderr, code := gochat(t, "", nil, "frobnicate"); code != 2 || !strings.Contains(stderr, "frobnicate") {
		t.Errorf("an unknown command: exit %d, %q", code, stderr)
	}
}

func decode(t testing.TB, resp *http.Response, into any) {
	t.Helper()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}

// `gochat ready` is for health checks: it says in one line and by its exit code what the server says of itself.
func TestReady(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	gateway := s.gateways[0]
	_, port, err := net.SplitHostPort(gateway.private)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(address string) (stdout, stderr string, code int) {
		t.Helper()
		return gochat(t, "", nil, "ready", "--private-listen", address)
	}
	if out, stderr, code := ask(gateway.private); code != 0 || !strings.HasPrefix(out, "ready: ") || strings.Count(out, "\n") != 1 {
		t.Errorf("of a server that runs: exit code %d, %q, %q", code, out, stderr)
	}
	if _, stderr, code := ask(":" + port); code != 0 { // as the server may have it
		t.Errorf("without a host: exit code %d, %q", code, stderr)
	}
	foreign := httptest.NewServer(http.NotFoundHandler())
	defer foreign.Close()
	if _, stderr, code := ask(foreign.Listener.Addr().String()); code != 1 || !strings.Contains(stderr, "is not a GoChat's private listener") {
		t.Errorf("of another server: exit code %d, %q", code, stderr)
	}
	if _, stderr, code := ask(""); code != 2 || !strings.Contains(stderr, "private_listen") {
		t.Errorf("without a private listener: exit code %d, %q", code, stderr)
	}
	gateway.kill()
	if out, stderr, code := ask(gateway.private); code != 1 || out != "" || !strings.Contains(stderr, "not ready: nobody answers") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("of one that was killed: exit code %d, %q, %q", code, out, stderr)
	}
}
