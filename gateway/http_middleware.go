package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/obs"
)

// saneRequestID is what a trusted proxy may send as X-Request-Id.
var saneRequestID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func newRequestID() string { return rand.Text() }

// observe gives a request its id, logs and counts its end, and turns a panic
// into an answer.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		s.http.metrics.inFlight.Inc()
		defer s.http.metrics.inFlight.Dec()

		requestID := r.Header.Get("X-Request-Id")
		if !saneRequestID.MatchString(requestID) || !s.http.addresses.fromProxy(r) {
			requestID = newRequestID()
		}
		w.Header().Set("X-Request-Id", requestID)
		ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		ctx, span := s.trace(obs.WithRequestID(r.Context(), requestID), r)
		r = r.WithContext(ctx)
		aborted := true
		defer func() { //nolint:contextcheck // it logs with the request's own context
			route := chi.RouteContext(r.Context()).RoutePattern()
			if route == "" || strings.HasSuffix(route, "*") {
				route = "unmatched"
			}
			status := ww.Status()
			if status == 0 {
				status = http.StatusOK
			}
			if aborted {
				status = http.StatusInternalServerError
			}
			took := time.Since(start)
			s.http.metrics.observe(route, r.Method, status, took)
			endRequest(span, r.Method, route, status)
			s.log.LogAttrs(r.Context(), slog.LevelInfo, "request", slog.String("method", knownMethod(r.Method)), slog.String("route", route),
				slog.Int("status", status), slog.Duration("duration", took))
		}()
		s.answerPanics(ww, r, next) //nolint:contextcheck // the request carries it
		aborted = false
	})
}

// answerPanics serves the request. A panic is logged with its stack and
// answered as Internal; when the answer has begun already the connection ends.
func (s *Server) answerPanics(w middleware.WrapResponseWriter, r *http.Request, next http.Handler) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(v)
		}
		s.log.ErrorContext(r.Context(), "panic in a request", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		if w.Status() != 0 {
			panic(http.ErrAbortHandler)
		}
		writeError(w, r, errs.New(errs.Internal, "internal error"))
	}()
	next.ServeHTTP(w, r)
}

// protect sets the headers that every answer has, whatever it is; the pages
// and public documents override the first two.
func protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}

// bound limits how often an address may ask and how long an answer may take.
// Health checks are not limited.
func (s *Server) bound(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		address := s.clientAddress(r)
		if r.URL.Path != healthPath && r.URL.Path != readyPath {
			if err := s.http.limits.allowAddress(r.Context(), s.http.limits.requests, address); err != nil {
				writeError(w, r, err)
				return
			}
		}
		ctx, cancel := context.WithTimeout(r.Context(), s.cfg.HTTP.BodyTimeout+s.cfg.HTTP.RequestTimeout)
		ctx = context.WithValue(ctx, clientKey{}, address)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// crossOrigin answers browsers of the allowed other origins; by default there
// are none. Credentials are never allowed: the API knows no cookies.
func (s *Server) crossOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		if origin == "" || len(s.cfg.WebSocket.AllowedOrigins) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		h := w.Header()
		h.Add("Vary", "Origin")
		if originAllowed(origin, s.cfg.WebSocket.AllowedOrigins) {
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Expose-Headers", "X-Request-Id, Retry-After")
			if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
				h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE")
				h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
				h.Set("Access-Control-Max-Age", "600")
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// originAllowed matches an origin as the WebSocket does: patterns of hosts, or
// of scheme://host when they name a scheme.
func originAllowed(origin string, patterns []string) bool {
	origin = strings.ToLower(origin)
	_, host, ok := strings.Cut(origin, "://")
	if !ok {
		return false
	}
	for _, p := range patterns {
		p = strings.ToLower(p)
		target := host
		if strings.Contains(p, "://") {
			target = origin
		}
		if matched, err := path.Match(p, target); err == nil && matched {
			return true
		}
	}
	return false
}

// routeNotFound answers what no route matches.
func routeNotFound(w http.ResponseWriter, r *http.Request) {
	writeError(w, r, errs.New(errs.NotFound, "no such path"))
}

// methodNotAllowed answers a route that does not know the method, and says which it knows.
func methodNotAllowed(routes chi.Routes) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
			if routes.Match(chi.NewRouteContext(), m, r.URL.Path) {
				w.Header().Add("Allow", m)
			}
		}
		writeError(w, r, errs.New(errs.MethodNotAllowed, "the path exists, but not with this method"))
	}
}
