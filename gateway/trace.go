package gateway

import (
	"context"
	"net/http"

	"github.com/gochat-im/gochat/gateway/internal/wire"
	"github.com/gochat-im/gochat/platform/trace"
)

// trace begins the span of a request. Who may name a request's id may also name its trace and decide on it.
func (s *Server) trace(ctx context.Context, r *http.Request) (context.Context, trace.Span) {
	if s.cfg.Tracer == nil {
		return ctx, trace.Span{}
	}
	caller := trace.Read(r.Header.Get)
	return s.cfg.Tracer.Answer(ctx, knownMethod(r.Method), caller, caller != nil && s.http.addresses.fromProxy(r))
}

// endRequest ends the span of a request. Neither its path nor its query is noted: they hold ids and tokens.
func endRequest(span trace.Span, method, route string, status int) {
	if !span.Recorded() {
		return
	}
	method = knownMethod(method)
	span.Rename(method + " " + route)
	span.Note("http.request.method", method)
	span.Note("http.route", route)
	span.Count("http.response.status_code", status)
	if status >= http.StatusInternalServerError {
		span.Fail(http.StatusText(status))
	}
	span.End(nil)
}

// traceFrame begins the span of a frame, whose trace begins with it.
func (s *Server) traceFrame(ctx context.Context, f *wire.Frame) (context.Context, trace.Span) {
	ctx, span := s.cfg.Tracer.Begin(ctx, "frame")
	if span.Recorded() {
		span.Rename("frame " + f.Type.String())
	}
	return ctx, span
}

// traceUpgrade serves an upgrade under a span, which ends when the socket is open or refused.
func (s *Server) traceUpgrade(w http.ResponseWriter, r *http.Request) {
	ctx, span := s.trace(r.Context(), r)
	if span.Recorded() {
		span.Rename(http.MethodGet + " /ws")
		r = r.WithContext(ctx)
	}
	s.serveWS(w, r)
	span.End(nil)
}
