package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// server is the server under test: one that runs already, or a child.
type server struct {
	url     string   // public base URL
	hosts   []string // host:port of it, and of the others of its deployment
	private string   // base URL of the private listener; "" when not known
	dir     string   // data folder of a child
	env     []string

	cmd    *exec.Cmd // nil for one that runs already
	exited chan struct{}
	stderr *tail
}

const (
	readyTimeout = 60 * time.Second
	stopTimeout  = 40 * time.Second
)

// attach takes a server that runs already, or several of one deployment.
func attach(urls ...string) *server {
	s := &server{url: strings.TrimRight(urls[0], "/")}
	for _, url := range urls {
		s.hosts = append(s.hosts, strings.TrimRight(strings.TrimPrefix(strings.TrimPrefix(url, "http://"), "https://"), "/"))
	}
	return s
}

// spawn starts this program's serve command on free loopback ports with the
// data folder dir.
func spawn(ctx context.Context, dir string, env []string) (*server, error) {
	public, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	private, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	s := &server{url: "http://" + public, hosts: []string{public}, private: "http://" + private, dir: dir, env: env}
	return s, s.start(ctx)
}

func freeAddress(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// start starts the child, again after kill, and waits until it is ready.
func (s *server) start(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	s.cmd = exec.Command(self, "serve", "--listen", s.hosts[0], //nolint:noctx // stopped by signal, politely
		"--private-listen", strings.TrimPrefix(s.private, "http://"), "--data-dir", s.dir)
	s.cmd.Env = append(os.Environ(), s.env...)
	return s.run(ctx, s.url+"/readyz")
}

// run starts s.cmd and waits until url answers.
func (s *server) run(ctx context.Context, url string) error {
	s.stderr = &tail{}
	s.cmd.Stderr = s.stderr
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	s.exited = make(chan struct{})
	go func() {
		_ = s.cmd.Wait()
		close(s.exited)
	}()
	deadline := time.Now().Add(readyTimeout)
	for time.Now().Before(deadline) {
		select {
		case <-s.exited:
			return fmt.Errorf("the server ended while starting:\n%s", s.stderr)
		case <-ctx.Done():
			s.kill()
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
		if body, err := get(ctx, url); err == nil {
			body.Close()
			return nil
		}
	}
	s.kill()
	return fmt.Errorf("the server is not ready after %s:\n%s", readyTimeout, s.stderr)
}

// stop ends a child politely.
func (s *server) stop() error {
	if s.cmd == nil {
		return nil
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
		if code := s.cmd.ProcessState.ExitCode(); code != 0 {
			return fmt.Errorf("the server ended with exit code %d:\n%s", code, s.stderr)
		}
		return nil
	case <-time.After(stopTimeout):
		s.kill()
		return fmt.Errorf("the server did not stop within %s:\n%s", stopTimeout, s.stderr)
	}
}

// kill ends a child like a power cut would.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	<-s.exited
}

// usage is what a process has used.
type usage struct {
	CPU time.Duration // user and system
	RSS int64         // bytes
}

// usage reads /proc; zero for a server that is not a child.
func (s *server) usage() (usage, error) {
	if s.cmd == nil {
		return usage{}, nil
	}
	return usageOf(s.cmd.Process.Pid)
}

func usageOf(pid int) (usage, error) {
	stat, err := readStat(pid)
	if err != nil {
		return usage{}, err
	}
	u := usage{CPU: stat.own}
	rollup, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "smaps_rollup"))
	if err != nil {
		return usage{}, fmt.Errorf("read the process's memory: %w", err)
	}
	for line := range strings.Lines(string(rollup)) {
		if rest, ok := strings.CutPrefix(line, "Rss:"); ok {
			kb, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			u.RSS = kb << 10
		}
	}
	return u, nil
}

// metric reads one sample of the private listener's metrics by its name with
// labels; false when there is none.
func (s *server) metric(ctx context.Context, name string) (float64, bool) {
	if s.private == "" {
		return 0, false
	}
	body, err := get(ctx, s.private+"/metrics")
	if err != nil {
		return 0, false
	}
	defer body.Close()
	scan := bufio.NewScanner(body)
	for scan.Scan() {
		if rest, ok := strings.CutPrefix(scan.Text(), name+" "); ok {
			v, err := strconv.ParseFloat(rest, 64)
			return v, err == nil
		}
	}
	return 0, false
}

func get(ctx context.Context, url string) (io.ReadCloser, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		cancel()
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req) //nolint:bodyclose // its caller closes it
	if err != nil {
		cancel()
		return nil, err
	}
	body := canceling{resp.Body, cancel}
	if resp.StatusCode != http.StatusOK {
		body.Close()
		return nil, fmt.Errorf("%s: %s", url, resp.Status)
	}
	return body, nil
}

type canceling struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (c canceling) Close() error {
	defer c.cancel()
	return c.ReadCloser.Close()
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex // guards buf
	buf []byte
}

const tailBytes = 16 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if len(t.buf) > 2*tailBytes {
		t.buf = append(t.buf[:0], t.buf[len(t.buf)-tailBytes:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf[max(0, len(t.buf)-tailBytes):])
}
