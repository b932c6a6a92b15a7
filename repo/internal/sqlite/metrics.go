package sqlite

import "github.com/prometheus/client_golang/prometheus"

// checkpointMetrics are what this engine tells beside sqlstore.CommitMetrics.
type checkpointMetrics struct {
	seconds prometheus.Histogram
	pages   prometheus.Gauge
}

func newCheckpointMetrics(reg prometheus.Registerer) *checkpointMetrics {
	m := &checkpointMetrics{
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gochat_repo_checkpoint_seconds", Help: "Time of a checkpoint of the write-ahead log.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}),
		pages: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gochat_repo_wal_pages", Help: "Pages in the write-ahead log at the last checkpoint.",
		}),
	}
	if reg != nil {
		reg.MustRegister(m.seconds, m.pages)
	}
	return m
}
