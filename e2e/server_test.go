// Package e2e tests the real binary, built with the race detector, over real
// sockets: every call, every frame, kill -9, and the operator's commands.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is the server under test, built once by TestMain.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "gochat-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "gochat")
	build := exec.Command("go", "build", "-race", "-o", binary, "..") //nolint:noctx // the test binary's own timeout bounds it
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the server: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// server is one running process. Restart starts it again on the same data and address.
type server struct {
	t       testing.TB
	dir     string // data folder
	address string // public, host:port
	private string
	env     []string
	cmd     *exec.Cmd
	log     *logBuffer
	exited  chan struct{}
	waitErr error
}

// quickEnv makes accounts cheap and limits wide: a test of those sets its own.
var quickEnv = []string{
	"GOCHAT_LOG_LEVEL=debug",
}

// startServer starts a server with its own data folder and stops it at the end of the test. Its exit must be clean
// and its log free of data races.
func startServer(t testing.TB, env ...string) *server {
	t.Helper()
	s := &server{
		t: t, dir: filepath.Join(t.TempDir(), "data"), address: freeAddress(t), private: freeAddress(t),
		env: append(append([]string{}, quickEnv...), env...),
	}
	s.start()
	t.Cleanup(func() {
		s.stop()
		if strings.Contains(s.log.String(), "DATA RACE") {
			t.Errorf("data race in the server:\n%s", s.log.String())
		}
		if t.Failed() {
			t.Logf("server log:\n%s", s.log.tail(8<<10))
		}
	})
	return s
}

func (s *server) url() string { return "http://" + s.address }

func (s *server) start() {
	s.t.Helper()
	s.log = &logBuffer{}
	s.exited = make(chan struct{})
	s.cmd = exec.Command(binary, "serve", //nolint:noctx // stopped by signal, in Cleanup
		"--listen", s.address, "--private-listen", s.private, "--data-dir", s.dir)
	s.cmd.Env = append(append(os.Environ(), "GORACE=halt_on_error=0"), s.env...)
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ready := make(chan struct{})
	go func() {
		defer close(s.exited)
		scan := bufio.NewScanner(stderr)
		scan.Buffer(nil, 1<<20)
		for scan.Scan() {
			s.log.writeLine(scan.Text())
			if strings.Contains(scan.Text(), "is ready on http://") {
				close(ready)
			}
		}
		s.waitErr = s.cmd.Wait()
	}()
	select {
	case <-ready:
	case <-s.exited:
		s.t.Fatalf("the server ended while starting: %v\n%s", s.waitErr, s.log)
	case <-time.After(60 * time.Second):
		s.t.Fatalf("the server is not ready after a minute\n%s", s.log)
	}
}

// kill ends the process like a power cut for it: SIGKILL.
func (s *server) kill() {
	s.t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		s.t.Fatal(err)
	}
	<-s.exited
}

// stop ends the process with SIGTERM and wants exit code 0.
func (s *server) stop() {
	s.t.Helper()
	select {
	case <-s.exited:
		return
	default:
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Fatal(err)
	}
	select {
	case <-s.exited:
	case <-time.After(45 * time.Second):
		_ = s.cmd.Process.Signal(syscall.SIGQUIT)
		<-s.exited
		s.t.Errorf("the server did not stop within 45 s\n%s", s.log)
		return
	}
	if s.waitErr != nil {
		s.t.Errorf("the server's exit after SIGTERM: %v\n%s", s.waitErr, s.log.tail(8<<10))
	}
}

// gochat runs a command of the binary to its end.
func gochat(t testing.TB, stdin string, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(os.Environ(), env...)
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

// freeAddress returns a loopback address that was free a moment ago.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// eventually waits for a condition with a deadline that only a broken server reaches.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func get(t testing.TB, url string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// logBuffer keeps the last megabyte of a process's log.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) writeLine(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buf.Len() > 1<<20 {
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
