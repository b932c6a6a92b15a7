package embedded

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are the bus's counters, and a collector that reads the queues when scraped.
type metrics struct {
	bus           *Bus
	depth, oldest *prometheus.Desc
	batch         *prometheus.HistogramVec
	handled       *prometheus.CounterVec
	retries       *prometheus.CounterVec
	dead          *prometheus.CounterVec
}

// topicMetrics are the counters of one topic.
type topicMetrics struct {
	batch                  prometheus.Observer
	handled, retries, dead prometheus.Counter
}

func newMetrics(b *Bus, reg prometheus.Registerer) *metrics {
	f, label := promauto.With(reg), []string{"topic"}
	m := &metrics{
		bus:    b,
		depth:  prometheus.NewDesc("gochat_bus_depth_records", "Records taken and not yet done.", label, nil),
		oldest: prometheus.NewDesc("gochat_bus_oldest_seconds", "Age of the oldest record not yet done.", label, nil),
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

func (m *metrics) of(topic string) topicMetrics {
	return topicMetrics{
		batch:   m.batch.WithLabelValues(topic),
		handled: m.handled.WithLabelValues(topic),
		retries: m.retries.WithLabelValues(topic),
		dead:    m.dead.WithLabelValues(topic),
	}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.depth
	ch <- m.oldest
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	for name, t := range *m.bus.topics.Load() {
		depth, oldest := t.backlog()
		ch <- prometheus.MustNewConstMetric(m.depth, prometheus.GaugeValue, float64(depth), name)
		ch <- prometheus.MustNewConstMetric(m.oldest, prometheus.GaugeValue, oldest.Seconds(), name)
	}
}
