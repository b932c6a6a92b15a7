package repo

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gochat-im/gochat/platform/cache"
)

// The engines of the store.
const (
	StoreSQLite   = "sqlite"
	StorePostgres = "postgres"
)

// Config is repo's section of the settings.
type Config struct {
	Store               string         `koanf:"-"` // the engine
	Postgres            PostgresConfig `koanf:"-"` // the section postgres
	DataDir             string         `koanf:"-"`
	LargeGroupThreshold int            `koanf:"-"` // delivery.large_group_threshold
	Readers             int            `koanf:"readers"`
	WriteQueue          int            `koanf:"write_queue"`
	WriterCacheBytes    int64          `koanf:"writer_cache_bytes"`
	ReaderCacheBytes    int64          `koanf:"reader_cache_bytes"`
	Cache               CacheConfig    `koanf:"cache"`
}

// PostgresConfig is the section of the PostgreSQL engine.
type PostgresConfig struct {
	URL              string        `koanf:"url"`
	ReplicaURL       string        `koanf:"replica_url"`
	MaxConns         int           `koanf:"max_conns"`
	MinConns         int           `koanf:"min_conns"`
	Writers          int           `koanf:"writers"`
	ConnectTimeout   time.Duration `koanf:"connect_timeout"`
	StatementTimeout time.Duration `koanf:"statement_timeout"`
}

// DefaultPostgresConfig returns the settings that suit one process; there is no default database.
func DefaultPostgresConfig() PostgresConfig {
	return PostgresConfig{MaxConns: 16, MinConns: 2, Writers: 2, ConnectTimeout: 5 * time.Second, StatementTimeout: 10 * time.Second}
}

// Validate reports the first setting that cannot work, by its name within the section. It tells nothing of the URLs, which hold passwords.
func (c PostgresConfig) Validate() error {
	switch {
	case c.URL == "":
		return errors.New("url: must be set: postgres://USER:PASSWORD@HOST:PORT/DATABASE")
	case !postgresURL(c.URL):
		return errors.New("url: is not postgres://USER:PASSWORD@HOST:PORT/DATABASE")
	case c.ReplicaURL != "" && !postgresURL(c.ReplicaURL):
		return errors.New("replica_url: is not postgres://USER:PASSWORD@HOST:PORT/DATABASE")
	case c.MaxConns < 4 || c.MaxConns > 10_000:
		return errors.New("max_conns: must be 4 to 10,000")
	case c.MinConns < 0 || c.MinConns > c.MaxConns:
		return fmt.Errorf("min_conns: must be 0 to max_conns, %d", c.MaxConns)
	case c.Writers < 1 || c.Writers >= c.MaxConns:
		return fmt.Errorf("writers: must be 1 to %d, less than max_conns", c.MaxConns-1)
	case c.ConnectTimeout <= 0 || c.ConnectTimeout > time.Minute:
		return errors.New("connect_timeout: must be up to 1m")
	case c.StatementTimeout < 100*time.Millisecond || c.StatementTimeout > time.Minute:
		return errors.New("statement_timeout: must be 100ms to 1m")
	}
	return nil
}

// postgresURL tells only the kind: several hosts, as pgx takes them, are no URL to others.
func postgresURL(s string) bool {
	return strings.HasPrefix(s, "postgres://") || strings.HasPrefix(s, "postgresql://")
}

// CacheConfig bounds what is kept in memory, in entries.
type CacheConfig struct {
	Shared        *cache.Shared `koanf:"-"` // the second level, which several processes have in common; nil: none
	Users         int           `koanf:"users"`
	Sessions      int           `koanf:"sessions"`
	Senders       int           `koanf:"senders"`
	Routes        int           `koanf:"routes"`
	Conversations int           `koanf:"conversations"`
	Memberships   int           `koanf:"memberships"`
}

// DefaultConfig returns the settings that suit one machine.
func DefaultConfig() Config {
	return Config{
		Store:               StoreSQLite,
		Postgres:            DefaultPostgresConfig(),
		LargeGroupThreshold: 500,
		Readers:             4,
		WriteQueue:          1024,
		WriterCacheBytes:    64 << 20,
		ReaderCacheBytes:    8 << 20,
		Cache: CacheConfig{
			Users: 50_000, Sessions: 100_000, Senders: 200_000, Routes: 20_000, Conversations: 200_000, Memberships: 500_000,
		},
	}
}

// Validate reports the first setting that cannot work, by its name within the section.
func (c Config) Validate() error {
	switch {
	case c.Readers < 1 || c.Readers > 1024:
		return errors.New("readers: must be 1 to 1,024")
	case c.WriteQueue < 1 || c.WriteQueue > 1_000_000:
		return errors.New("write_queue: must be 1 to 1,000,000")
	case c.WriterCacheBytes < 1<<20:
		return errors.New("writer_cache_bytes: must be at least 1,048,576")
	case c.ReaderCacheBytes < 1<<20:
		return errors.New("reader_cache_bytes: must be at least 1,048,576")
	}
	for _, s := range []struct {
		name  string
		value int
	}{
		{"users", c.Cache.Users},
		{"sessions", c.Cache.Sessions},
		{"senders", c.Cache.Senders},
		{"routes", c.Cache.Routes},
		{"conversations", c.Cache.Conversations},
		{"memberships", c.Cache.Memberships},
	} {
		if s.value < 100 || s.value > 100_000_000 {
			return errors.New("cache." + s.name + ": must be 100 to 100,000,000")
		}
	}
	return nil
}
