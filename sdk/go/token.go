package gochat

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Tokens are what a login gives: keep them as the secrets they are.
type Tokens struct {
	Access  string    `json:"access_token"`
	Refresh string    `json:"refresh_token"` // empty: the session ends with the access token
	Expiry  time.Time `json:"expiry"`        // of the access token; zero when not known
}

// ErrNotLoggedIn is the answer to a call of a client without tokens.
var ErrNotLoggedIn = errors.New("gochat: not logged in")

// expiryMargin is how long before its end an access token is exchanged.
const expiryMargin = 10 * time.Second

// refreshTimeout bounds a refresh, which outlives the call that started it: its
// answer holds the only refresh token that is still valid.
const refreshTimeout = 30 * time.Second

// refreshCall is one exchange of the refresh token, shared by all who need it.
type refreshCall struct {
	done chan struct{} // closed once err is set
	err  error
}

// Tokens returns the tokens as they are now.
func (c *Client) Tokens() Tokens {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tokens
}

func (c *Client) setTokens(t Tokens) {
	c.mu.Lock()
	c.tokens = t
	c.mu.Unlock()
	if c.onTokens != nil {
		c.onTokens(t)
	}
}

func (c *Client) canRefresh() bool { return c.Tokens().Refresh != "" }

// accessToken returns a token that has not expired as far as the client knows.
func (c *Client) accessToken(ctx context.Context) (string, error) {
	t := c.Tokens()
	if t.Access == "" && t.Refresh == "" {
		return "", ErrNotLoggedIn
	}
	expired := t.Access == "" || !t.Expiry.IsZero() && time.Until(t.Expiry) < expiryMargin
	if expired && t.Refresh != "" {
		return c.refreshed(ctx, t.Access)
	}
	return t.Access, nil
}

// refreshed returns an access token that is newer than stale. However many
// calls want one at once, one exchange is made.
func (c *Client) refreshed(ctx context.Context, stale string) (string, error) {
	c.mu.Lock()
	if c.tokens.Access != stale {
		defer c.mu.Unlock()
		return c.tokens.Access, nil
	}
	call := c.refresh
	if call == nil {
		call = &refreshCall{done: make(chan struct{})}
		c.refresh = call
		go c.exchange(context.WithoutCancel(ctx), call, c.tokens.Refresh)
	}
	c.mu.Unlock()
	select {
	case <-call.done:
		return c.Tokens().Access, call.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// exchange makes the refresh call and wakes those who wait for it.
func (c *Client) exchange(ctx context.Context, call *refreshCall, refreshToken string) {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	var answer LoginResult
	call.err = c.callWith(ctx, "", http.MethodPost, "/api/v1/auth/refresh",
		map[string]string{"refresh_token": refreshToken}, &answer)
	if call.err == nil {
		c.setTokens(answer.tokens(time.Now()))
	}
	c.mu.Lock()
	c.refresh = nil
	c.mu.Unlock()
	close(call.done)
}
