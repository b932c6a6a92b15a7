package task

import (
	"strings"
	"testing"
	"time"
)

func TestConfigNamesTheSettingThatCannotWork(t *testing.T) {
	t.Parallel()
	if err := DefaultConfig().Validate(); err != nil {
		t.Fatalf("defaults: %v", err)
	}
	for setting, change := range map[string]func(*Config){
		"persist.max_batch":     func(c *Config) { c.Persist.MaxBatch = 0 },
		"persist.give_up_after": func(c *Config) { c.Persist.GiveUpAfter = -1 },
		"walk_batch":            func(c *Config) { c.WalkBatch = -5 },
		"jobs.workers":          func(c *Config) { c.Jobs.Workers = 0 },
		"jobs.poll_interval":    func(c *Config) { c.Jobs.PollInterval = 0 },
		"push.max_backoff":      func(c *Config) { c.Push.MaxBackoff = time.Millisecond },
		"push.webhook_url":      func(c *Config) { c.Push.WebhookURL = "ftp://host/x" },
		"push.webhook_secret":   func(c *Config) { c.Push.WebhookURL, c.Push.WebhookSecret = "https://host/x", "short" },
		"push.timeout": func(c *Config) {
			c.Push.WebhookURL, c.Push.WebhookSecret, c.Push.Timeout = "https://host/x", secret, c.Jobs.Lease
		},
	} {
		c := DefaultConfig()
		change(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), setting+":") {
			t.Errorf("%s: error = %v", setting, err)
		}
	}
}
