package repo_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/gochat-im/gochat/repo"
	"github.com/gochat-im/gochat/repo/repopb"
	"github.com/gochat-im/gochat/repo/repotest"
)

// openGroups opens a fresh store whose groups are large soon.
func openGroups(t testing.TB) repopb.RepoServiceServer {
	t.Helper()
	cfg := repo.DefaultConfig()
	cfg.DataDir, cfg.LargeGroupThreshold = t.TempDir(), repotest.LargeGroupThreshold
	s, err := repo.Open(t.Context(), cfg, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestGroups(t *testing.T) {
	t.Parallel()
	repotest.Groups(t, openGroups)
}

func TestJobs(t *testing.T) {
	t.Parallel()
	repotest.Jobs(t, openGroups)
}
