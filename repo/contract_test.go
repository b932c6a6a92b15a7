package repo_test

import (
	"context"
	"log/slog"
	"testing"

	"google.golang.org/grpc"

	"github.com/gochat-im/gochat/platform/rpc/rpctest"
	"github.com/gochat-im/gochat/platform/testenv"
	"github.com/gochat-im/gochat/repo"
	"github.com/gochat-im/gochat/repo/repopb"
	"github.com/gochat-im/gochat/repo/repotest"
)

// contract runs a suite on every engine, and as another process sees it.
func contract(t *testing.T, suite func(t *testing.T, open func(t testing.TB) repopb.RepoServiceServer)) {
	t.Parallel()
	t.Run(repo.StoreSQLite, func(t *testing.T) {
		t.Parallel()
		suite(t, func(t testing.TB) repopb.RepoServiceServer {
			cfg := repo.DefaultConfig()
			cfg.DataDir = t.TempDir()
			return openFor(t, cfg)
		})
	})
	t.Run("over gRPC", func(t *testing.T) {
		t.Parallel()
		suite(t, func(t testing.TB) repopb.RepoServiceServer {
			cfg := repo.DefaultConfig()
			cfg.DataDir = t.TempDir()
			local := openFor(t, cfg)
			return repo.NewRemote(rpctest.Connect(t, repopb.RepoService_ServiceDesc.ServiceName, func(s grpc.ServiceRegistrar) {
				repopb.RegisterRepoServiceServer(s, local)
			}))
		})
	})
	t.Run(repo.StorePostgres, func(t *testing.T) {
		t.Parallel()
		suite(t, func(t testing.TB) repopb.RepoServiceServer {
			cfg := repo.DefaultConfig()
			cfg.Store, cfg.Postgres.URL = repo.StorePostgres, testenv.Postgres(t)
			return openFor(t, cfg)
		})
	})
}

// openFor opens a fresh store whose groups are large soon.
func openFor(t testing.TB, cfg repo.Config) *repo.Service {
	t.Helper()
	cfg.LargeGroupThreshold = repotest.LargeGroupThreshold
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

func TestMessages(t *testing.T) { contract(t, repotest.Messages) }
func TestLists(t *testing.T)    { contract(t, repotest.Lists) }
func TestAccounts(t *testing.T) { contract(t, repotest.Accounts) }
func TestGroups(t *testing.T)   { contract(t, repotest.Groups) }
func TestJobs(t *testing.T)     { contract(t, repotest.Jobs) }

// What does not fit into memory is read from the database.
func TestListsThatDoNotFitIntoMemory(t *testing.T) {
	t.Parallel()
	for name, cache := range map[string]repo.CacheConfig{
		"few conversations":  {Conversations: 8, Memberships: 1000},
		"some conversations": {Conversations: 25, Memberships: 1000},
		"few memberships":    {Conversations: 1000, Memberships: 8},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repotest.Lists(t, func(t testing.TB) repopb.RepoServiceServer {
				cfg := repo.DefaultConfig()
				cfg.DataDir, cfg.Cache.Conversations, cfg.Cache.Memberships = t.TempDir(), cache.Conversations, cache.Memberships
				return openFor(t, cfg)
			})
		})
	}
}
