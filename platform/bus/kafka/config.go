package kafka

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"github.com/gochat-im/gochat/platform/secure"
)

// Config are the settings of the bus on Kafka.
type Config struct {
	Brokers           []string      `koanf:"brokers"`            // host:port of some
	Prefix            string        `koanf:"prefix"`             // before the names of topics and groups
	Partitions        int           `koanf:"partitions"`         // of a topic that the bus creates
	ReplicationFactor int           `koanf:"replication_factor"` // of such a topic; 0: the broker's default
	Workers           int           `koanf:"workers"`            // goroutines that a topic's partitions in this process are dealt out to
	MaxBatch          int           `koanf:"max_batch"`          // records in one call of a handler
	Attempts          int           `koanf:"attempts"`           // of a record that fails by itself
	RetryMin          time.Duration `koanf:"retry_min"`          // first pause before a repetition; doubles
	RetryMax          time.Duration `koanf:"retry_max"`
	RequestBytes      int           `koanf:"request_bytes"`   // of one request to store records; a record must have 8 KiB less
	FetchBytes        int           `koanf:"fetch_bytes"`     // of one answer with records, and partition
	FetchWait         time.Duration `koanf:"fetch_wait"`      // for which a broker holds a request when there is no record
	RequestTimeout    time.Duration `koanf:"request_timeout"` // of one request
	PublishTimeout    time.Duration `koanf:"publish_timeout"` // of Publish, repetitions included
	SessionTimeout    time.Duration `koanf:"session_timeout"` // after which a silent process loses its partitions
	SASL              SASLConfig    `koanf:"sasl"`
	TLS               secure.Client `koanf:"tls"`
}

// SASLConfig says how to log in to the brokers.
type SASLConfig struct {
	Mechanism string `koanf:"mechanism"` // empty: no login; plain, scram-sha-256 or scram-sha-512
	Username  string `koanf:"username"`
	Password  string `koanf:"password"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		Brokers: []string{"127.0.0.1:9092"}, Partitions: 8, Workers: 2,
		MaxBatch: 256, Attempts: 5, RetryMin: 20 * time.Millisecond, RetryMax: 2 * time.Second,
		RequestBytes: 900 << 10, FetchBytes: 1 << 20, FetchWait: 500 * time.Millisecond,
		RequestTimeout: 5 * time.Second, PublishTimeout: 10 * time.Second, SessionTimeout: 6 * time.Second,
	}
}

// Validate names the first setting that cannot work.
func (c Config) Validate() error {
	if len(c.Brokers) == 0 {
		return errors.New("brokers: name at least one")
	}
	for _, b := range c.Brokers {
		if _, port, err := net.SplitHostPort(b); err != nil || port == "" {
			return fmt.Errorf("brokers: %q is not HOST:PORT", b)
		}
	}
	switch {
	case !topicName(c.Prefix):
		return errors.New("prefix: must be at most 100 letters, digits, dots, dashes and underscores")
	case c.Partitions < 1 || c.Partitions > 1000:
		return errors.New("partitions: must be 1 to 1,000")
	case c.ReplicationFactor < 0 || c.ReplicationFactor > 9:
		return errors.New("replication_factor: must be 0 to 9")
	case c.Workers < 1 || c.Workers > 1000:
		return errors.New("workers: must be 1 to 1,000")
	case c.MaxBatch < 1 || c.MaxBatch > 10_000:
		return errors.New("max_batch: must be 1 to 10,000")
	case c.Attempts < 1 || c.Attempts > 100:
		return errors.New("attempts: must be 1 to 100")
	case c.RetryMin <= 0 || c.RetryMin > time.Minute:
		return errors.New("retry_min: must be more than 0s and at most 1m")
	case c.RetryMax < c.RetryMin || c.RetryMax > time.Hour:
		return errors.New("retry_max: must be retry_min to 1h")
	case c.RequestBytes < 64<<10 || c.RequestBytes > 100<<20:
		return errors.New("request_bytes: must be 65,536 to 104,857,600")
	case c.FetchBytes < 64<<10 || c.FetchBytes > 100<<20:
		return errors.New("fetch_bytes: must be 65,536 to 104,857,600")
	case c.FetchWait < time.Millisecond || c.FetchWait > 30*time.Second:
		return errors.New("fetch_wait: must be 1ms to 30s")
	case c.RequestTimeout < 100*time.Millisecond || c.RequestTimeout > 5*time.Minute:
		return errors.New("request_timeout: must be 100ms to 5m")
	case c.PublishTimeout < 100*time.Millisecond || c.PublishTimeout > 5*time.Minute:
		return errors.New("publish_timeout: must be 100ms to 5m")
	case c.SessionTimeout < time.Second || c.SessionTimeout > 5*time.Minute:
		return errors.New("session_timeout: must be 1s to 5m")
	}
	if _, err := c.SASL.mechanism(); err != nil {
		return fmt.Errorf("sasl.%w", err)
	}
	if err := c.TLS.Validate(); err != nil {
		return fmt.Errorf("tls.%w", err)
	}
	return nil
}

func topicName(s string) bool {
	for _, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letter && r != '.' && r != '-' && r != '_' {
			return false
		}
	}
	return len(s) <= 100
}

func (c SASLConfig) mechanism() (sasl.Mechanism, error) {
	if c.Mechanism == "" {
		if c.Username != "" || c.Password != "" {
			return nil, errors.New("mechanism: must be set when there is a username or a password")
		}
		return nil, nil //nolint:nilnil // how kafka-go says "no login"
	}
	if c.Username == "" {
		return nil, errors.New("username: must be set for a login")
	}
	if c.Password == "" {
		return nil, errors.New("password: must be set for a login")
	}
	var m sasl.Mechanism
	var err error
	switch c.Mechanism {
	case "plain":
		return plain.Mechanism{Username: c.Username, Password: c.Password}, nil
	case "scram-sha-256":
		m, err = scram.Mechanism(scram.SHA256, c.Username, c.Password)
	case "scram-sha-512":
		m, err = scram.Mechanism(scram.SHA512, c.Username, c.Password)
	default:
		return nil, fmt.Errorf("mechanism: %q is not one of plain, scram-sha-256, scram-sha-512", c.Mechanism)
	}
	if err != nil {
		return nil, errors.New("username: neither it nor the password may hold characters that SCRAM forbids")
	}
	return m, nil
}
