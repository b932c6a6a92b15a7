package sqlite

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	reg         prometheus.Registerer
	commits     prometheus.Counter
	seconds     prometheus.Histogram
	requests    prometheus.Histogram
	messages    prometheus.Histogram
	checkpoints prometheus.Histogram
	walPages    prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		reg: reg,
		commits: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gochat_repo_commits_total", Help: "Transactions committed.",
		}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gochat_repo_commit_seconds", Help: "Time of a transaction from its begin to its durable commit.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16),
		}),
		requests: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gochat_repo_commit_requests", Help: "Requests that shared a transaction.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 9),
		}),
		messages: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gochat_repo_commit_messages", Help: "Messages that a transaction stored.",
			Buckets: append([]float64{0}, prometheus.ExponentialBuckets(1, 2, 12)...),
		}),
		checkpoints: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gochat_repo_checkpoint_seconds", Help: "Time of a checkpoint of the write-ahead log.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}),
		walPages: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gochat_repo_wal_pages", Help: "Pages in the write-ahead log at the last checkpoint.",
		}),
	}
	if reg != nil {
		reg.MustRegister(m.commits, m.seconds, m.requests, m.messages, m.checkpoints, m.walPages)
	}
	return m
}

func (m *metrics) observeQueue(depth func() float64) {
	if m.reg != nil {
		m.reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gochat_repo_write_queue_length", Help: "Writes that wait for a transaction.",
		}, depth))
	}
}

func (m *metrics) commit(requests, messages int, took time.Duration) {
	m.commits.Inc()
	m.seconds.Observe(took.Seconds())
	m.requests.Observe(float64(requests))
	m.messages.Observe(float64(messages))
}
