package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/gochat-im/gochat/platform/testenv"
)

// What a process may not be beside those that run already it is not: one line names the setting, and they go on.
func TestStartRefusalsBesideOthers(t *testing.T) {
	t.Parallel()
	twins := deployShape(t, "twins")
	first := twins.processes[0]
	roles := first.setting("GOCHAT_ROLES_LISTEN")
	// On SQLite a process has a data folder of its own, and others may find it through Redis.
	alone := deployShape(t, "sqlite")
	for name, c := range map[string]struct {
		args []string
		env  []string
		want string
	}{
		"another secret": {
			args: []string{"--roles", "gateway"},
			env:  []string{"GOCHAT_ROLES_LOGIC_ADDRESS=" + roles, "GOCHAT_ROLES_SECRET=another-secret-0123456789-abcdefghijkl", "GOCHAT_BUS=kafka", "GOCHAT_KAFKA_BROKERS=127.0.0.1:1"},
			want: "roles.secret: ",
		},
		"other signing keys": {env: []string{"GOCHAT_LOGIC_KEY_DIR=" + t.TempDir()}, want: "logic.key_dir: "},
		"a role that is nowhere": {
			args: []string{"--roles", "gateway"}, env: []string{"GOCHAT_BUS=kafka", "GOCHAT_KAFKA_BROKERS=127.0.0.1:1"}, want: "roles.logic.address: ",
		},
		"roles apart on an embedded bus": {
			args: []string{"--roles", "gateway,logic,repo"}, env: []string{"GOCHAT_ROLES_TASK_ADDRESS=" + roles}, want: "bus: ",
		},
		"a second process on SQLite": {env: alone.processes[0].env, want: "store: sqlite "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port := testenv.FreeAddress(t)
			env := slices.Concat(first.env, []string{"GOCHAT_LOG_LEVEL=error"}, c.env, []string{"GOCHAT_ROLES_LISTEN=" + port, "GOCHAT_ROLES_ADVERTISE=" + port})
			args := append([]string{"serve", "--listen", "127.0.0.1:0", "--private-listen", "", "--data-dir", t.TempDir()}, c.args...)
			out, stderr, code := gochat(t, "", env, args...)
			if code != 2 || out != "" || strings.Count(strings.TrimSpace(stderr), "\n") != 0 || !strings.Contains(stderr, c.want) {
				t.Errorf("exit code %d, want 2 and one line that names %q, got %q", code, c.want, stderr)
			}
		})
	}
	register(t, twins.at(0), "alice")
	register(t, alone.at(0), "alice")
}
