package cache

import "github.com/prometheus/client_golang/prometheus"

// registerMetrics publishes a cache's counters under its name.
func registerMetrics(name string, stats func() Stats, reg prometheus.Registerer) {
	if reg == nil {
		return
	}
	labels := prometheus.Labels{"cache": name}
	reg.MustRegister(
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "gochat_cache_hits_total", Help: "Reads that a cache answered.", ConstLabels: labels},
			func() float64 { return float64(stats().Hits) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "gochat_cache_misses_total", Help: "Reads that had to load.", ConstLabels: labels},
			func() float64 { return float64(stats().Misses) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gochat_cache_entries", Help: "Values in a cache.", ConstLabels: labels},
			func() float64 { return float64(stats().Entries) }),
	)
}
