package gateway

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/gochat-im/gochat/platform/errs"
)

// httpSide is what the HTTP half of the server holds.
type httpSide struct {
	addresses   addresses
	proxyWarned atomic.Bool
	limits      *httpLimits
	metrics     *httpMetrics
	ready       atomic.Pointer[func(context.Context) error]
	document    *huma.OpenAPI
	routes      chi.Routes
}

// mountHTTP serves everything but the WebSocket under r.
func (s *Server) mountHTTP(r chi.Router) {
	s.http.addresses = newAddresses(s.cfg.HTTP.TrustedProxies)
	s.http.limits = newHTTPLimits(s.cfg.Limits)
	s.http.metrics = newHTTPMetrics(s.reg)

	mux := chi.NewRouter()
	mux.Use(s.observe, protect, s.crossOrigin, s.bound, middleware.GetHead)
	mux.NotFound(routeNotFound)
	mux.MethodNotAllowed(methodNotAllowed(r))

	api := humachi.New(mux, apiConfig())
	s.registerAccounts(api)
	s.registerUsers(api)
	s.registerMessages(api)
	s.registerConversations(api)
	s.registerGroups(api)
	s.registerMembers(api)
	s.registerHealth(api)
	s.http.document = api.OpenAPI()
	s.mountDocs(mux, api.OpenAPI())

	s.http.routes = mux
	r.Mount("/", mux)
	r.MethodNotAllowed(protect(methodNotAllowed(r)).ServeHTTP)     // of the WebSocket's path
	r.NotFound(protect(http.HandlerFunc(routeNotFound)).ServeHTTP) // of "*", the only one that does not begin with a slash
}

const apiVersion = "1.0.0"

func apiConfig() huma.Config {
	format := huma.Format{Marshal: writeJSON, Unmarshal: json.Unmarshal}
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "GoChat", Version: apiVersion,
				Description: "Accounts, one-to-one chats, groups and their history. JSON in snake_case; ids are opaque strings; times are RFC 3339 UTC with milliseconds. " +
					"Unknown fields and parameters are refused. Live events come over the WebSocket at /ws.",
				License: &huma.License{Name: "MIT", Identifier: "MIT"},
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", schemaName),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					bearerScheme: {Type: "http", Scheme: "bearer", BearerFormat: "JWT", Description: "The access token of a login."},
				},
			},
		},
		Formats:                      map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
	}
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// call is one operation of the API, before it is documented and served.
type call struct {
	id, method, path, tag string
	summary, description  string
	status                int         // of success; 0: what the output says
	also                  int         // another status of success, without a body of its own
	open                  bool        // needs no token
	errors                []errs.Code // besides those that every call of its kind may answer
}

// register serves a call and adds it to the document. Errors of handler become
// the one shape.
func register[I, O any](s *Server, api huma.API, c call, handler func(context.Context, *I) (*O, error)) {
	op := huma.Operation{
		OperationID: c.id, Method: c.method, Path: c.path, Tags: []string{c.tag}, Summary: c.summary, Description: c.description,
		DefaultStatus:   c.status,
		MaxBodyBytes:    -1, // takeBody has bounded it
		BodyReadTimeout: -1,
		Responses:       map[string]*huma.Response{},
	}
	if !c.open {
		op.Security = []map[string][]string{{bearerScheme: {}}}
		op.Middlewares = append(op.Middlewares, s.authenticate)
	}
	op.Middlewares = append(op.Middlewares, s.takeBody)
	s.documentErrors(api, &op, c)
	huma.Register(api, op, func(ctx context.Context, in *I) (*O, error) {
		ctx, cancel := context.WithTimeout(ctx, s.cfg.HTTP.RequestTimeout)
		defer cancel()
		out, err := handler(ctx, in)
		if err != nil {
			s.logError(ctx, err)
			return nil, newHTTPError(ctx, err)
		}
		return out, nil
	})
	documentSuccess(&op, c)
}

// documentErrors lists the error answers of a call.
func (s *Server) documentErrors(api huma.API, op *huma.Operation, c call) {
	codes := []errs.Code{errs.Internal, errs.Unavailable, errs.RateLimited, errs.Timeout, errs.Invalid}
	if !c.open {
		codes = append(codes, errs.Unauthorized)
	}
	codes = append(codes, c.errors...)
	if c.method == http.MethodPost || c.method == http.MethodPut {
		codes = append(codes, errs.TooLarge)
		for _, status := range []int{http.StatusRequestTimeout, http.StatusUnsupportedMediaType} {
			op.Responses[strconv.Itoa(status)] = errorResponse(api, status, errs.Invalid)
		}
	}
	for _, code := range codes {
		status := statusOf(code)
		op.Responses[strconv.Itoa(status)] = errorResponse(api, status, code)
	}
}

func errorResponse(api huma.API, status int, code errs.Code) *huma.Response {
	r := &huma.Response{
		Description: http.StatusText(status) + " (" + strconv.Itoa(int(code)) + ")",
		Content:     map[string]*huma.MediaType{"application/json": {Schema: api.OpenAPI().Components.Schemas.Schema(httpErrorType, true, "Error")}},
	}
	if code == errs.RateLimited || code == errs.Unavailable {
		r.Headers = map[string]*huma.Param{"Retry-After": {Description: "Seconds.", Schema: &huma.Schema{Type: huma.TypeInteger}}}
	}
	return r
}

func documentSuccess(op *huma.Operation, c call) {
	if c.also != 0 {
		r := &huma.Response{Description: http.StatusText(c.also)}
		if main := op.Responses[strconv.Itoa(op.DefaultStatus)]; main != nil {
			r.Content = main.Content
		}
		op.Responses[strconv.Itoa(c.also)] = r
	}
}
