package gateway

import (
	"context"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/errs"
)

const bearerScheme = "bearer"

// Caller is who a call speaks for. Inputs of calls that need a token embed it;
// nothing of it can come from the request but by way of the token.
type Caller struct {
	userID    int64
	sessionID int64
}

type callerKey struct{}

// Resolve takes the caller that authenticate has found.
func (c *Caller) Resolve(ctx huma.Context) []error {
	found, ok := ctx.Context().Value(callerKey{}).(Caller)
	if !ok {
		panic("a call that takes a caller is served without authentication")
	}
	*c = found
	return nil
}

// Client is where a request comes from. Inputs of open calls embed it.
type Client struct{ address string }

type clientKey struct{}

// Resolve takes the address that the server has found.
func (c *Client) Resolve(ctx huma.Context) []error {
	c.address, _ = ctx.Context().Value(clientKey{}).(string)
	return nil
}

// authenticate finds the caller by the token of the Authorization header, the
// only place where HTTP takes one, and applies the caller's own rate.
func (s *Server) authenticate(ctx huma.Context, next func(huma.Context)) {
	caller, err := s.caller(ctx.Context(), ctx.Header("Authorization"))
	if err != nil {
		s.logError(ctx.Context(), err)
		_, w := humachi.Unwrap(ctx)
		newHTTPError(ctx.Context(), err).write(w)
		return
	}
	next(huma.WithValue(ctx, callerKey{}, caller))
}

func (s *Server) caller(ctx context.Context, authorization string) (Caller, error) {
	scheme, token, _ := strings.Cut(authorization, " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "bearer") || token == "" {
		return Caller{}, errs.New(errs.Unauthorized, "an access token is needed").With("reason", "missing")
	}
	identity, err := s.logic.ValidateToken(ctx, &logicpb.ValidateTokenRequest{Token: strings.ToValidUTF8(token, "?")})
	if err != nil {
		return Caller{}, err
	}
	if err := s.http.limits.allowUser(ctx, s.http.limits.calls, identity.GetUserId()); err != nil {
		return Caller{}, err
	}
	return Caller{userID: identity.GetUserId(), sessionID: identity.GetSessionId()}, nil
}
