package work

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Backlog is what a topic has taken and not done, and the age of the oldest of it.
type Backlog struct {
	Records int
	Oldest  time.Duration
}

// Metrics are a bus's counters, and a collector that reads the queues when scraped.
type Metrics struct {
	backlogs      func() map[string]Backlog
	depth, oldest *prometheus.Desc
	batch         *prometheus.HistogramVec
	handled       *prometheus.CounterVec
	retries       *prometheus.CounterVec
	dead          *prometheus.CounterVec
}

// TopicMetrics are the counters of one topic.
type TopicMetrics struct {
	batch                  prometheus.Observer
	handled, retries, dead prometheus.Counter
}

// NewMetrics registers a bus's metrics; reg may be nil.
func NewMetrics(reg prometheus.Registerer, backlogs func() map[string]Backlog) *Metrics {
	f, label := promauto.With(reg), []string{"topic"}
	m := &Metrics{
		backlogs: backlogs,
		depth:    prometheus.NewDesc("gochat_bus_depth_records", "Records taken and not yet done.", label, nil),
		oldest:   prometheus.NewDesc("gochat_bus_oldest_seconds", "Age of the oldest record not yet done.", label, nil),
		batch: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gochat_bus_batch_records", Help: "Records in one call of the handler.",
			Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512},
		}, label),
		handled: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gochat_bus_handled_records_total", Help: "Records handled.",
		}, label),
		retries: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gochat_bus_retried_records_total", Help: "Records given to the handler again.",
		}, label),
		dead: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gochat_bus_dead_records_total", Help: "Records that failed for good.",
		}, label),
	}
	if reg != nil {
		reg.MustRegister(m)
	}
	return m
}

// Of returns the counters of a topic.
func (m *Metrics) Of(topic string) TopicMetrics {
	return TopicMetrics{
		batch:   m.batch.WithLabelValues(topic),
		handled: m.handled.WithLabelValues(topic),
		retries: m.retries.WithLabelValues(topic),
		dead:    m.dead.WithLabelValues(topic),
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.depth
	ch <- m.oldest
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for name, b := range m.backlogs() {
		ch <- prometheus.MustNewConstMetric(m.depth, prometheus.GaugeValue, float64(b.Records), name)
		ch <- prometheus.MustNewConstMetric(m.oldest, prometheus.GaugeValue, b.Oldest.Seconds(), name)
	}
}
