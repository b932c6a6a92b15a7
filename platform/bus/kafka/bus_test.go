package kafka_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/bus/bustest"
	"github.com/gochat-im/gochat/platform/bus/kafka"
	"github.com/gochat-im/gochat/platform/id"
	"github.com/gochat-im/gochat/platform/testenv"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/gochat-im/gochat/platform/testenv.(*server).launch.func1"))
}

func settings(t *testing.T, brokers, space string) kafka.Config {
	t.Helper()
	cfg := kafka.DefaultConfig()
	cfg.Brokers = strings.Split(brokers, ",")
	cfg.Prefix = space
	cfg.Partitions = 4
	cfg.RetryMin, cfg.RetryMax = time.Millisecond, 50*time.Millisecond
	cfg.PublishTimeout = time.Minute
	cfg.SessionTimeout = 3 * time.Second
	cfg.FetchWait = 100 * time.Millisecond // for as long a request that nobody waits for any more keeps its connection
	return cfg
}

func newBus(t *testing.T, cfg kafka.Config) bus.Bus {
	t.Helper()
	b, err := kafka.New(cfg, slog.New(slog.NewTextHandler(t.Output(), nil)), nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// space names a test's topics apart from those of other runs on the same broker.
func space(t *testing.T, name string) string {
	t.Helper()
	return name + "-" + id.Format(id.New()) + "-"
}

func TestContract(t *testing.T) {
	t.Parallel()
	brokers, run := testenv.Kafka(t), space(t, "c")
	bustest.RunDurable(t, func(t *testing.T, name string) bus.Bus {
		return newBus(t, settings(t, brokers, run+name+"-"))
	})
}
