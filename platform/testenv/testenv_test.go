package testenv_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gochat-im/gochat/platform/testenv"
)

const patience = 60 * time.Second

func query[T any](ctx context.Context, url, text string) (value T, err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return value, err
	}
	err = conn.QueryRow(ctx, text).Scan(&value)
	return value, errors.Join(err, conn.Close(ctx))
}

func mustQuery[T any](t *testing.T, url, text string) T {
	t.Helper()
	value, err := query[T](t.Context(), url, text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return value
}

func TestPostgresGivesFreshDatabases(t *testing.T) {
	t.Parallel()
	one, two := testenv.Postgres(t), testenv.Postgres(t)
	mustQuery[int](t, one, "WITH made AS (SELECT 1) SELECT * FROM made")
	mustQuery[string](t, one, "SELECT pg_advisory_lock(1)::text")
	conn, err := pgx.Connect(t.Context(), one)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "CREATE TABLE mine (n int)"); err != nil {
		t.Fatal(err)
	}
	conn.Close(t.Context())
	const mine = "SELECT count(*) FROM pg_tables WHERE tablename = 'mine'"
	if n := mustQuery[int](t, one, mine); n != 1 {
		t.Errorf("the table is seen %d times in its database, want 1", n)
	}
	if n := mustQuery[int](t, two, mine); n != 0 {
		t.Errorf("the table is seen %d times in another database, want 0", n)
	}
}

func TestPostgresServerSurvivesKillAndFeedsReplica(t *testing.T) {
	t.Parallel()
	primary := testenv.PostgresServer(t)
	replica := primary.Replica()
	mustQuery[string](t, primary.URL(), "SELECT version()")
	conn, err := pgx.Connect(t.Context(), primary.URL())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "CREATE TABLE kept AS SELECT 7 AS n"); err != nil {
		t.Fatal(err)
	}
	primary.Kill()
	if _, err := conn.Exec(t.Context(), "SELECT 1"); err == nil {
		t.Error("a connection works after kill -9 of its server")
	}
	conn.Close(t.Context())
	primary.Start()
	if n := mustQuery[int](t, primary.URL(), "SELECT n FROM kept"); n != 7 {
		t.Errorf("after kill -9 the row is %d, want 7", n)
	}
	eventually(t, "the replica has the row", func(ctx context.Context) error {
		n, err := query[int](ctx, replica.URL(), "SELECT n FROM kept")
		if err == nil && n != 7 {
			err = fmt.Errorf("row %d", n)
		}
		return err
	})
	primary.Stop()
	primary.Start()
	mustQuery[int](t, primary.URL(), "SELECT n FROM kept")
}

func TestRedisServerKeepsAddressAndData(t *testing.T) {
	t.Parallel()
	r := testenv.RedisServer(t)
	if got := redis(t, r.Address(), "SET k v"); got != "+OK" {
		t.Fatalf("SET answers %q", got)
	}
	r.Stop()
	if c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", r.Address()); err == nil {
		c.Close()
		t.Error("a stopped Redis takes connections")
	}
	r.Start()
	if got := redis(t, r.Address(), "GET k"); got != "$1" {
		t.Errorf("after a restart GET answers %q, want a value", got)
	}
	r.Kill()
	r.Start()
	if got := redis(t, r.Address(), "PING"); got != "+PONG" {
		t.Errorf("after kill -9 PING answers %q", got)
	}
}

func TestRedisOfTheEnvironmentIsShared(t *testing.T) {
	r := testenv.RedisServer(t)
	t.Setenv("GOCHAT_TEST_REDIS", r.Address())
	var first testenv.RedisDB
	t.Run("first", func(t *testing.T) {
		first = testenv.Redis(t)
		if second := testenv.Redis(t); second.DB == first.DB || second.Address != r.Address() {
			t.Errorf("two tests got %v and %v, want two databases of %s", first, second, r.Address())
		}
	})
	if again := testenv.Redis(t); again != first {
		t.Errorf("after its test database %v was not given back: got %v", first, again)
	}
}

// redis sends one command and returns the first line of the answer.
func redis(t *testing.T, address, command string) string {
	t.Helper()
	conn := dial(t, address)
	defer conn.Close()
	fmt.Fprintf(conn, "%s\r\n", command)
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return strings.TrimSpace(line)
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func eventually(t *testing.T, what string, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f(ctx)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("timed out: %s: %v", what, err)
		}
	}
}

// TestKilledBinaryLeavesNothing runs this test binary again, kills it while
// its servers run, and looks for them.
func TestKilledBinaryLeavesNothing(t *testing.T) {
	if os.Getenv("TESTENV_CHILD") != "" {
		r := testenv.RedisServer(t)
		p := testenv.PostgresServer(t)
		fmt.Printf("\nservers: %s %s\n", r.Address(), strings.TrimPrefix(strings.Split(p.URL(), "/postgres?")[0], "postgres://postgres@"))
		_, _ = io.Copy(io.Discard, os.Stdin) // until the parent kills this process
		return
	}
	t.Parallel()
	temp := t.TempDir()
	for dir := temp; len(dir) > 1; dir = dir[:strings.LastIndex(dir, "/")] { // PostgreSQL's user enters it
		if err := os.Chmod(dir, 0o755); err != nil {
			break
		}
		if dir == os.TempDir() {
			break
		}
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), "TESTENV_CHILD=1", "TMPDIR="+temp)
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var addresses []string
	for lines := bufio.NewScanner(stdout); addresses == nil && lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "servers: "); ok {
			addresses = strings.Fields(rest)
		}
	}
	if len(addresses) != 2 {
		t.Fatalf("the child told the addresses %q, want two", addresses)
	}
	for _, a := range addresses {
		dial(t, a).Close()
	}
	if err := child.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed
	for _, a := range addresses {
		eventually(t, a+" is closed", func(ctx context.Context) error {
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", a)
			if err == nil {
				conn.Close()
				return errors.New("something listens")
			}
			return nil
		})
	}
	eventually(t, "the folder is empty", func(context.Context) error {
		left, err := os.ReadDir(temp)
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("%v is left", left)
		}
		return err
	})
}

func TestMissingProgramNamesMakeDeps(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	failed := make(chan *recorder)
	go func() {
		r := &recorder{TB: t}
		defer func() { failed <- r }()
		testenv.RedisServer(r)
	}()
	if r := <-failed; !strings.Contains(r.text, "redis-server") || !strings.Contains(r.text, "make deps") || strings.Contains(r.text, "\n") {
		t.Errorf("without redis-server the test fails with %q, want one line that names it and `make deps`", r.text)
	}
}
