package repo_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/testenv"
	"github.com/gochat-im/gochat/repo"
	"github.com/gochat-im/gochat/repo/repopb"
)

func postgresAt(url string) repo.PostgresConfig {
	cfg := repo.DefaultPostgresConfig()
	cfg.URL = url
	return cfg
}

func openPostgres(t testing.TB, url string) (*repo.Service, error) {
	t.Helper()
	cfg := repo.DefaultConfig()
	cfg.Store, cfg.Postgres, cfg.LargeGroupThreshold = repo.StorePostgres, postgresAt(url), 500
	return repo.Open(t.Context(), cfg, slog.New(slog.DiscardHandler), nil)
}

func ignore(repo.MoveProgress) {}

// manyJobs are more rows than one chunk holds.
func manyJobs(t testing.TB, s *repo.Service, n int) {
	t.Helper()
	jobs := make([]*repopb.Job, n)
	for i := range jobs {
		jobs[i] = &repopb.Job{Kind: "many", Payload: []byte(fmt.Sprint(i)), DueAt: 1 << 50}
	}
	if _, err := s.CreateJobs(t.Context(), &repopb.CreateJobsRequest{Jobs: jobs}); err != nil {
		t.Fatal(err)
	}
}

// A deployment is moved while it is in use, in spite of an interruption, and goes on where it was.
func TestMoveALiveDeployment(t *testing.T) {
	t.Parallel()
	dir, url := t.TempDir(), testenv.Postgres(t)
	b := startBusy(t, dir)
	manyJobs(t, b.s, 4500)
	ctx, interrupt := context.WithCancel(t.Context())
	err := repo.Move(ctx, dir, postgresAt(url), false, func(p repo.MoveProgress) {
		if p.Table == "jobs" {
			interrupt()
		}
	})
	if err == nil {
		t.Fatal("an interrupted move succeeded")
	}
	written := map[string]int64{}
	if err := repo.Move(t.Context(), dir, postgresAt(url), false, func(p repo.MoveProgress) { written[p.Table] = p.Changed }); err != nil {
		t.Fatal(err)
	}
	if n := written["jobs"]; n >= 4000 {
		t.Errorf("%d jobs were written again after an interruption", n)
	}
	if s, err := openPostgres(t, url); err == nil || !strings.Contains(err.Error(), "migrate-store") {
		t.Errorf("a server may use a half moved database: %v, %v", s, err)
	}
	b.stop()
	if err := b.s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	execute(t, url, "UPDATE messages SET content = 'not what was said' WHERE seq = 3")
	execute(t, url, "DELETE FROM users WHERE id = (SELECT max(id) FROM users)")
	execute(t, url, "INSERT INTO hidden VALUES (1, 2, 3, 4)")
	if err := repo.Move(t.Context(), dir, postgresAt(url), true, ignore); err != nil {
		t.Fatal(err)
	}
	wantMoved(t, filepath.Join(dir, databaseFile), url)

	s, err := openPostgres(t, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	checkRestored(t, s, b)
	manyJobs(t, s, 1) // a number that was never given out
	if err := repo.Move(t.Context(), dir, postgresAt(url), true, ignore); errs.CodeOf(err) != errs.Conflict {
		t.Errorf("over a finished move: %v, want a conflict", err)
	}
}

func TestMoveRefusals(t *testing.T) {
	t.Parallel()
	dir, other, url := t.TempDir(), t.TempDir(), testenv.Postgres(t)
	newUser(t, openDir(t, dir), "alice")
	newUser(t, openDir(t, other), "bob")
	if err := repo.Move(t.Context(), t.TempDir(), postgresAt(url), true, ignore); errs.CodeOf(err) != errs.Invalid {
		t.Errorf("from an empty folder: %v", err)
	}
	if err := repo.Move(t.Context(), dir, postgresAt(url), false, ignore); err != nil {
		t.Fatal(err)
	}
	if err := repo.Move(t.Context(), other, postgresAt(url), false, ignore); errs.CodeOf(err) != errs.Conflict {
		t.Errorf("into another deployment's: %v, want a conflict", err)
	}
	used := testenv.Postgres(t)
	s, err := openPostgres(t, used)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	newUser(t, s, "carol")
	if err := repo.Move(t.Context(), dir, postgresAt(used), false, ignore); errs.CodeOf(err) != errs.Conflict || !strings.Contains(err.Error(), "users") {
		t.Errorf("into a database in use: %v, want a conflict that names the table", err)
	}
	found, err := s.SearchUsers(t.Context(), &repopb.SearchUsersRequest{Prefix: "c", Limit: 10})
	if err != nil || len(found.GetUsers()) != 1 {
		t.Errorf("the database in use holds %v, %v", found, err)
	}
}

func execute(t *testing.T, url, statement string) {
	t.Helper()
	withConn(t, url, func(conn *pgx.Conn) {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	})
}

func withConn(t *testing.T, url string, do func(*pgx.Conn)) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	do(conn)
}

// wantMoved compares every row of both databases.
func wantMoved(t *testing.T, path, url string) {
	t.Helper()
	for name, was := range dump(t, path) {
		if name == "clock" || strings.HasPrefix(name, "goose") {
			continue
		}
		want := map[string]bool{}
		for _, row := range was.rows {
			want[fmt.Sprint(row)] = true
		}
		got := 0
		withConn(t, url, func(conn *pgx.Conn) {
			rows, err := conn.Query(t.Context(), "SELECT "+strings.Join(was.columns, ", ")+" FROM "+name)
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			for rows.Next() {
				row, err := rows.Values()
				if err != nil {
					t.Fatal(err)
				}
				if got++; !want[fmt.Sprint(row)] {
					t.Errorf("%s holds %v", name, row)
				}
			}
			if err := rows.Err(); err != nil {
				t.Fatal(err)
			}
		})
		if got != len(was.rows) {
			t.Errorf("%s has %d rows, want %d", name, got, len(was.rows))
		}
		t.Logf("%s: %d rows", name, got)
	}
}
