package gochat

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// User is an account. Email is set for oneself only.
type User struct {
	ID        string    `json:"id"`
	Username  string    `json:"username"`
	Nickname  string    `json:"nickname"`
	Avatar    string    `json:"avatar"`
	Email     string    `json:"email,omitempty"`
	Status    string    `json:"status"`
	CreatedAt time.Time `json:"created_at"`
}

// ProfileChange changes what is set.
type ProfileChange struct {
	Nickname *string `json:"nickname,omitempty"`
	Avatar   *string `json:"avatar,omitempty"`
	Email    *string `json:"email,omitempty"`
}

// Profile returns one's own account.
func (c *Client) Profile(ctx context.Context) (User, error) {
	return c.user(ctx, http.MethodGet, "/api/v1/users/profile", nil)
}

// UpdateProfile changes one's own account and returns it.
func (c *Client) UpdateProfile(ctx context.Context, change ProfileChange) (User, error) {
	return c.user(ctx, http.MethodPut, "/api/v1/users/profile", change)
}

// User returns someone's public profile.
func (c *Client) User(ctx context.Context, id string) (User, error) {
	return c.user(ctx, http.MethodGet, "/api/v1/users/"+url.PathEscape(id), nil)
}

func (c *Client) user(ctx context.Context, method, path string, in any) (User, error) {
	var answer struct {
		User User `json:"user"`
	}
	err := c.call(ctx, method, path, in, &answer)
	return answer.User, err
}

// UserPage is a page of users; NextCursor is empty at the end.
type UserPage struct {
	Users      []User `json:"users"`
	NextCursor string `json:"next_cursor"`
}

// SearchUsers finds users by the beginning of their username or nickname.
func (c *Client) SearchUsers(ctx context.Context, prefix string, page Page) (UserPage, error) {
	var answer UserPage
	path := query("/api/v1/users", "query", prefix, "limit", page.limit(), "cursor", page.Cursor)
	err := c.call(ctx, http.MethodGet, path, nil, &answer)
	return answer, err
}

// Page asks for a part of a list: the zero value for its beginning, at the
// server's usual size.
type Page struct {
	Limit  int
	Cursor string // the NextCursor of the page before
}

func (p Page) limit() string {
	if p.Limit == 0 {
		return ""
	}
	return strconv.Itoa(p.Limit)
}
