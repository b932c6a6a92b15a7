package kafka

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/gochat-im/gochat/platform/bus/internal/work"
)

// metrics are those that every bus has, and Kafka's own. Depth is the lag of
// this process's partitions.
type metrics struct {
	work           *work.Metrics
	rebalances     *prometheus.CounterVec
	publishSeconds *prometheus.HistogramVec
	publishErrors  *prometheus.CounterVec
	publishRetries *prometheus.CounterVec
	publishRecords *prometheus.CounterVec
}

func newMetrics(b *Bus, reg prometheus.Registerer) *metrics {
	f, label := promauto.With(reg), []string{"topic"}
	return &metrics{
		work: work.NewMetrics(reg, b.backlogs),
		rebalances: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gochat_bus_rebalances_total", Help: "Times that partitions were assigned to this process.",
		}, label),
		publishSeconds: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gochat_bus_publish_seconds", Help: "Time until records were stored by all in-sync replicas.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, label),
		publishErrors: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gochat_bus_publish_errors_total", Help: "Publications that failed.",
		}, label),
		publishRetries: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gochat_bus_publish_retries_total", Help: "Requests to store records that were repeated.",
		}, label),
		publishRecords: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gochat_bus_published_records_total", Help: "Records stored.",
		}, label),
	}
}

// backlogs answers for the topics that this process consumes.
func (b *Bus) backlogs() map[string]work.Backlog {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make(map[string]work.Backlog, len(b.consumers))
	for name, c := range b.consumers {
		all[name] = c.backlog()
	}
	return all
}

func (m *metrics) published(topic string, records int, took time.Duration, err error) {
	if err != nil {
		m.publishErrors.WithLabelValues(topic).Inc()
		return
	}
	m.publishSeconds.WithLabelValues(topic).Observe(took.Seconds())
	m.publishRecords.WithLabelValues(topic).Add(float64(records))
}
