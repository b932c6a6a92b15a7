package rpc

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
)

const (
	authorizationKey = "authorization"
	scheme           = "Bearer "
)

// ErrRefused is the cause of the error of a call whose peer does not accept this process's secret. It is not
// errs.Unauthorized: that is about the user on whose behalf a call is made.
var ErrRefused = errors.New("the peer does not accept this process's secret")

// tap refuses a call that does not carry the secret before anything of its body is read, whatever its method: health,
// reflection and methods that do not exist included.
func (c *Credentials) tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	if c.cfg.Secret == "" {
		return ctx, nil // the certificate was checked in the handshake
	}
	values := info.Header.Get(authorizationKey)
	if len(values) == 1 {
		got, ok := strings.CutPrefix(values[0], scheme)
		sum := sha256.Sum256([]byte(got))
		for _, accepted := range c.accepts {
			if ok && subtle.ConstantTimeCompare(sum[:], accepted[:]) == 1 {
				return ctx, nil
			}
		}
	}
	return nil, status.Error(codes.Unauthenticated, "the secret is missing or wrong")
}

// callSecret adds the secret to every call, the library's own included.
type callSecret string

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (s callSecret) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{authorizationKey: scheme + string(s)}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (callSecret) RequireTransportSecurity() bool { return false }
