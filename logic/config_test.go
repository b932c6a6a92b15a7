package logic

import (
	"strings"
	"testing"
	"time"
)

func TestConfigNamesTheBadSetting(t *testing.T) {
	t.Parallel()
	if err := DefaultConfig().Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"registration":              func(c *Config) { c.Registration = "maybe" },
		"access_token_ttl":          func(c *Config) { c.AccessTokenTTL = 16 * time.Minute },
		"session_ttl":               func(c *Config) { c.SessionTTL = time.Second },
		"max_sessions":              func(c *Config) { c.MaxSessions = 0 },
		"edit_window":               func(c *Config) { c.EditWindow = -1 },
		"recall_window":             func(c *Config) { c.RecallWindow = -1 },
		"max_group_members":         func(c *Config) { c.MaxGroupMembers = 100_001 },
		"call_timeout":              func(c *Config) { c.CallTimeout = 0 },
		"sync.max_events":           func(c *Config) { c.Sync.MaxEvents = 0 },
		"sync.max_per_conversation": func(c *Config) { c.Sync.MaxPerConversation = 0 },
		"login.account.rate":        func(c *Config) { c.Login.Account.Rate = -1 },
		"login.address.burst":       func(c *Config) { c.Login.Address.Burst = 0 },
		"password.memory_kib":       func(c *Config) { c.Password.MemoryKiB = 1 },
	} {
		c := DefaultConfig()
		change(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), name+":") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
