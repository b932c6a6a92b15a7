package main

import (
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"

	"go.uber.org/fx"

	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/datadir"
)

const testSecret = "a-secret-of-tests-0123456789-abcdefgh"

// testConfig has a data folder of its own.
func testConfig(t *testing.T) (Config, *datadir.Dir) {
	t.Helper()
	cfg := defaultConfig()
	cfg.DataDir = t.TempDir()
	cfg.Repo.DataDir = cfg.DataDir
	dir, err := datadir.Open(cfg.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	return cfg, dir
}

// The graph of all roles starts and stops without a listener, as `gochat admin` uses it.
func TestAdminApp(t *testing.T) {
	t.Parallel()
	cfg, dir := testConfig(t)
	app := adminApp(cfg, dir)
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := app.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// A command of the operator takes no work from servers that share its bus.
func TestAdminConsumesNothingOfSharedBus(t *testing.T) {
	t.Parallel()
	log, shared := slog.New(slog.DiscardHandler), Config{Bus: "kafka"}
	for _, c := range []struct {
		name     string
		opts     fx.Option
		consumes bool
	}{
		{"server", fx.Options(), true},
		{"admin", withoutShared(shared), false},
	} {
		cfg, dir := testConfig(t)
		cfg.Bus = shared.Bus
		var b bus.Bus
		app := fx.New(process(t.Context(), cfg, dir, log, listeners{}), c.opts, fx.Populate(&b))
		if err := app.Err(); err != nil {
			t.Fatal(err)
		}
		if topics := b.Depth(); len(topics) > 0 != c.consumes {
			t.Errorf("%s: the bus has handlers of %d topics, want some: %t", c.name, len(topics), c.consumes)
		}
	}
}

// subsets are the 15 ways to choose roles.
func subsets() [][]string {
	var all [][]string
	for bits := 1; bits < 1<<len(allRoles); bits++ {
		var run []string
		for i, r := range allRoles {
			if bits&(1<<i) != 0 {
				run = append(run, r)
			}
		}
		all = append(all, run)
	}
	return all
}

// split is the settings of one process among others, with all that it needs.
func split(c Config, run []string) Config {
	c.Bus, c.Cache = "kafka", "redis"
	c.Roles.Run, c.Roles.Listen, c.Roles.Secret = run, "127.0.0.1:0", testSecret
	c.Roles.Logic.Address, c.Roles.Repo.Address, c.Roles.Task.Address = "dns:///logic:9001", "repo-1:9001,repo-2:9001", "task:9001"
	return c
}

func TestEverySubsetOfRolesFitsTogether(t *testing.T) {
	t.Parallel()
	cfg, dir := testConfig(t)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, run := range subsets() {
		for cache, collector := range map[string]string{"embedded": "http://collector:4318", "redis": ""} {
			c := split(cfg, run)
			c.Cache, c.Trace.Endpoint = cache, collector
			on := listeners{private: l, roles: l}
			if c.Roles.local("gateway") {
				on.public = l
			}
			if err := fx.ValidateApp(process(t.Context(), c, dir, slog.New(slog.DiscardHandler), on)); err != nil {
				t.Errorf("%v with cache %s: %v", run, cache, err)
			}
		}
	}
}

// What a process lacks is told by the setting that would give it.
func TestSplitNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	for _, run := range subsets() {
		c := split(defaultConfig(), run)
		if err := c.Roles.validate(); err != nil {
			t.Errorf("%v with everything set: %v", run, err)
		}
		has := func(role string) bool { return slices.Contains(run, role) }
		talking := 0
		for _, r := range []string{"gateway", "logic", "task"} {
			if has(r) {
				talking++
			}
		}
		parted := talking > 0 && talking < 3
		for setting, missing := range map[string]struct {
			spoil func(*Config)
			want  bool
		}{
			"roles.logic.address:": {func(c *Config) { c.Roles.Logic.Address = "" }, has("gateway") && !has("logic")},
			"roles.repo.address:":  {func(c *Config) { c.Roles.Repo.Address = "" }, !has("repo") && (has("logic") || has("task"))},
			"roles.task.address:":  {func(c *Config) { c.Roles.Task.Address = "" }, false},
			"roles.secret:":        {func(c *Config) { c.Roles.Secret = "" }, true},
			"roles.tls.key:":       {func(c *Config) { c.Roles.TLS.Cert = "x" }, true},
			"roles.listen:": {
				func(c *Config) { c.Roles.Listen = "" },
				has("logic") && !has("gateway") || (has("repo") || has("gateway")) && (!has("logic") || !has("task")),
			},
			"bus:":   {func(c *Config) { c.Bus = "embedded" }, parted},
			"cache:": {func(c *Config) { c.Cache = "embedded" }, parted},
		} {
			c := split(defaultConfig(), run)
			missing.spoil(&c)
			err := c.validateRoles()
			if missing.want && (err == nil || !strings.HasPrefix(err.Error(), setting)) {
				t.Errorf("%v without %s %v", run, setting, err)
			}
			if !missing.want && err != nil {
				t.Errorf("%v without what it does not need (%s) %v", run, setting, err)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("more than a line: %v", err)
			}
		}
	}
	c := defaultConfig()
	c.Roles.Listen = ":9000"
	if err := c.validate(); err == nil || !strings.HasPrefix(err.Error(), "roles.secret:") {
		t.Errorf("a port that nothing protects: %v", err)
	}
	c.Roles.Secret = "short"
	if err := c.validate(); err == nil || !strings.HasPrefix(err.Error(), "roles.secret:") || strings.Contains(err.Error(), "short") {
		t.Errorf("a weak secret: %v", err)
	}
}
