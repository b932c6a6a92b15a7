package logic

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	admitted prometheus.Counter
	refused  *prometheus.CounterVec
	logins   *prometheus.CounterVec
	waited   prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) metrics {
	m := metrics{
		admitted: prometheus.NewCounter(prometheus.CounterOpts{Name: "gochat_logic_messages_admitted_total", Help: "Messages that passed admission."}),
		refused:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gochat_logic_messages_refused_total", Help: "Messages refused at admission, by error."}, []string{"code"}),
		logins:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gochat_logic_logins_total", Help: "Logins by outcome: ok, wrong, limited."}, []string{"outcome"}),
		waited: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gochat_logic_upstream_wait_seconds", Help: "How long the oldest message of a batch had waited for its admission since its reception.",
			Buckets: prometheus.ExponentialBuckets(0.000125, 2, 17),
		}),
	}
	if reg != nil {
		reg.MustRegister(m.admitted, m.refused, m.logins, m.waited)
	}
	return m
}
