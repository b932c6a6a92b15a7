package postgres

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what this engine tells beside sqlstore.CommitMetrics.
type metrics struct {
	retries      prometheus.Counter
	replicaReads prometheus.Counter
	appends      *prometheus.CounterVec
}

// How a transaction of message batches went: stale is one that relied on what was remembered in vain, then it is read.
const (
	appendRemembered = "remembered"
	appendRead       = "read"
	appendStale      = "stale"
)

func newMetrics(reg prometheus.Registerer, pool *pgxpool.Pool) *metrics {
	m := &metrics{
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gochat_repo_retries_total", Help: "Transactions that ran again after a conflict with another.",
		}),
		replicaReads: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gochat_repo_replica_reads_total", Help: "Reads that the replica answered.",
		}),
	}
	m.appends = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gochat_repo_appends_total",
		Help: "Transactions of message batches: in one round trip (remembered), in two (read), in one more for nothing (stale).",
	}, []string{"state"})
	for _, state := range []string{appendRemembered, appendRead, appendStale} {
		m.appends.WithLabelValues(state)
	}
	if reg != nil {
		reg.MustRegister(m.retries, m.replicaReads, m.appends,
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
