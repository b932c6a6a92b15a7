package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gochat-im/gochat/gateway"
	"github.com/gochat-im/gochat/logic"
	"github.com/gochat-im/gochat/platform/bus/embedded"
	"github.com/gochat-im/gochat/platform/bus/kafka"
	"github.com/gochat-im/gochat/platform/cache"
	"github.com/gochat-im/gochat/platform/config"
	"github.com/gochat-im/gochat/platform/redis"
	"github.com/gochat-im/gochat/platform/registry"
	"github.com/gochat-im/gochat/platform/trace"
	"github.com/gochat-im/gochat/repo"
	"github.com/gochat-im/gochat/task"
)

// Config is every setting of the program. config.yaml documents each.
type Config struct {
	Listen          string              `koanf:"listen"`
	PrivateListen   string              `koanf:"private_listen"`
	DataDir         string              `koanf:"data_dir"`
	ShutdownTimeout time.Duration       `koanf:"shutdown_timeout"`
	Store           string              `koanf:"store"`
	Bus             string              `koanf:"bus"`
	Cache           string              `koanf:"cache"`
	Roles           RolesConfig         `koanf:"roles"`
	Log             LogConfig           `koanf:"log"`
	Trace           trace.Config        `koanf:"trace"`
	EmbeddedBus     embedded.Config     `koanf:"embedded_bus"`
	Kafka           kafka.Config        `koanf:"kafka"`
	Redis           redis.Config        `koanf:"redis"`
	Registry        registry.Config     `koanf:"registry"`
	SharedCache     cache.SharedConfig  `koanf:"shared_cache"`
	Delivery        DeliveryConfig      `koanf:"delivery"`
	Gateway         gateway.Config      `koanf:"gateway"`
	Logic           logic.Config        `koanf:"logic"`
	Repo            repo.Config         `koanf:"repo"`
	Postgres        repo.PostgresConfig `koanf:"postgres"`
	Task            task.Config         `koanf:"task"`
}

// LogConfig shapes the log on standard error.
type LogConfig struct {
	Level  string `koanf:"level"`
	Format string `koanf:"format"`
}

// DeliveryConfig holds what several roles must agree on about delivery.
type DeliveryConfig struct {
	// LargeGroupThreshold: with more members than this a group's messages travel once per gateway and fan out there.
	LargeGroupThreshold int `koanf:"large_group_threshold"`
}

func defaultConfig() Config {
	return Config{
		Listen:          ":8080",
		PrivateListen:   "127.0.0.1:8081",
		DataDir:         "./data",
		ShutdownTimeout: 30 * time.Second,
		Store:           repo.StoreSQLite,
		Bus:             "embedded",
		Cache:           "embedded",
		Roles:           defaultRolesConfig(),
		Log:             LogConfig{Level: "info", Format: "text"},
		Trace:           trace.DefaultConfig(),
		EmbeddedBus:     embedded.DefaultConfig(),
		Kafka:           kafka.DefaultConfig(),
		Redis:           redis.DefaultConfig(),
		Registry:        registry.DefaultConfig(),
		SharedCache:     cache.DefaultSharedConfig(),
		Delivery:        DeliveryConfig{LargeGroupThreshold: 500},
		Gateway:         gateway.DefaultConfig(),
		Logic:           logic.DefaultConfig(),
		Repo:            repo.DefaultConfig(),
		Postgres:        repo.DefaultPostgresConfig(),
		Task:            task.DefaultConfig(),
	}
}

