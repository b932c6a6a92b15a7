package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gochat-im/gochat/platform/testenv"
)

// process is one `gochat serve`, or another command that runs beside the test. It can be started again, on the same addresses.
type process struct {
	t       testing.TB
	name    string
	address string // public, host:port
	private string // private, host:port
	args    []string
	env     []string
	says    string // in the line that tells that it is ready

	cmd     *exec.Cmd
	log     *logBuffer
	stdout  bytes.Buffer  // to be read once it has ended
	ready   chan struct{} // closed with the line that says so
	exited  chan struct{} // closed once waitErr is set
	waitErr error
}

func newProcess(t testing.TB, plan processPlan, env []string) *process {
	t.Helper()
	address, private := testenv.FreeAddress(t), testenv.FreeAddress(t)
	return &process{
		t: t, name: plan.name, address: address, private: private, says: " is ready on ",
		args: append([]string{"serve", "--listen", address, "--private-listen", private}, plan.args...),
		// Hashes are cheap: what a test's accounts cost is not what it is about.
		env: append(append([]string{"GOCHAT_LOG_LEVEL=debug", "GOCHAT_LOGIC_PASSWORD_MEMORY_KIB=64"}, plan.env...), env...),
		log: &logBuffer{},
	}
}

// newCommand is a command that says in its log when it is ready.
func newCommand(t testing.TB, name, says string, args ...string) *process {
	return &process{t: t, name: name, says: says, args: args, log: &logBuffer{}}
}

// setting is the value of a variable that the process has.
func (p *process) setting(name string) string {
	i := slices.IndexFunc(p.env, func(v string) bool { return strings.HasPrefix(v, name+"=") })
	if i < 0 {
		p.t.Fatalf("%s is not set", name)
	}
	return p.env[i][len(name)+1:]
}

// privateURL is the base URL of the process's private listener.
func (p *process) privateURL() string { return "http://" + p.private }

// launch starts the process and does not wait until it is ready.
func (p *process) launch() {
	p.t.Helper()
	p.ready, p.exited = make(chan struct{}), make(chan struct{})
	p.cmd = exec.Command(binary, p.args...) //nolint:noctx // stopped by signal, in Cleanup
	p.cmd.Env = append(environment(), p.env...)
	p.cmd.Stdout = &p.stdout
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		close(p.exited)
		p.t.Fatal(err)
	}
	go p.follow(bufio.NewScanner(stderr))
}

// follow keeps the log until the process ends.
func (p *process) follow(scan *bufio.Scanner) {
	defer close(p.exited)
	scan.Buffer(nil, 1<<20)
	ready := false
	for scan.Scan() {
		p.log.writeLine(scan.Text())
		if !ready && strings.Contains(scan.Text(), p.says) {
			ready = true
			close(p.ready)
		}
	}
	p.waitErr = p.cmd.Wait()
}

func (p *process) awaitReady() {
	p.t.Helper()
	select {
	case <-p.ready:
	case <-p.exited:
		p.t.Fatalf("%s ended while starting: %v\n%s", p.name, p.waitErr, p.log)
	case <-time.After(60 * time.Second):
		p.t.Fatalf("%s is not ready after a minute\n%s", p.name, p.log)
	}
}

// running reports whether the process has been started and has not ended.
func (p *process) running() bool {
	if p.exited == nil {
		return false
	}
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// kill ends the process like a power cut for it: SIGKILL.
func (p *process) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Error(err)
	}
	<-p.exited
}

// terminate sends SIGTERM and does not wait.
func (p *process) terminate() {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Error(err)
	}
}

// stop ends the process with SIGTERM and wants exit code 0.
func (p *process) stop() {
	p.t.Helper()
	if !p.running() {
		return
	}
	p.terminate()
	select {
	case <-p.exited:
	case <-time.After(45 * time.Second):
		_ = p.cmd.Process.Signal(syscall.SIGQUIT)
		<-p.exited
		p.t.Errorf("%s did not stop within 45 s\n%s", p.name, p.log)
		return
	}
	if p.waitErr != nil {
		p.t.Errorf("exit of %s after SIGTERM: %v\n%s", p.name, p.waitErr, p.log.tail(8<<10))
	}
}

// environment is this process's without the variables that are its own: the server would take them for settings. The race
// detector's second of sleep at each exit would be most of what a short command takes; it reports a race when it sees it.
func environment() []string {
	inputs()
	own := func(v string) bool { return strings.HasPrefix(v, "GOCHAT_") }
	return append(slices.DeleteFunc(os.Environ(), own), "GORACE=halt_on_error=0 atexit_sleep_ms=0")
}

// gochat runs a command of the binary to its end.
func gochat(t testing.TB, stdin string, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(environment(), env...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return out.String(), errOut.String(), exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), errOut.String(), 0
}

// eventually waits for a condition of another process with a deadline that only a broken server reaches.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !condition() {
		select {
		case <-deadline:
			t.Fatalf("not within 20 s: %s", what)
		case <-again.C:
		}
	}
}

// logBuffer keeps the last megabytes of a process's log.
type logBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *logBuffer) writeLine(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buf.Len() > 4<<20 {
		b.buf.Next(b.buf.Len() / 2)
	}
	b.buf.WriteString(line)
	b.buf.WriteByte('\n')
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *logBuffer) tail(n int) string {
	s := b.String()
	return s[max(0, len(s)-n):]
}
