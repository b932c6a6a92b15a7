package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

const (
	healthPath = "/healthz"
	readyPath  = "/readyz"
)

func (s *Server) registerHealth(api huma.API) {
	register(s, api, call{id: "live", method: http.MethodGet, path: healthPath, tag: tagServer, summary: "Is the process alive?", open: true}, s.live)
	register(s, api, call{id: "ready", method: http.MethodGet, path: readyPath, tag: tagServer, summary: "Can the server serve?", open: true}, s.isReady)
	register(s, api, call{
		id: "jwks", method: http.MethodGet, path: "/.well-known/jwks.json", tag: tagServer, summary: "The keys that verify access tokens",
		description: "May be cached.", open: true,
	}, s.keys)
}

// SetReady sets what decides whether the server is ready; without it, it always is.
func (s *Server) SetReady(ready func(ctx context.Context) error) { s.http.ready.Store(&ready) }

// StatusAnswer is "ok".
type StatusAnswer struct {
	Status string `json:"status" enum:"ok"`
}

type healthOutput struct{ Body StatusAnswer }

func (s *Server) live(context.Context, *struct{}) (*healthOutput, error) {
	return &healthOutput{StatusAnswer{"ok"}}, nil
}

func (s *Server) isReady(ctx context.Context, _ *struct{}) (*healthOutput, error) {
	if ready := s.http.ready.Load(); ready != nil {
		if err := (*ready)(ctx); err != nil {
			return nil, errs.Wrap(errs.Unavailable, err, "unavailable")
		}
	}
	return &healthOutput{StatusAnswer{"ok"}}, nil
}

// KeysAnswer is a JSON Web Key Set, RFC 7517.
type KeysAnswer struct {
	Keys []map[string]any `json:"keys"`
}

type keysOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         KeysAnswer
}

func (s *Server) keys(ctx context.Context, _ *struct{}) (*keysOutput, error) {
	r, err := s.logic.GetJWKS(ctx, &repopb.Empty{})
	if err != nil {
		return nil, err
	}
	out := &keysOutput{CacheControl: "public, max-age=300"}
	if err := json.Unmarshal(r.GetJson(), &out.Body); err != nil {
		return nil, fmt.Errorf("read the key set: %w", err)
	}
	return out, nil
}
