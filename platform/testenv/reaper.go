package testenv

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// The reaper is a shell that outlives the test binary, however that ends: its
// standard input closes then, and it ends the servers that still run and
// removes the folder with everything of theirs.
const reaperScript = `
servers=
while read -r change pid signal; do
  case $change in
  +) servers="$servers $signal:$pid" ;;
  -) left=
     for s in $servers; do [ "${s#*:}" = "$pid" ] || left="$left $s"; done
     servers=$left ;;
  esac
done
for s in $servers; do kill -"${s%:*}" "${s#*:}"; done
tries=0
until rm -rf "$1" || [ $tries -ge 50 ]; do tries=$((tries + 1)); sleep 0.1; done`

var reaper struct {
	once  sync.Once
	dir   string // of all folders of this binary
	err   error
	mu    sync.Mutex // guards input
	input io.Writer
}

// newDir makes a folder for a server, which everybody may enter: PostgreSQL
// runs as another user when the tests run as root.
func newDir(name string) (string, error) {
	reaper.once.Do(func() { reaper.err = startReaper() })
	if reaper.err != nil {
		return "", reaper.err
	}
	dir, err := os.MkdirTemp(reaper.dir, name+"-")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755)
}

func startReaper() error {
	dir, err := os.MkdirTemp("", "gochat-testenv-")
	if err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	cmd := exec.Command("sh", "-c", reaperScript, "testenv-reaper", dir) //nolint:noctx // outlives every context
	cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Setsid: true}
	input, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the shell that cleans up: %w", err)
	}
	reaper.dir, reaper.input = dir, input
	return nil
}

// reaped tells the reaper to end a process with signal when this binary has ended.
func reaped(pid int, signal syscall.Signal) { tellReaper(fmt.Sprintf("+ %d %d\n", pid, signal)) }

// forgotten tells it that a process has ended.
func forgotten(pid int) { tellReaper(fmt.Sprintf("- %d\n", pid)) }

func tellReaper(line string) {
	reaper.mu.Lock()
	defer reaper.mu.Unlock()
	_, _ = io.WriteString(reaper.input, line) // fails only when somebody killed the reaper
}
