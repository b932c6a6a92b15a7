package embedded_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/bus/embedded"
	"github.com/gochat-im/gochat/platform/errs"
)

func TestMetrics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		b := embedded.New(embedded.Config{Lanes: 1, Attempts: 2}, slog.New(slog.DiscardHandler), reg)
		release := make(chan struct{})
		_ = b.Subscribe(bus.Topic{Name: "t"}, func(_ context.Context, batch []bus.Record) error {
			<-release
			if batch[0].Key == 2 {
				return errs.New(errs.Invalid, "poison")
			}
			return nil
		})
		_ = b.Start(t.Context())
		_ = b.Publish(t.Context(), "t", record(1, 1))
		synctest.Wait()
		_ = b.Publish(t.Context(), "t", record(2, 1))
		time.Sleep(3 * time.Second)
		want := func(text string) {
			t.Helper()
			if err := testutil.GatherAndCompare(reg, strings.NewReader(text),
				"gochat_bus_depth_records", "gochat_bus_oldest_seconds", "gochat_bus_handled_records_total",
				"gochat_bus_retried_records_total", "gochat_bus_dead_records_total"); err != nil {
				t.Error(err)
			}
		}
		want(metricsText("2", "3", "0", "0", "0"))
		close(release)
		if err := b.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		want(metricsText("0", "0", "1", "1", "1"))
	})
}

func metricsText(depth, oldest, handled, retried, dead string) string {
	return `# HELP gochat_bus_depth_records Records taken and not yet done.
# TYPE gochat_bus_depth_records gauge
gochat_bus_depth_records{topic="t"} ` + depth + `
# HELP gochat_bus_oldest_seconds Age of the oldest record not yet done.
# TYPE gochat_bus_oldest_seconds gauge
gochat_bus_oldest_seconds{topic="t"} ` + oldest + `
# HELP gochat_bus_handled_records_total Records handled.
# TYPE gochat_bus_handled_records_total counter
gochat_bus_handled_records_total{topic="t"} ` + handled + `
# HELP gochat_bus_retried_records_total Records given to the handler again.
# TYPE gochat_bus_retried_records_total counter
gochat_bus_retried_records_total{topic="t"} ` + retried + `
# HELP gochat_bus_dead_records_total Records that failed for good.
# TYPE gochat_bus_dead_records_total counter
gochat_bus_dead_records_total{topic="t"} ` + dead + `
`
}

func TestConfig(t *testing.T) {
	t.Parallel()
	if err := embedded.DefaultConfig().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	for setting, c := range map[string]func(*embedded.Config){
		"lanes":         func(c *embedded.Config) { c.Lanes = 257 },
		"queue_records": func(c *embedded.Config) { c.QueueRecords = 0 },
		"max_batch":     func(c *embedded.Config) { c.MaxBatch = -1 },
		"attempts":      func(c *embedded.Config) { c.Attempts = 0 },
		"retry_min":     func(c *embedded.Config) { c.RetryMin = 0 },
		"retry_max":     func(c *embedded.Config) { c.RetryMax = time.Millisecond },
	} {
		cfg := embedded.DefaultConfig()
		c(&cfg)
		if err := cfg.Validate(); err == nil || !strings.HasPrefix(err.Error(), setting+": ") {
			t.Errorf("%s: error %v, want one that names the setting", setting, err)
		}
	}
}
