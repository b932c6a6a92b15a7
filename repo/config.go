package repo

import (
	"errors"

	"github.com/gochat-im/gochat/platform/cache"
)

// Config is repo's section of the settings.
type Config struct {
	DataDir             string      `koanf:"-"`
	LargeGroupThreshold int         `koanf:"-"` // delivery.large_group_threshold
	Readers             int         `koanf:"readers"`
	WriteQueue          int         `koanf:"write_queue"`
	WriterCacheBytes    int64       `koanf:"writer_cache_bytes"`
	ReaderCacheBytes    int64       `koanf:"reader_cache_bytes"`
	Cache               CacheConfig `koanf:"cache"`
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
