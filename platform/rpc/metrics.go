package rpc

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"

	"github.com/gochat-im/gochat/platform/errs"
)

// Metrics counts the calls of a process, both ways. A nil one counts nothing.
type Metrics struct {
	calls    *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	breakers *prometheus.GaugeVec
}

// NewMetrics makes the metrics of a process; reg may be nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gochat_rpc_calls_total", Help: "Calls between roles, by side (client, server), method and how they ended (ok, or an error of the catalogue).",
		}, []string{"side", "method", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gochat_rpc_seconds", Help: "What a call between roles took, retries included.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5},
		}, []string{"side", "method"}),
		breakers: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gochat_rpc_breaker_state", Help: "Circuit breaker of a target: 0 closed, 1 half-open, 2 open.",
		}, []string{"target"}),
	}
	if reg != nil {
		reg.MustRegister(m.calls, m.seconds, m.breakers)
	}
	return m
}

func (m *Metrics) served(method string, err error, took time.Duration) {
	m.count("server", method, err, took)
}

func (m *Metrics) called(method string, err error, took time.Duration) {
	m.count("client", method, err, took)
}

func (m *Metrics) count(side, method string, err error, took time.Duration) {
	if m == nil {
		return
	}
	method = shortName(method)
	m.calls.WithLabelValues(side, method, errs.CodeOf(err).String()).Inc()
	m.seconds.WithLabelValues(side, method).Observe(took.Seconds())
}

// shortName is a method without the package of its contract: RepoService/GetUser.
func shortName(method string) string { return method[strings.LastIndexByte(method, '.')+1:] }

func (m *Metrics) breakerState(target string, s gobreaker.State) {
	if m == nil {
		return
	}
	value := map[gobreaker.State]float64{gobreaker.StateClosed: 0, gobreaker.StateHalfOpen: 1, gobreaker.StateOpen: 2}[s]
	m.breakers.WithLabelValues(target).Set(value)
}

func (m *Metrics) forget(target string) {
	if m != nil {
		m.breakers.DeleteLabelValues(target)
	}
}
