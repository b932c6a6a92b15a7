package postgres

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gochat-im/gochat/platform/testenv"
)

func TestTenProcessesMigrateAtOnce(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	var all errgroup.Group
	for range 10 {
		all.Go(func() error { return Migrate(t.Context(), url, 5*time.Second) })
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	var applied, versions int
	err := connect(t, url).QueryRow(t.Context(), "SELECT count(*), count(DISTINCT version_id) FROM goose_db_version").Scan(&applied, &versions)
	if err != nil || applied != versions || applied < 2 {
		t.Errorf("%d rows of %d versions, %v", applied, versions, err)
	}
}

func TestNewerDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	if err := Migrate(t.Context(), url, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	if _, err := connect(t, url).Exec(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, true)"); err != nil {
		t.Fatal(err)
	}
	if err := Migrate(t.Context(), url, 5*time.Second); err == nil || !strings.Contains(err.Error(), "999") {
		t.Errorf("error: %v", err)
	}
}

// TestStartUpErrorsAreOneLineWithoutThePassword looks at every way in which a database cannot be reached.
func TestStartUpErrorsAreOneLineWithoutThePassword(t *testing.T) {
	t.Parallel()
	server := testenv.Postgres(t)
	host := server[strings.Index(server, "@")+1:]
	for name, url := range map[string]string{
		"nobody listens":  "postgres://gochat:hunter2@127.0.0.1:1/gochat?sslmode=disable",
		"no such host":    "postgres://gochat:hunter2@nosuchhost.invalid/gochat",
		"no such role":    "postgres://nosuchrole:hunter2@" + host,
		"no database":     "postgres://postgres:hunter2@" + host[:strings.Index(host, "/")] + "/nosuchdatabase?sslmode=disable",
		"TLS not offered": "postgres://postgres:hunter2@" + strings.Replace(host, "sslmode=disable", "sslmode=require", 1),
		"no address":      "postgres://gochat:hunter2@host:port/gochat",
	} {
		_, err := Open(context.WithoutCancel(t.Context()), testOptions(url), slog.New(slog.DiscardHandler), nil)
		if err == nil || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %q", name, err)
		}
	}
}
