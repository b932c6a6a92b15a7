package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/knadh/koanf/parsers/yaml"

	"github.com/gochat-im/gochat/platform/config"
	"github.com/gochat-im/gochat/repo"
)

// config.yaml is the documentation of the settings: it has each one, with its default, and nothing else.
func TestConfigFileDocumentsEverySetting(t *testing.T) {
	t.Parallel()
	cfg := defaultConfig()
	if err := config.Load("config.yaml", nil, nil, &cfg); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile("config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := yaml.Parser().Unmarshal(raw)
	if err != nil {
		t.Fatal(err)
	}
	fromFile := config.Paths(&cfg)
	for i, p := range config.Paths(defaultConfig()) {
		if !has(tree, strings.Split(p.Name, ".")) {
			t.Errorf("config.yaml lacks %s: %v", p.Name, p.Default)
		}
		if got := fromFile[i].Default; fmt.Sprint(got) != fmt.Sprint(p.Default) {
			t.Errorf("config.yaml has %s: %v, the default is %v", p.Name, got, p.Default)
		}
	}
	if err := cfg.validate(); err != nil {
		t.Error(err)
	}
}

func has(tree map[string]any, path []string) bool {
	v, ok := tree[path[0]]
	if !ok || len(path) == 1 {
		return ok
	}
	section, _ := v.(map[string]any)
	return has(section, path[1:])
}

func usePostgres(c *Config) {
	c.Store, c.Postgres.URL = repo.StorePostgres, "postgres://gochat:secret@db/gochat"
}

func TestValidateNamesTheSetting(t *testing.T) {
	t.Parallel()
	for setting, spoil := range map[string]func(c *Config){
		"listen":                         func(c *Config) { c.Listen = "8080" },
		"private_listen":                 func(c *Config) { c.PrivateListen = "x" },
		"data_dir":                       func(c *Config) { c.DataDir = "" },
		"shutdown_timeout":               func(c *Config) { c.ShutdownTimeout = 0 },
		"store":                          func(c *Config) { c.Store = "mysql" },
		"postgres.url":                   func(c *Config) { c.Store = repo.StorePostgres },
		"postgres.replica_url":           func(c *Config) { usePostgres(c); c.Postgres.ReplicaURL = "replica:5432" },
		"postgres.max_conns":             func(c *Config) { usePostgres(c); c.Postgres.MaxConns = 1 },
		"postgres.statement_timeout":     func(c *Config) { usePostgres(c); c.Postgres.StatementTimeout = 0 },
		"bus":                            func(c *Config) { c.Bus = "rabbitmq" },
		"kafka.brokers":                  func(c *Config) { c.Kafka.Brokers = nil },
		"cache":                          func(c *Config) { c.Cache = "memcached" },
		"redis.addresses":                func(c *Config) { c.Redis.Addresses = []string{"localhost"} },
		"redis.db":                       func(c *Config) { c.Redis.Addresses, c.Redis.DB = []string{"a:1", "b:1"}, 1 },
		"redis.prefix":                   func(c *Config) { c.Redis.Prefix = "a:b" },
		"redis.timeout":                  func(c *Config) { c.Redis.Timeout = 0 },
		"redis.password":                 func(c *Config) { c.Redis.Username = "u" },
		"redis.tls.enabled":              func(c *Config) { c.Redis.TLS.CA = "x" },
		"registry.lease":                 func(c *Config) { c.Registry.Lease = time.Millisecond },
		"shared_cache.ttl":               func(c *Config) { c.SharedCache.TTL = 0 },
		"roles.run":                      func(c *Config) { c.Roles.Run = []string{"gateways"} },
		"roles.logic.address":            func(c *Config) { c.Roles.Run = []string{"gateway"} },
		"roles.repo.address":             func(c *Config) { c.Roles.Repo.Address = "repo" },
		"roles.advertise":                func(c *Config) { c.Roles.Advertise = "gw-1" },
		"roles.wait":                     func(c *Config) { c.Roles.Wait = 0 },
		"roles.max_message_bytes":        func(c *Config) { c.Roles.MaxMessageBytes = 0 },
		"log.level":                      func(c *Config) { c.Log.Level = "loud" },
		"log.format":                     func(c *Config) { c.Log.Format = "xml" },
		"delivery.large_group_threshold": func(c *Config) { c.Delivery.LargeGroupThreshold = 1 },
		"trace.sample":                   func(c *Config) { c.Trace.Sample = 2 },
		"trace.endpoint":                 func(c *Config) { c.Trace.Endpoint = "collector:4318" },
		"embedded_bus.lanes":             func(c *Config) { c.EmbeddedBus.Lanes = 0 },
		"gateway.websocket.heartbeat":    func(c *Config) { c.Gateway.WebSocket.Heartbeat = 0 },
		"logic.access_token_ttl":         func(c *Config) { c.Logic.AccessTokenTTL = time.Hour },
		"logic.login.account.rate":       func(c *Config) { c.Logic.Login.Account.Rate = 0 },
		"repo.readers":                   func(c *Config) { c.Repo.Readers = 0 },
		"task.walk_batch":                func(c *Config) { c.Task.WalkBatch = 0 },
	} {
		c := defaultConfig()
		spoil(&c)
		if err := c.validate(); err == nil || !strings.HasPrefix(err.Error(), setting+":") {
			t.Errorf("%s: %v", setting, err)
		}
	}
	if c := defaultConfig(); c.validate() != nil {
		t.Errorf("the defaults: %v", c.validate())
	}
	split := defaultConfig()
	usePostgres(&split)
	if err := split.validate(); err != nil {
		t.Error(err)
	}
	all := defaultConfig()
	all.Roles.Run = []string{"all"}
	if err := all.validate(); err != nil {
		t.Error(err)
	}
}