// validate answers with the first setting that cannot work, by its path.
func (c Config) validate() error {
	for _, a := range []struct {
		setting, value string
		optional       bool
	}{{"listen", c.Listen, !c.Roles.local("gateway")}, {"private_listen", c.PrivateListen, true}} {
		if a.value == "" && a.optional {
			continue
		}
		if _, _, err := net.SplitHostPort(a.value); err != nil {
			return fmt.Errorf("%s: %q is not HOST:PORT", a.setting, a.value)
		}
	}
	if c.DataDir == "" {
		return errors.New("data_dir: must not be empty")
	}
	if c.ShutdownTimeout <= 0 {
		return errors.New("shutdown_timeout: must be positive")
	}
	for _, choice := range []struct {
		setting, value string
		known          []string
	}{
		{"store", c.Store, []string{repo.StoreSQLite, repo.StorePostgres}},
		{"bus", c.Bus, []string{"embedded", "kafka"}},
		{"cache", c.Cache, []string{"embedded", "redis"}},
	} {
		if !slices.Contains(choice.known, choice.value) {
			return fmt.Errorf("%s: %q is not one of %s", choice.setting, choice.value, strings.Join(choice.known, ", "))
		}
	}
	if err := c.validateRoles(); err != nil {
		return err
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		return fmt.Errorf("log.level: %q is not one of debug, info, warn, error", c.Log.Level)
	}
	if !slices.Contains([]string{"text", "json"}, c.Log.Format) {
		return fmt.Errorf("log.format: %q is not one of text, json", c.Log.Format)
	}
	if c.Delivery.LargeGroupThreshold < 2 || c.Delivery.LargeGroupThreshold > 100_000 {
		return errors.New("delivery.large_group_threshold: must be 2 to 100,000")
	}
	for _, s := range []struct {
		name   string
		config interface{ Validate() error }
	}{
		{"trace", c.Trace},
		{"embedded_bus", c.EmbeddedBus},
		{"kafka", c.Kafka},
		{"redis", c.Redis},
		{"registry", c.Registry},
		{"shared_cache", c.SharedCache},
		{"gateway", c.Gateway},
		{"logic", c.Logic},
		{"repo", c.Repo},
		{"task", c.Task},
	} {
		if err := s.config.Validate(); err != nil {
			return fmt.Errorf("%s.%w", s.name, err)
		}
	}
	if c.Store == repo.StorePostgres {
		if err := c.Postgres.Validate(); err != nil {
			return fmt.Errorf("postgres.%w", err)
		}
	}
	return nil
}

// settingFlags are the flags that set a setting, by the path that they set.
var settingFlags = []struct{ flag, path, usage string }{
	{"listen", "listen", "public address of the HTTP API and WebSocket"},
	{"private-listen", "private_listen", "address of metrics, pprof and readiness details; empty: none"},
	{"data-dir", "data_dir", "folder of the database and keys"},
	{"roles", "roles.run", "comma-separated roles that run in this process, or all"},
	{"log-level", "log.level", "debug, info, warn or error"},
	{"log-format", "log.format", "text or json"},
}

// addSettingFlags gives a command --config and the flags of settingFlags.
func addSettingFlags(fs *pflag.FlagSet) {
	fs.String("config", "", "settings file (YAML)")
	for _, f := range settingFlags {
		fs.String(f.flag, "", f.usage)
	}
}

// loadConfig reads file, environment and the command's flags over the defaults, and validates the result.
func loadConfig(cmd *cobra.Command) (Config, error) {
	cfg := defaultConfig()
	flags := map[string]any{}
	for _, f := range settingFlags {
		if flag := cmd.Flags().Lookup(f.flag); flag != nil && flag.Changed {
			flags[f.path] = flag.Value.String()
		}
	}
	file, err := cmd.Flags().GetString("config")
	if err != nil {
		return Config{}, fmt.Errorf("read flags: %w", err)
	}
	if err := config.Load(file, os.Environ(), flags, &cfg); err != nil {
		return Config{}, usageError{err}
	}
	if err := cfg.validate(); err != nil {
		return Config{}, usageError{fmt.Errorf("config: %w", err)}
	}
	cfg.Logic.MaxMessageBytes = cfg.Gateway.MaxMessageBytes
	cfg.Repo.DataDir, cfg.Repo.Store, cfg.Repo.Postgres = cfg.DataDir, cfg.Store, cfg.Postgres
	cfg.Repo.LargeGroupThreshold = cfg.Delivery.LargeGroupThreshold
	return cfg, nil
}

func checkConfigCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check-config",
		Short: "Check the settings without starting anything",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "settings are fine: listen %s, data in %s, roles %s\n",
				cfg.Listen, cfg.DataDir, strings.Join(cfg.Roles.Run, ","))
			return err
		},
	}
	addSettingFlags(cmd.Flags())
	return cmd
}
