package kafka_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gochat-im/gochat/platform/bus/kafka"
	"github.com/gochat-im/gochat/platform/secure"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	if err := kafka.DefaultConfig().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	for _, mechanism := range []string{"plain", "scram-sha-256", "scram-sha-512"} {
		cfg := kafka.DefaultConfig()
		cfg.SASL = kafka.SASLConfig{Mechanism: mechanism, Username: "u", Password: "p"}
		if err := cfg.Validate(); err != nil {
			t.Errorf("%s: %v", mechanism, err)
		}
	}
	for _, c := range []struct {
		setting string
		change  func(*kafka.Config)
	}{
		{"brokers", func(c *kafka.Config) { c.Brokers = nil }},
		{"brokers", func(c *kafka.Config) { c.Brokers = []string{"localhost"} }},
		{"prefix", func(c *kafka.Config) { c.Prefix = "a b" }},
		{"partitions", func(c *kafka.Config) { c.Partitions = 0 }},
		{"replication_factor", func(c *kafka.Config) { c.ReplicationFactor = -1 }},
		{"max_batch", func(c *kafka.Config) { c.MaxBatch = 0 }},
		{"attempts", func(c *kafka.Config) { c.Attempts = 0 }},
		{"retry_min", func(c *kafka.Config) { c.RetryMin = 0 }},
		{"retry_max", func(c *kafka.Config) { c.RetryMax = time.Millisecond }},
		{"request_bytes", func(c *kafka.Config) { c.RequestBytes = 1 }},
		{"fetch_bytes", func(c *kafka.Config) { c.FetchBytes = 1 }},
		{"fetch_wait", func(c *kafka.Config) { c.FetchWait = 0 }},
		{"request_timeout", func(c *kafka.Config) { c.RequestTimeout = 0 }},
		{"publish_timeout", func(c *kafka.Config) { c.PublishTimeout = 0 }},
		{"session_timeout", func(c *kafka.Config) { c.SessionTimeout = 0 }},
		{"sasl.mechanism", func(c *kafka.Config) { c.SASL.Username = "u" }},
		{"sasl.mechanism", func(c *kafka.Config) { c.SASL = kafka.SASLConfig{Mechanism: "x", Username: "u", Password: "p"} }},
		{"sasl.username", func(c *kafka.Config) { c.SASL.Mechanism = "plain" }},
		{"sasl.password", func(c *kafka.Config) { c.SASL = kafka.SASLConfig{Mechanism: "plain", Username: "u"} }},
		{"tls.enabled", func(c *kafka.Config) { c.TLS.CA = "ca.pem" }},
		{"tls.cert", func(c *kafka.Config) { c.TLS = secure.Client{Enabled: true, Cert: "c.pem"} }},
	} {
		cfg := kafka.DefaultConfig()
		c.change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.HasPrefix(err.Error(), c.setting+": ") {
			t.Errorf("%s: error %v, want one that names the setting", c.setting, err)
		}
	}
}
