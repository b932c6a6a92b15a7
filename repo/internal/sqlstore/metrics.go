package sqlstore

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// CommitMetrics are what every engine tells of its transactions.
type CommitMetrics struct {
	commits  prometheus.Counter
	seconds  prometheus.Histogram
	requests prometheus.Histogram
	messages prometheus.Histogram
}

// NewCommitMetrics registers the metrics, with queued, which counts the writes that wait for a transaction; a nil
// registerer keeps them to the engine.
func NewCommitMetrics(reg prometheus.Registerer, queued func() int) *CommitMetrics {
	m := &CommitMetrics{
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
	}
	if reg != nil {
		reg.MustRegister(m.commits, m.seconds, m.requests, m.messages, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gochat_repo_write_queue_length", Help: "Writes that wait for a transaction.",
		}, func() float64 { return float64(queued()) }))
	}
	return m
}

// Commit tells of a transaction: how many requests shared it, the messages that it stored, and its time.
func (m *CommitMetrics) Commit(requests, messages int, took time.Duration) {
	m.commits.Inc()
	m.seconds.Observe(took.Seconds())
	m.requests.Observe(float64(requests))
	m.messages.Observe(float64(messages))
}
