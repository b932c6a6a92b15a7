package kafka_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/bus/kafka"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/rpc/rpctest"
	"github.com/gochat-im/gochat/platform/testenv"
)

// TestSecureBrokers publishes and consumes over TLS with each way to log in, and not at all with a wrong one.
func TestSecureBrokers(t *testing.T) {
	t.Parallel()
	const user, password = "gochat", "correct-horse"
	authority, other := rpctest.NewCA(t), rpctest.NewCA(t)
	own := authority.Issue(t, "127.0.0.1")
	identity := filepath.Join(t.TempDir(), "broker.pem")
	var pem []byte
	for _, file := range []string{own.Key, own.Cert} {
		part, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pem = slices.Concat(pem, part)
	}
	if err := os.WriteFile(identity, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	_, address := testenv.SecureKafkaServer(t, testenv.KafkaAccess{Identity: identity, Username: user, Password: password})
	secure := func(mechanism string) kafka.Config {
		cfg := settings(t, address, "s-"+mechanism+"-")
		cfg.TLS.Enabled, cfg.TLS.CA = true, own.CA
		cfg.SASL = kafka.SASLConfig{Mechanism: mechanism, Username: user, Password: password}
		return cfg
	}
	for _, mechanism := range []string{"plain", "scram-sha-256", "scram-sha-512"} {
		t.Run(mechanism, func(t *testing.T) {
			b := newBus(t, secure(mechanism))
			came := make(chan bus.Record, 1)
			if err := b.Subscribe(topic("t"), func(_ context.Context, batch []bus.Record) error {
				came <- batch[0]
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if err := b.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := b.Publish(t.Context(), "t", record(1, 0)); err != nil {
				t.Fatal(err)
			}
			select {
			case <-came:
			case <-time.After(patience):
				t.Error("timed out: the record is handled")
			}
			if err := b.Stop(t.Context()); err != nil {
				t.Errorf("Stop: %v", err)
			}
		})
	}
	for name, change := range map[string]func(*kafka.Config){
		"a wrong password":             func(c *kafka.Config) { c.SASL.Password = "wrong-horse" },
		"a wrong user":                 func(c *kafka.Config) { c.SASL.Username = "nobody" },
		"no login":                     func(c *kafka.Config) { c.SASL = kafka.SASLConfig{} },
		"no TLS":                       func(c *kafka.Config) { c.TLS.Enabled, c.TLS.CA = false, "" },
		"another authority":            func(c *kafka.Config) { c.TLS.CA = other.Issue(t, "127.0.0.1").CA },
		"a name that is not in theirs": func(c *kafka.Config) { c.TLS.ServerName = "kafka.example.org" },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := secure("scram-sha-512")
			change(&cfg)
			b := newBus(t, cfg)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := b.Publish(ctx, "t", record(1, 0)); errs.CodeOf(err) != errs.Unavailable {
				t.Errorf("Publish: %v, want unavailable", err)
			}
			if err := b.Stop(t.Context()); err != nil {
				t.Errorf("Stop: %v", err)
			}
		})
	}
}
