package embedded

import (
	"errors"
	"time"
)

// Config are the settings of the embedded bus.
type Config struct {
	Lanes        int           `koanf:"lanes"`         // goroutines of a topic
	QueueRecords int           `koanf:"queue_records"` // of a lane; when full, publishers wait
	MaxBatch     int           `koanf:"max_batch"`     // records in one call of a handler
	Attempts     int           `koanf:"attempts"`      // of a record that fails by itself
	RetryMin     time.Duration `koanf:"retry_min"`     // first pause before a repetition; doubles
	RetryMax     time.Duration `koanf:"retry_max"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		Lanes: 8, QueueRecords: 4096, MaxBatch: 256, Attempts: 5,
		RetryMin: 20 * time.Millisecond, RetryMax: 2 * time.Second,
	}
}

// Validate names the first setting that cannot work.
func (c Config) Validate() error {
	switch {
	case c.Lanes < 1 || c.Lanes > maxLanes:
		return errors.New("lanes: must be 1 to 256")
	case c.QueueRecords < 1 || c.QueueRecords > 1<<20:
		return errors.New("queue_records: must be 1 to 1,048,576")
	case c.MaxBatch < 1 || c.MaxBatch > 10_000:
		return errors.New("max_batch: must be 1 to 10,000")
	case c.Attempts < 1 || c.Attempts > 100:
		return errors.New("attempts: must be 1 to 100")
	case c.RetryMin <= 0 || c.RetryMin > time.Minute:
		return errors.New("retry_min: must be more than 0s and at most 1m")
	case c.RetryMax < c.RetryMin || c.RetryMax > time.Hour:
		return errors.New("retry_max: must be retry_min to 1h")
	}
	return nil
}

func (c Config) withDefaults() Config {
	d := DefaultConfig()
	if c.Lanes > 0 {
		d.Lanes = min(c.Lanes, maxLanes)
	}
	if c.QueueRecords > 0 {
		d.QueueRecords = c.QueueRecords
	}
	if c.MaxBatch > 0 {
		d.MaxBatch = c.MaxBatch
	}
	if c.Attempts > 0 {
		d.Attempts = c.Attempts
	}
	if c.RetryMin > 0 {
		d.RetryMin = c.RetryMin
	}
	if c.RetryMax > 0 {
		d.RetryMax = c.RetryMax
	}
	d.RetryMax = max(d.RetryMax, d.RetryMin)
	return d
}
