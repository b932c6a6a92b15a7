package gochat

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Registration is what a new account needs.
type Registration struct {
	Username   string `json:"username"`
	Password   string `json:"password"`
	Email      string `json:"email"`
	Nickname   string `json:"nickname,omitempty"`
	Invitation string `json:"invitation,omitempty"` // where the server asks for one
}

// Credentials log in. DeviceID, when set, replaces the session that the same
// device had before.
type Credentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
	DeviceID string `json:"device_id,omitempty"`
	Platform string `json:"platform,omitempty"`
}

// LoginResult is the answer to a login.
type LoginResult struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"` // seconds
	User         User   `json:"user"`
}

func (r LoginResult) tokens(now time.Time) Tokens {
	t := Tokens{Access: r.AccessToken, Refresh: r.RefreshToken}
	if r.ExpiresIn > 0 {
		t.Expiry = now.Add(time.Duration(r.ExpiresIn) * time.Second)
	}
	return t
}

// LoginSession is one of the places where the account is logged in.
type LoginSession struct {
	ID         string    `json:"id"`
	DeviceID   string    `json:"device_id"`
	Platform   string    `json:"platform"`
	CreatedAt  time.Time `json:"created_at"`
	LastSeenAt time.Time `json:"last_seen_at"`
	Current    bool      `json:"current"`
}

// Register creates an account. It does not log in.
func (c *Client) Register(ctx context.Context, r Registration) (User, error) {
	var answer struct {
		User User `json:"user"`
	}
	err := c.callWith(ctx, "", http.MethodPost, "/api/v1/users/register", r, &answer)
	return answer.User, err
}

// Login logs in and keeps the tokens for the calls that follow.
func (c *Client) Login(ctx context.Context, credentials Credentials) (User, error) {
	var answer LoginResult
	if err := c.callWith(ctx, "", http.MethodPost, "/api/v1/auth/login", credentials, &answer); err != nil {
		return User{}, err
	}
	c.setTokens(answer.tokens(time.Now()))
	return answer.User, nil
}

// Logout ends the session: its tokens and sockets are dead when it returns.
func (c *Client) Logout(ctx context.Context) error {
	if err := c.call(ctx, http.MethodPost, "/api/v1/auth/logout", nil, nil); err != nil {
		return err
	}
	c.setTokens(Tokens{})
	return nil
}

// LoginSessions lists where the account is logged in.
func (c *Client) LoginSessions(ctx context.Context) ([]LoginSession, error) {
	var answer struct {
		Sessions []LoginSession `json:"sessions"`
	}
	err := c.call(ctx, http.MethodGet, "/api/v1/auth/sessions", nil, &answer)
	return answer.Sessions, err
}

// RevokeLoginSession ends one of one's own sessions.
func (c *Client) RevokeLoginSession(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/api/v1/auth/sessions/"+url.PathEscape(id), nil, nil)
}

// RevokeOtherLoginSessions ends every session but this one.
func (c *Client) RevokeOtherLoginSessions(ctx context.Context) error {
	return c.call(ctx, http.MethodDelete, "/api/v1/auth/sessions/all", nil, nil)
}

// ChangePassword also ends every other session.
func (c *Client) ChangePassword(ctx context.Context, oldPassword, newPassword string) error {
	return c.call(ctx, http.MethodPut, "/api/v1/users/password",
		map[string]string{"old_password": oldPassword, "new_password": newPassword}, nil)
}
