package testenv

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Settings that make a server of a test small and quick. Without fsync a
// commit is written to the system before it is acknowledged and so survives
// kill -9 of the server, which is what tests can do; not a power cut.
var postgresSettings = []string{
	"fsync=off", "full_page_writes=off", "synchronous_commit=on",
	"shared_buffers=64MB", "max_connections=300", "wal_level=replica", "max_wal_senders=8",
	"listen_addresses=127.0.0.1", "unix_socket_directories=", "log_min_messages=warning",
}

var (
	sharedPostgres shared[string] // a URL for making databases
	databases      atomic.Int64
)

// Postgres returns the URL of a new, empty database. Its server is shared.
func Postgres(t testing.TB) string {
	t.Helper()
	server := os.Getenv("GOCHAT_TEST_POSTGRES")
	if server == "" {
		server = sharedPostgres.get(t, func() (string, error) {
			p, err := newPostgres("")
			if err != nil {
				return "", err
			}
			return p.url(), p.start()
		})
	}
	name := fmt.Sprintf("t%d_%d_%d", os.Getpid(), time.Now().UnixMilli(), databases.Add(1))
	if err := execute(t.Context(), server, "CREATE DATABASE "+name); err != nil {
		t.Fatalf("testenv: create a database: %v", err)
	}
	t.Cleanup(func() {
		if err := execute(context.WithoutCancel(t.Context()), server, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("testenv: drop the test's database: %v", err)
		}
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatalf("testenv: GOCHAT_TEST_POSTGRES is not a URL")
	}
	u.Path = "/" + name
	return u.String()
}

func execute(ctx context.Context, url, statement string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}

// PostgresHandle is a private PostgreSQL with one empty database.
type PostgresHandle struct {
	Handle
	p *postgres
}

// PostgresServer starts a private PostgreSQL that ends with the test. settings
// ("fsync=on") go before those of the package.
func PostgresServer(t testing.TB, settings ...string) PostgresHandle {
	t.Helper()
	return ownPostgres(t, "", settings...)
}

// SecurePostgresServer starts a private PostgreSQL that also speaks TLS, with a certificate and its key from PEM files.
func SecurePostgresServer(t testing.TB, cert, key string) PostgresHandle {
	t.Helper()
	p, err := newPostgres("", "ssl=on")
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	for name, from := range map[string]string{"server.crt": cert, "server.key": key} { // where it looks by itself
		if err := p.adopt(filepath.Join(p.dir, "data", name), from); err != nil {
			t.Fatalf("testenv: %v", err)
		}
	}
	return PostgresHandle{Handle: own(t, &p.server), p: p}
}

// adopt makes a copy of a file that belongs to the server.
func (p *postgres) adopt(path, from string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, content, 0o600); err != nil || p.as == nil {
		return err
	}
	return os.Chown(path, int(p.as.Uid), int(p.as.Gid))
}

// URL is the address of the server's database; it stays the same over restarts.
func (h PostgresHandle) URL() string { return h.p.url() }

// Replica starts a streaming replica of the server. It ends with the test.
func (h PostgresHandle) Replica() PostgresHandle {
	h.t.Helper()
	return ownPostgres(h.t, h.p.url())
}

func ownPostgres(t testing.TB, primary string, settings ...string) PostgresHandle {
	t.Helper()
	p, err := newPostgres(primary, settings...)
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	return PostgresHandle{Handle: own(t, &p.server), p: p}
}

type postgres struct {
	server
	port int
	as   *syscall.Credential // nil: oneself
}

func (p *postgres) url() string {
	return "postgres://postgres@" + local(p.port) + "/postgres?sslmode=disable"
}

// newPostgres makes the data folder of a server, empty or a copy of primary's.
func newPostgres(primary string, settings ...string) (*postgres, error) {
	bin, err := program("postgres", "/usr/lib/postgresql/*/bin")
	if err != nil {
		return nil, err
	}
	if bin, err = filepath.EvalSymlinks(bin); err != nil { // initdb and the others are beside it
		return nil, err
	}
	dir, err := newDir("postgres")
	if err != nil {
		return nil, err
	}
	p := &postgres{}
	if p.port, err = freePort(); err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return nil, err
	}
	if p.as, err = unprivileged(data); err != nil {
		return nil, err
	}
	bins := filepath.Dir(bin)
	create := exec.Command(filepath.Join(bins, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync") //nolint:noctx // ends by itself
	if primary != "" {
		create = exec.Command(filepath.Join(bins, "pg_basebackup"), "-D", data, "-d", primary, "-R", "--checkpoint=fast", "--no-sync") //nolint:noctx // ends by itself
	}
	create.Dir, create.SysProcAttr = dir, &syscall.SysProcAttr{Credential: p.as}
	if out, err := create.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("create PostgreSQL's data folder: %w\n%s", err, out)
	}
	args := []string{"-D", data, "-p", strconv.Itoa(p.port)}
	for _, s := range slices.Concat(postgresSettings, settings) { // the last one holds
		args = append(args, "-c", s)
	}
	p.server = server{
		name: "PostgreSQL", dir: dir, quit: syscall.SIGINT,
		abandon: syscall.SIGQUIT, // not SIGKILL, which leaves a shared memory segment
		kin:     children,
		command: func() *exec.Cmd {
			cmd := exec.Command(bin, args...) //nolint:noctx // Stop ends it
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.as}
			return cmd
		},
		ready: func() error { return execute(context.Background(), p.url(), "SELECT 1") },
	}
	return p, nil
}

// unprivileged answers whom PostgreSQL runs as: it refuses root. The data
// folder becomes that user's.
func unprivileged(data string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // nil is how os/exec says "as oneself"
	}
	var u *user.User
	for _, name := range []string{"postgres", "nobody"} {
		var err error
		if u, err = user.Lookup(name); err == nil {
			break
		}
	}
	if u == nil {
		return nil, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody: run `make deps`")
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(data, int(uid), int(gid))
}

// children lists the processes that a process started and that run.
func children(pid int) []int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil // without /proc its sessions end on their own, a little later
	}
	var pids []int
	for f := range strings.FieldsSeq(string(text)) {
		if n, err := strconv.Atoi(f); err == nil {
			pids = append(pids, n)
		}
	}
	return pids
}
