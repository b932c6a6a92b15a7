package testenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// server is one external program that can be stopped and started again, with
// its data in a folder.
type server struct {
	name    string
	dir     string
	command func() *exec.Cmd    // of one start
	ready   func() error        // nil when it serves
	quit    syscall.Signal      // asks it to end in order
	abandon syscall.Signal      // ends it without regard to its data, leaving nothing else behind
	kin     func(pid int) []int // processes of its own that Kill must end too; may be nil

	mu     sync.Mutex // guards what follows; held over Start and Stop, which exclude each other
	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has ended
}

func (s *server) logPath() string { return filepath.Join(s.dir, "log") }

// start runs the server and returns when it serves. One that ends by itself is
// tried again: after a kill its children may hold memory or files for a moment.
func (s *server) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running() {
		return nil
	}
	deadline := time.Now().Add(patience)
	for {
		err := s.launch(deadline)
		if err == nil || !errors.Is(err, errEnded) || time.Now().Add(patience*2/3).After(deadline) {
			return err
		}
		time.Sleep(100 * time.Millisecond) // between two starts of a program: nothing here tells when the next may work
	}
}

var errEnded = errors.New("it ended by itself")

func (s *server) launch(deadline time.Time) error {
	log, err := os.OpenFile(s.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	defer log.Close()
	cmd, exited := s.command(), make(chan struct{})
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, s.dir
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid = true // the terminal's interrupt is for the tests
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	reaped(cmd.Process.Pid, s.abandon)
	go func() {
		defer close(exited)
		_ = cmd.Wait() // how a server ended is in its log
		forgotten(cmd.Process.Pid)
	}()
	s.cmd, s.exited = cmd, exited
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		err := s.ready()
		if err == nil {
			return nil
		}
		select {
		case <-exited:
			return fmt.Errorf("start %s: %w: %w\n%s", s.name, errEnded, err, tail(s.logPath()))
		case <-poll.C:
		}
		if time.Now().After(deadline) {
			_ = s.end(syscall.SIGKILL)
			return fmt.Errorf("start %s: %w\n%s", s.name, err, tail(s.logPath()))
		}
	}
}

func (s *server) running() bool {
	if s.cmd == nil {
		return false
	}
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

// stop ends the server with a signal and returns when it is gone.
func (s *server) stop(signal syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running() {
		return nil
	}
	return s.end(signal)
}

func (s *server) end(signal syscall.Signal) error {
	if signal == syscall.SIGKILL && s.kin != nil {
		for _, pid := range s.kin(s.cmd.Process.Pid) {
			_ = syscall.Kill(pid, signal) // it may have ended
		}
	}
	if err := s.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", s.name, err)
	}
	select {
	case <-s.exited:
		return nil
	case <-time.After(patience):
		_ = s.cmd.Process.Kill()
		<-s.exited
		return fmt.Errorf("stop %s: it did not end on %v\n%s", s.name, signal, tail(s.logPath()))
	}
}

// Handle controls a private server.
type Handle struct {
	t testing.TB
	s *server
}

// own starts a server that ends with the test.
func own(t testing.TB, s *server) Handle {
	t.Helper()
	h := adopt(t, s)
	h.Start()
	return h
}

// adopt lets a server end with the test.
func adopt(t testing.TB, s *server) Handle {
	t.Helper()
	h := Handle{t: t, s: s}
	t.Cleanup(func() {
		if err := s.stop(s.abandon); err != nil {
			t.Errorf("testenv: %v", err)
		}
		_ = os.RemoveAll(s.dir)
	})
	return h
}

// Start starts the server where it stopped, with the same data and address,
// and returns when it serves.
func (h Handle) Start() {
	h.t.Helper()
	if err := h.s.start(); err != nil {
		h.t.Fatalf("testenv: %v", err)
	}
}

// Stop shuts the server down in order and returns when it is gone.
func (h Handle) Stop() {
	h.t.Helper()
	if err := h.s.stop(h.s.quit); err != nil {
		h.t.Fatalf("testenv: %v", err)
	}
}

// PID is the server's process, which may have others below it.
func (h Handle) PID() int {
	h.t.Helper()
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	if !h.s.running() {
		h.t.Fatalf("testenv: %s does not run", h.s.name)
	}
	return h.s.cmd.Process.Pid
}

// Kill ends the server as kill -9 does.
func (h Handle) Kill() {
	h.t.Helper()
	if err := h.s.stop(syscall.SIGKILL); err != nil {
		h.t.Fatalf("testenv: %v", err)
	}
}
