package gochat

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Conversation is a conversation as one sees it.
type Conversation struct {
	ID          string     `json:"id"`
	Type        string     `json:"type"` // single or group
	Name        string     `json:"name"`
	Avatar      string     `json:"avatar"`
	PeerUserID  string     `json:"peer_user_id,omitempty"` // one-to-one only
	MyRole      string     `json:"my_role,omitempty"`      // group only
	LastMessage *Entry     `json:"last_message"`
	LastSeq     int64      `json:"last_seq"`
	ReadSeq     int64      `json:"read_seq"`
	Unread      int64      `json:"unread"`
	Muted       bool       `json:"muted"`
	Pinned      bool       `json:"pinned"`
	UpdatedAt   time.Time  `json:"updated_at"`
	DissolvedAt *time.Time `json:"dissolved_at,omitempty"` // of a dissolved group: it can only be read
}

// ConversationPage is a page of conversations; NextCursor is empty at the end.
type ConversationPage struct {
	Conversations []Conversation `json:"conversations"`
	NextCursor    string         `json:"next_cursor"`
}

// ConversationChange changes what is set: one's own settings, and the name and
// avatar of a group where one may.
type ConversationChange struct {
	Muted  *bool   `json:"muted,omitempty"`
	Pinned *bool   `json:"pinned,omitempty"`
	Name   *string `json:"name,omitempty"`
	Avatar *string `json:"avatar,omitempty"`
}

// Conversations lists one's conversations, newest activity first.
func (c *Client) Conversations(ctx context.Context, page Page) (ConversationPage, error) {
	var answer ConversationPage
	err := c.call(ctx, http.MethodGet,
		query("/api/v1/conversations", "limit", page.limit(), "cursor", page.Cursor), nil, &answer)
	return answer, err
}

// CreateSingle returns the one-to-one conversation with a user, created when
// there was none.
func (c *Client) CreateSingle(ctx context.Context, peerUserID string) (Conversation, error) {
	return c.conversation(ctx, http.MethodPost, "/api/v1/conversations/create",
		map[string]string{"type": "single", "peer_user_id": peerUserID})
}

// Conversation returns one of one's conversations.
func (c *Client) Conversation(ctx context.Context, id string) (Conversation, error) {
	return c.conversation(ctx, http.MethodGet, "/api/v1/conversations/"+url.PathEscape(id), nil)
}

// UpdateConversation changes a conversation and returns it.
func (c *Client) UpdateConversation(ctx context.Context, id string, change ConversationChange) (Conversation, error) {
	return c.conversation(ctx, http.MethodPut, "/api/v1/conversations/"+url.PathEscape(id), change)
}

func (c *Client) conversation(ctx context.Context, method, path string, in any) (Conversation, error) {
	var answer struct {
		Conversation Conversation `json:"conversation"`
	}
	err := c.call(ctx, method, path, in, &answer)
	return answer.Conversation, err
}
