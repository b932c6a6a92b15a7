package main

import (
	"log/slog"
	"testing"

	"go.uber.org/fx"

	"github.com/gochat-im/gochat/platform/datadir"
)

// The graph of all roles fits together and starts and stops without a listener, as `gochat admin` uses it.
func TestGraph(t *testing.T) {
	t.Parallel()
	cfg := defaultConfig()
	cfg.DataDir = t.TempDir()
	cfg.Repo.DataDir = cfg.DataDir
	dir, err := datadir.Open(cfg.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	log := slog.New(slog.DiscardHandler)
	if err := fx.ValidateApp(roles(cfg, dir, log), adminSocket(dir.AdminSocket()), front(cfg, listeners{})); err != nil {
		t.Fatal(err)
	}
	app := adminApp(cfg, dir)
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := app.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
