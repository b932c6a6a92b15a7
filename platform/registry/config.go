package registry

import (
	"errors"
	"time"
)

// Config are the settings of the registry in Redis.
type Config struct {
	Lease time.Duration `koanf:"lease"` // for which a process that is gone still counts as living
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config { return Config{Lease: 10 * time.Second} }

// Validate reports the first setting that cannot work, by its name within the section.
func (c Config) Validate() error {
	if c.Lease < time.Second || c.Lease > 10*time.Minute {
		return errors.New("lease: must be 1s to 10m")
	}
	return nil
}
