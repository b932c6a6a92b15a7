// Package logic is the role of the rules: who may do what, which messages are
// admitted, and what delivery must know of a change. It holds no data of its
// own but limits: data is repo's, sockets are gateway's.
package logic

import (
	"errors"
	"fmt"
	"time"

	"github.com/gochat-im/gochat/platform/limit"
	"github.com/gochat-im/gochat/platform/password"
)

// Registration says who may create an account.
const (
	RegistrationOpen   = "open"
	RegistrationInvite = "invite"
	RegistrationClosed = "closed"
)

// Config is logic's section of the settings.
type Config struct {
	KeyDir          string          `koanf:"key_dir"`
	Registration    string          `koanf:"registration"`
	AccessTokenTTL  time.Duration   `koanf:"access_token_ttl"`
	SessionTTL      time.Duration   `koanf:"session_ttl"` // since the last refresh
	MaxSessions     int             `koanf:"max_sessions"`
	MaxMessageBytes int             `koanf:"-"`             // gateway.max_message_bytes
	EditWindow      time.Duration   `koanf:"edit_window"`   // 0: no limit
	RecallWindow    time.Duration   `koanf:"recall_window"` // 0: no limit
	MaxGroupMembers int             `koanf:"max_group_members"`
	CallTimeout     time.Duration   `koanf:"call_timeout"`
	Login           LoginConfig     `koanf:"login"`
	Sync            SyncConfig      `koanf:"sync"`
	Password        password.Config `koanf:"password"`
}

// LoginConfig limits failed logins. Rates are per second.
type LoginConfig struct {
	Maker   limit.Maker  `koanf:"-"` // of the limits; nil: they are this process's own
	Account limit.Config `koanf:"account"`
	Address limit.Config `koanf:"address"`
}

// SyncConfig bounds one answer of a sync.
type SyncConfig struct {
	MaxEvents          int `koanf:"max_events"`
	MaxPerConversation int `koanf:"max_per_conversation"`
}

// DefaultConfig returns the settings that suit most.
func DefaultConfig() Config {
	return Config{
		Registration:    RegistrationOpen,
		AccessTokenTTL:  15 * time.Minute,
		SessionTTL:      30 * 24 * time.Hour,
		MaxSessions:     20,
		MaxMessageBytes: 16 << 10,
		EditWindow:      24 * time.Hour,
		RecallWindow:    24 * time.Hour,
		MaxGroupMembers: 100_000,
		CallTimeout:     10 * time.Second,
		Login: LoginConfig{
			Account: limit.Config{Rate: 1.0 / 30, Burst: 10}, // ten at once, then one in 30 s
			Address: limit.Config{Rate: 1.0 / 6, Burst: 50},  // fifty at once, then one in 6 s
		},
		Sync:     SyncConfig{MaxEvents: 500, MaxPerConversation: 1000},
		Password: password.DefaultConfig(),
	}
}

// Validate reports the first setting that cannot work, by its name within the section.
func (c Config) Validate() error {
	switch {
	case c.Registration != RegistrationOpen && c.Registration != RegistrationInvite && c.Registration != RegistrationClosed:
		return fmt.Errorf("registration: %q is not one of open, invite, closed", c.Registration)
	case c.AccessTokenTTL < time.Second || c.AccessTokenTTL > 15*time.Minute:
		return errors.New("access_token_ttl: must be 1s to 15m")
	case c.SessionTTL < c.AccessTokenTTL:
		return errors.New("session_ttl: must be at least access_token_ttl")
	case c.MaxSessions < 1 || c.MaxSessions > 1000:
		return errors.New("max_sessions: must be 1 to 1,000")
	case c.EditWindow < 0:
		return errors.New("edit_window: must not be negative")
	case c.RecallWindow < 0:
		return errors.New("recall_window: must not be negative")
	case c.MaxGroupMembers < 2 || c.MaxGroupMembers > 100_000:
		return errors.New("max_group_members: must be 2 to 100,000")
	case c.CallTimeout < 100*time.Millisecond:
		return errors.New("call_timeout: must be at least 100ms")
	case c.Sync.MaxEvents < 10 || c.Sync.MaxEvents > 10_000:
		return errors.New("sync.max_events: must be 10 to 10,000")
	case c.Sync.MaxPerConversation < 1 || c.Sync.MaxPerConversation > 1_000_000:
		return errors.New("sync.max_per_conversation: must be 1 to 1,000,000")
	}
	for _, s := range []struct {
		name   string
		config interface{ Validate() error }
	}{{"login.account", c.Login.Account}, {"login.address", c.Login.Address}, {"password", c.Password}} {
		if err := s.config.Validate(); err != nil {
			return fmt.Errorf("%s.%w", s.name, err)
		}
	}
	return nil
}
