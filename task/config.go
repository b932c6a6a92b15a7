package task

import (
	"errors"
	"fmt"
	"net/url"
	"time"
)

// Config are the settings of the task role.
type Config struct {
	Persist PersistConfig `koanf:"persist"`
	Push    PushConfig    `koanf:"push"`
	Jobs    JobsConfig    `koanf:"jobs"`
	// WalkBatch is the page size in which the members of a large group are walked.
	WalkBatch int `koanf:"walk_batch"`
	// CallTimeout bounds each call of another role.
	CallTimeout time.Duration `koanf:"call_timeout"`
}

// PersistConfig shapes the storing and delivering of messages.
type PersistConfig struct {
	MaxBatch int `koanf:"max_batch"` // records in one transaction
	// GiveUpAfter is how long senders wait for a store that is unavailable before they are told so.
	GiveUpAfter time.Duration `koanf:"give_up_after"`
}

// PushConfig shapes offline push. Without a webhook it is off.
type PushConfig struct {
	WebhookURL    string        `koanf:"webhook_url"`
	WebhookSecret string        `koanf:"webhook_secret"` // signs each request
	Delay         time.Duration `koanf:"delay"`          // in which a user may still read by itself
	Timeout       time.Duration `koanf:"timeout"`        // of one request
	Attempts      int           `koanf:"attempts"`
	Backoff       time.Duration `koanf:"backoff"`     // before the second attempt; doubles from there
	MaxBackoff    time.Duration `koanf:"max_backoff"` // where doubling ends
}

// JobsConfig shapes the runner of durable jobs.
type JobsConfig struct {
	Workers      int           `koanf:"workers"`       // jobs that run at once
	Lease        time.Duration `koanf:"lease"`         // after which a claimed job of a lost process runs again
	PollInterval time.Duration `koanf:"poll_interval"` // how often due jobs are looked for
}

// DefaultConfig returns the defaults: push is off.
func DefaultConfig() Config {
	return Config{
		Persist: PersistConfig{MaxBatch: 500, GiveUpAfter: 10 * time.Second},
		Push: PushConfig{
			Delay: 5 * time.Second, Timeout: 10 * time.Second,
			Attempts: 10, Backoff: 5 * time.Second, MaxBackoff: 30 * time.Minute,
		},
		Jobs:        JobsConfig{Workers: 8, Lease: time.Minute, PollInterval: time.Second},
		WalkBatch:   100,
		CallTimeout: 10 * time.Second,
	}
}

// minSecret is the shortest webhook secret, in bytes: 128 bits in hexadecimal have 32.
const minSecret = 16

// Validate names the first setting that cannot work.
func (c Config) Validate() error {
	for _, r := range []struct {
		setting         string
		value, min, max int
	}{
		{"persist.max_batch", c.Persist.MaxBatch, 1, 10_000},
		{"push.attempts", c.Push.Attempts, 1, 100},
		{"jobs.workers", c.Jobs.Workers, 1, 1_000},
		{"walk_batch", c.WalkBatch, 1, 10_000},
	} {
		if r.value < r.min || r.value > r.max {
			return fmt.Errorf("%s: must be %d to %d", r.setting, r.min, r.max)
		}
	}
	for _, r := range []struct {
		setting         string
		value, min, max time.Duration
	}{
		{"persist.give_up_after", c.Persist.GiveUpAfter, 100 * time.Millisecond, 10 * time.Minute},
		{"push.delay", c.Push.Delay, 0, 24 * time.Hour},
		{"push.timeout", c.Push.Timeout, 10 * time.Millisecond, 5 * time.Minute},
		{"push.backoff", c.Push.Backoff, time.Millisecond, 24 * time.Hour},
		{"push.max_backoff", c.Push.MaxBackoff, c.Push.Backoff, 7 * 24 * time.Hour},
		{"jobs.lease", c.Jobs.Lease, time.Second, time.Hour},
		{"jobs.poll_interval", c.Jobs.PollInterval, 10 * time.Millisecond, time.Minute},
		{"call_timeout", c.CallTimeout, 100 * time.Millisecond, 5 * time.Minute},
	} {
		if r.value < r.min || r.value > r.max {
			return fmt.Errorf("%s: must be %v to %v", r.setting, r.min, r.max)
		}
	}
	return c.Push.validate(c.Jobs.Lease)
}

func (c PushConfig) validate(lease time.Duration) error {
	if c.WebhookURL == "" {
		return nil
	}
	u, err := url.Parse(c.WebhookURL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return errors.New("push.webhook_url: must be an http or https URL")
	}
	if len(c.WebhookSecret) < minSecret {
		return fmt.Errorf("push.webhook_secret: must have at least %d characters when push.webhook_url is set", minSecret)
	}
	if c.Timeout >= lease {
		return errors.New("push.timeout: must be shorter than jobs.lease")
	}
	return nil
}

func (c PushConfig) enabled() bool { return c.WebhookURL != "" }
