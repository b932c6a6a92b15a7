package postgres

import (
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	commits      prometheus.Counter
	retries      prometheus.Counter
	replicaReads prometheus.Counter
	seconds      prometheus.Histogram
	requests     prometheus.Histogram
	messages     prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, pool *pgxpool.Pool) *metrics {
	m := &metrics{
		commits: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gochat_repo_commits_total", Help: "Transactions committed.",
		}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gochat_repo_retries_total", Help: "Transactions that ran again after a conflict with another.",
		}),
		replicaReads: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gochat_repo_replica_reads_total", Help: "Reads that the replica answered.",
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
		reg.MustRegister(m.commits, m.retries, m.replicaReads, m.seconds, m.requests, m.messages,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "gochat_repo_connections_used", Help: "Connections to the database that are in use.",
			}, func() float64 { return float64(pool.Stat().AcquiredConns()) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "gochat_repo_connections_open", Help: "Connections to the database.",
			}, func() float64 { return float64(pool.Stat().TotalConns()) }),
		)
	}
	return m
}

// observeQueue measures the batches of messages that wait for a transaction.
func (m *metrics) observeQueue(reg prometheus.Registerer, queue chan *batchRequest) {
	if reg != nil {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gochat_repo_write_queue_length", Help: "Writes that wait for a transaction.",
		}, func() float64 { return float64(len(queue)) }))
	}
}

func (m *metrics) commit(requests, messages int, took time.Duration) {
	m.commits.Inc()
	m.seconds.Observe(took.Seconds())
	m.requests.Observe(float64(requests))
	m.messages.Observe(float64(messages))
}
