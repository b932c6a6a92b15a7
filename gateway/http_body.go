package gateway

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/gochat-im/gochat/platform/errs"
)

// takeBody reads the whole body before anything parses it: of the right type,
// not over the limit, in time, and UTF-8, as the query must be: calls between
// processes carry nothing else.
func (s *Server) takeBody(ctx huma.Context, next func(huma.Context)) {
	r, w := humachi.Unwrap(ctx)
	body, err := s.readBody(w, r, ctx.Operation().RequestBody != nil)
	if err != nil {
		e := newHTTPError(ctx.Context(), err)
		if errors.Is(err, errMediaType) {
			e.status = http.StatusUnsupportedMediaType
		} else if errors.Is(err, errBodyTimeout) {
			e.status = http.StatusRequestTimeout
		}
		if r.ContentLength != 0 {
			w.Header().Set("Connection", "close") // what is left of the body is not read
		}
		e.write(w)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json") // however it was spelled
	next(ctx)
}

var (
	errMediaType   = errors.New("media type")
	errBodyTimeout = errors.New("body timeout")
)

func (s *Server) readBody(w http.ResponseWriter, r *http.Request, wanted bool) ([]byte, error) {
	for _, values := range r.URL.Query() {
		if slices.ContainsFunc(values, func(v string) bool { return !utf8.ValidString(v) }) {
			return nil, errs.InvalidField("query", "must be UTF-8")
		}
	}
	limit := int64(s.cfg.HTTP.MaxBodyBytes)
	if r.ContentLength > limit {
		return nil, bodyTooLarge(limit)
	}
	if wanted && !isJSON(r.Header.Get("Content-Type")) {
		return nil, errs.Wrap(errs.Invalid, errMediaType, "Content-Type: must be application/json").With("field", "Content-Type")
	}
	if r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(s.cfg.HTTP.BodyTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return nil, bodyError(err, limit) // the deadline also ends the server's wait for the rest
	}
	_ = control.SetReadDeadline(time.Time{}) // one that stays would end the request's context while the handler works
	if !utf8.Valid(body) {
		return nil, errs.InvalidField("body", "must be UTF-8")
	}
	if !wanted {
		if rest := strings.TrimSpace(string(body)); rest != "" && rest != "{}" {
			return nil, errs.InvalidField("body", "this call takes none")
		}
	}
	return body, nil
}

func bodyError(err error, limit int64) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return bodyTooLarge(limit)
	}
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		return errs.Wrap(errs.Invalid, errBodyTimeout, "body: did not arrive in time").With("field", "body")
	}
	return errs.Wrap(errs.Invalid, err, "body: ended early").With("field", "body")
}

func bodyTooLarge(limit int64) error {
	return errs.New(errs.TooLarge, "body: must be at most %d bytes", limit).With("field", "body")
}

func isJSON(contentType string) bool {
	t, params, err := mime.ParseMediaType(contentType)
	if err != nil || t != "application/json" {
		return false
	}
	charset, ok := params["charset"]
	return !ok || strings.EqualFold(charset, "utf-8")
}
