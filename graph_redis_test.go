package main

import (
	"strings"
	"testing"

	"github.com/gochat-im/gochat/platform/datadir"
	"github.com/gochat-im/gochat/platform/testenv"
)

// With cache: redis the graph fits together, starts and stops; without a server it is refused, and the setting named.
func TestGraphOnRedis(t *testing.T) {
	t.Parallel()
	cfg := defaultConfig()
	cfg.DataDir = t.TempDir()
	cfg.Repo.DataDir = cfg.DataDir
	cfg.Cache = "redis"
	db := testenv.Redis(t)
	cfg.Redis.Addresses, cfg.Redis.DB = []string{db.Address}, db.DB
	dir, err := datadir.Open(cfg.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	app := adminApp(cfg, dir)
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := app.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	cfg.Redis.Addresses = []string{"127.0.0.1:1"}
	if err := adminApp(cfg, dir).Err(); err == nil || !strings.Contains(err.Error(), "redis.addresses: ") {
		t.Errorf("without a server: %v", err)
	}
	cfg.Redis.TLS.Enabled, cfg.Redis.TLS.CA = true, "none"
	if err := adminApp(cfg, dir).Err(); err == nil || !strings.Contains(err.Error(), "redis.tls.ca: ") {
		t.Errorf("without the file: %v", err)
	}
}
