package gateway

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

const idleServerEnv = "GATEWAY_TEST_IDLE_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(idleServerEnv) != "" {
		idleServer()
		return
	}
	goleak.VerifyTestMain(m)
}

// idleServer is a gateway in a process of its own, so that its memory can be
// told from its clients'. It answers each line with its resident bytes and goroutines.
func idleServer() {
	cfg := DefaultConfig()
	log := slog.New(slog.DiscardHandler)
	reg := prometheus.NewRegistry()
	s, err := NewServer(cfg, NewHub(cfg, log, reg), &logicDouble{}, &busDouble{}, log, reg)
	if err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
	if err != nil {
		panic(err)
	}
	go func() { _ = http.Serve(l, s.Handler()) }() //nolint:gosec // a test
	fmt.Println(l.Addr())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		statm, _ := os.ReadFile("/proc/self/statm")
		pages, _ := strconv.Atoi(strings.Fields(string(statm))[1])
		fmt.Println(pages*os.Getpagesize(), runtime.NumGoroutine())
	}
}

const handshake = "GET /ws?token=%d.1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// rawConnect opens a socket with nothing of a client behind it and reads up to hello.
func rawConnect(address string, user int) (net.Conn, error) {
	nc, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", address)
	if err != nil {
		return nil, err
	}
	_ = nc.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(nc, handshake, user); err != nil {
		nc.Close()
		return nil, err
	}
	var got []byte
	for b := make([]byte, 1024); !strings.Contains(string(got), `"feature_level":1}}`); {
		n, err := nc.Read(b)
		if err != nil {
			nc.Close()
			return nil, fmt.Errorf("after %q: %w", got, err)
		}
		got = append(got, b[:n]...)
	}
	return nc, nil
}

func TestIdleConnectionIsSmall(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	const connections, bar = 3000, 12 << 10
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), idleServerEnv+"=1")
	stdin, _ := cmd.StdinPipe()
	stdout, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { stdin.Close(); _ = cmd.Wait() }()
	out := bufio.NewScanner(stdout)
	out.Scan()
	address := out.Text()
	ask := func() (rss, goroutines int) {
		fmt.Fprintln(stdin)
		out.Scan()
		_, _ = fmt.Sscan(out.Text(), &rss, &goroutines)
		return rss, goroutines
	}
	var conns []net.Conn
	defer func() {
		for _, nc := range conns {
			nc.Close()
		}
	}()
	connect := func(n int) {
		for range n {
			nc, err := rawConnect(address, len(conns)+1)
			if err != nil {
				t.Fatal(err)
			}
			conns = append(conns, nc)
		}
	}
	const warm = 200 // until the pools and the runtime have grown
	_, none := ask()
	connect(warm)
	var rss, goroutines int
	until(t, "the first handlers have returned", func() bool {
		rss, goroutines = ask()
		return goroutines <= none+warm+1 // the wheel's
	})
	start := time.Now()
	connect(connections)
	elapsed := time.Since(start)
	var rss2, goroutines2 int
	until(t, "the handlers have returned", func() bool {
		rss2, goroutines2 = ask()
		return goroutines2-goroutines <= connections
	})
	each := (rss2 - rss) / connections
	t.Logf("%d bytes and %.3f goroutines a connection; %.0f connects/s one after the other", each, float64(goroutines2-goroutines)/connections, connections/elapsed.Seconds())
	if goroutines2-goroutines != connections {
		t.Errorf("%d goroutines for %d connections", goroutines2-goroutines, connections)
	}
	if each > bar && !raceEnabled {
		t.Errorf("%d bytes a connection, the bar is %d", each, bar)
	}
}
