package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/obs"
)

// statuses maps the catalogue to HTTP. What is not listed is 500.
var statuses = map[errs.Code]int{
	errs.Invalid:          http.StatusBadRequest,
	errs.Unauthorized:     http.StatusUnauthorized,
	errs.NotFound:         http.StatusNotFound,
	errs.Internal:         http.StatusInternalServerError,
	errs.Forbidden:        http.StatusForbidden,
	errs.Conflict:         http.StatusConflict,
	errs.RateLimited:      http.StatusTooManyRequests,
	errs.TooLarge:         http.StatusRequestEntityTooLarge,
	errs.Unavailable:      http.StatusServiceUnavailable,
	errs.MethodNotAllowed: http.StatusMethodNotAllowed,
	errs.Timeout:          http.StatusGatewayTimeout,
}

func statusOf(code errs.Code) int {
	if s, ok := statuses[code]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// How long to wait before the next try when an Unavailable error does not say.
const defaultRetryAfter = time.Second

// httpError is the one shape of every error answer.
type httpError struct {
	status  int
	headers http.Header

	Code      errs.Code         `json:"code" doc:"Entry of the error catalogue." example:"1001"`
	Message   string            `json:"message" doc:"What was wrong, for people."`
	Details   map[string]string `json:"details" doc:"For programs: field, retry_after_ms, reason…"`
	RequestID string            `json:"request_id" doc:"Also in X-Request-Id: finds the request in the server's log."`
}

// newHTTPError puts err into the one shape. What is not of the catalogue is
// Internal, and says nothing of its cause.
func newHTTPError(ctx context.Context, err error) *httpError {
	e := errs.From(err)
	out := &httpError{
		status: statusOf(e.Code), headers: http.Header{},
		Code: e.Code, Message: e.Message, Details: e.Details, RequestID: obs.RequestID(ctx),
	}
	if out.Details == nil {
		out.Details = map[string]string{}
	}
	switch e.Code { //nolint:exhaustive // only these have headers
	case errs.Unauthorized:
		challenge := `Bearer realm="gochat"`
		if reason := e.Details["reason"]; reason != "" && reason != "missing" {
			challenge += `, error="invalid_token"`
		}
		out.headers.Set("WWW-Authenticate", challenge)
	case errs.RateLimited, errs.Unavailable:
		out.headers.Set("Retry-After", retryAfterSeconds(e.Details["retry_after_ms"]))
	}
	return out
}

// retryAfterSeconds rounds milliseconds up to the whole seconds of Retry-After.
func retryAfterSeconds(ms string) string {
	n, err := strconv.ParseInt(ms, 10, 64)
	if err != nil || n <= 0 {
		n = defaultRetryAfter.Milliseconds()
	}
	return strconv.FormatInt((n+999)/1000, 10)
}

// Error implements huma.StatusError.
func (e *httpError) Error() string { return e.Message }

// GetStatus implements huma.StatusError.
func (e *httpError) GetStatus() int { return e.status }

// GetHeaders implements huma.HeadersError.
func (e *httpError) GetHeaders() http.Header { return e.headers }

// write sends the error. The request id travels in X-Request-Id, too.
func (e *httpError) write(w http.ResponseWriter) {
	h := w.Header()
	maps.Copy(h, e.headers)
	if h.Get("X-Request-Id") == "" {
		h.Set("X-Request-Id", e.RequestID)
	}
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Del("Content-Length")
	w.WriteHeader(e.status)
	_ = json.NewEncoder(w).Encode(e) // the client may be gone
}

// writeError answers a request with err in the one shape.
func writeError(w http.ResponseWriter, r *http.Request, err error) {
	e := newHTTPError(r.Context(), err)
	if e.RequestID == "" {
		e.RequestID = newRequestID()
	}
	e.write(w)
}

// logError logs what the client is not told: causes of the server's own failures.
func (s *Server) logError(ctx context.Context, err error) {
	e := errs.From(err)
	level := slog.LevelDebug
	switch e.Code { //nolint:exhaustive // the rest are mistakes of clients
	case errs.Internal:
		level = slog.LevelError
	case errs.Unavailable, errs.Timeout:
		if ctx.Err() == nil || e.Code == errs.Timeout {
			level = slog.LevelWarn
		}
	}
	s.log.Log(ctx, level, "request failed", "code", e.Code.String(), "error", e)
}

// The hooks of huma are the process's: they make the framework's own errors
// ours, arrays never null, and field names exact.
func init() {
	huma.DefaultArrayNullable = false
	huma.ValidateStrictCasing = true
	huma.NewError = func(status int, msg string, causes ...error) huma.StatusError {
		return newHTTPError(context.Background(), frameworkError(status, msg, causes))
	}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, msg string, causes ...error) huma.StatusError {
		err := frameworkError(status, msg, causes)
		e := newHTTPError(ctx.Context(), err)
		for k, v := range e.headers {
			ctx.SetHeader(k, v[0])
		}
		return e
	}
}

// frameworkError turns what huma found wrong with a request into an error of
// the catalogue: the first of its findings, by the field's name.
func frameworkError(status int, msg string, causes []error) error {
	if status >= http.StatusInternalServerError {
		return errs.Wrap(errs.Internal, fmt.Errorf("%s: %v", msg, causes), "internal error")
	}
	for _, cause := range causes {
		d, ok := cause.(huma.ErrorDetailer)
		if !ok {
			continue
		}
		field, text := describe(d.ErrorDetail())
		return errs.InvalidField(field, "%s", text)
	}
	return errs.InvalidField("body", "%s", strings.TrimPrefix(msg, "request body "))
}

const (
	missingPrefix = "expected required property "
	missingSuffix = " to be present"
	maxFieldName  = 64
)

// describe names a field as the client wrote it and says what is wrong with it.
func describe(d *huma.ErrorDetail) (field, text string) {
	in, field, nested := strings.Cut(d.Location, ".")
	if !nested {
		in, field = "", d.Location
	}
	text = strings.TrimPrefix(d.Message, "invalid value: ")
	switch name, missing := strings.CutSuffix(strings.TrimPrefix(text, missingPrefix), missingSuffix); {
	case missing && strings.HasPrefix(text, missingPrefix):
		if nested {
			name = field + "." + name
		}
		field, text = name, "is required"
	case strings.HasPrefix(text, "required ") && strings.HasSuffix(text, " parameter is missing"):
		text = "is required"
	case text == "unexpected property" || text == "unknown query parameter":
		text = "unknown field"
		if in == "query" {
			text = "unknown parameter"
		}
	}
	if len(field) > maxFieldName {
		field = strings.ToValidUTF8(field[:maxFieldName], "") + "…"
	}
	return field, text
}
