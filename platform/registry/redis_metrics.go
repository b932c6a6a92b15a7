package registry

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	lookups, degraded, rebuilds prometheus.Counter
}

func newMetrics(r *shared, reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "gochat_registry_bound_keys", Help: "Keys that this process has bound."}, r.boundKeys)
	return &metrics{
		lookups:  f.NewCounter(prometheus.CounterOpts{Name: "gochat_registry_lookups_total", Help: "Look-ups of keys' instances."}),
		degraded: f.NewCounter(prometheus.CounterOpts{Name: "gochat_registry_degraded_total", Help: "Look-ups that had to name too many instances."}),
		rebuilds: f.NewCounter(prometheus.CounterOpts{Name: "gochat_registry_rebuilds_total", Help: "Times that everything bound was written again."}),
	}
}

// boundKeys counts what this process has bound.
func (r *shared) boundKeys() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for m := range r.members {
		m.mu.Lock()
		for _, keys := range m.bound {
			n += len(keys)
		}
		m.mu.Unlock()
	}
	return float64(n)
}
