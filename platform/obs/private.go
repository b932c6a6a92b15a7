package obs

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// NewRegistry returns a registry with the process's and the Go runtime's metrics.
func NewRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}

// PrivateHandler serves what only operators may see: /metrics, /debug/pprof/, /healthz, and /readyz with what is not
// ready (a nil error means ready). It belongs on a listener that the public cannot reach.
func PrivateHandler(reg *prometheus.Registry, ready func(ctx context.Context) map[string]error) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeStatus(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		status, parts := http.StatusOK, map[string]string{}
		for name, err := range ready(r.Context()) {
			parts[name] = "ok"
			if err != nil {
				parts[name] = err.Error()
				if _, works := errors.AsType[degraded](err); !works {
					status = http.StatusServiceUnavailable
				}
			}
		}
		writeStatus(w, status, parts)
	})
	return mux
}

// degraded is the error of a part that the process works without.
type degraded struct{ error }

// Degraded marks the error of a part whose absence readiness tells of, without taking the process out of service. Nil
// stays nil.
func Degraded(err error) error {
	if err == nil {
		return nil
	}
	return degraded{err}
}

func (d degraded) Error() string { return "degraded: " + d.error.Error() }
func (d degraded) Unwrap() error { return d.error }

func writeStatus(w http.ResponseWriter, status int, parts map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(parts)
}
