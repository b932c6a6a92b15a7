package testenv

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// RedisDB is where a test finds an empty Redis database.
type RedisDB struct {
	Address string // host:port
	DB      int
}

// Redis returns an empty database: of a server of its own, which costs 10 ms
// and 10 MB, or of the one that GOCHAT_TEST_REDIS names.
func Redis(t testing.TB) RedisDB {
	t.Helper()
	if address := os.Getenv("GOCHAT_TEST_REDIS"); address != "" {
		return claimRedis(t, address)
	}
	return RedisDB{Address: RedisServer(t).Address()}
}

// RedisHandle is a private Redis. It keeps its data over Stop and Start, not
// over Kill.
type RedisHandle struct {
	Handle
	address string
}

// RedisServer starts a private Redis, with more arguments of its command line, that ends with the test.
func RedisServer(t testing.TB, args ...string) RedisHandle {
	t.Helper()
	s, address, err := newRedis(args)
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	return RedisHandle{Handle: own(t, s), address: address}
}

// Address is host:port; it stays the same over restarts.
func (h RedisHandle) Address() string { return h.address }

func newRedis(args []string) (*server, string, error) {
	bin, err := program("redis-server")
	if err != nil {
		return nil, "", err
	}
	dir, err := newDir("redis")
	if err != nil {
		return nil, "", err
	}
	port, err := freePort()
	if err != nil {
		return nil, "", err
	}
	address := local(port)
	return &server{
		name: "Redis", dir: dir, quit: syscall.SIGTERM, abandon: syscall.SIGKILL,
		command: func() *exec.Cmd {
			return exec.Command(bin, append([]string{ //nolint:noctx // Stop ends it
				"--bind", "127.0.0.1", "--port", strconv.Itoa(port),
				"--dir", dir, "--save", "3600 1", "--appendonly", "no", "--databases", "64",
			}, args...)...)
		},
		ready: func() error {
			answer, err := redisCall(address, 0, "PING")
			if err == nil && answer != "+PONG" {
				err = fmt.Errorf("redis answers %q", answer)
			}
			return err
		},
	}, address, nil
}

// claimRedis takes a database of a running server that no other test has, as
// long as the test runs.
func claimRedis(t testing.TB, address string) RedisDB {
	t.Helper()
	const lease = "1200" // seconds: longer than any test
	for db := range 16 {
		answer, err := redisCall(address, db, "SET", "gochat:testenv", strconv.Itoa(os.Getpid()), "NX", "EX", lease)
		if err != nil {
			t.Fatalf("testenv: GOCHAT_TEST_REDIS: %v", err)
		}
		if answer != "+OK" {
			continue
		}
		t.Cleanup(func() {
			if _, err := redisCall(address, db, "FLUSHDB"); err != nil {
				t.Errorf("testenv: empty the test's Redis database: %v", err)
			}
		})
		return RedisDB{Address: address, DB: db}
	}
	t.Fatalf("testenv: all databases of GOCHAT_TEST_REDIS are in use")
	return RedisDB{}
}

// redisCall sends one command and returns the first line of the answer.
func redisCall(address string, db int, args ...string) (string, error) {
	conn, err := net.DialTimeout("tcp", address, patience) //nolint:noctx // bounded by itself
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	in := bufio.NewReader(conn)
	line := ""
	for _, command := range [][]string{{"SELECT", strconv.Itoa(db)}, args} {
		var out strings.Builder
		fmt.Fprintf(&out, "*%d\r\n", len(command))
		for _, a := range command {
			fmt.Fprintf(&out, "$%d\r\n%s\r\n", len(a), a)
		}
		if _, err := conn.Write([]byte(out.String())); err != nil {
			return "", err
		}
		if line, err = in.ReadString('\n'); err != nil {
			return "", err
		}
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "-") {
			return "", errors.New("redis: " + line[1:])
		}
	}
	return line, nil
}
