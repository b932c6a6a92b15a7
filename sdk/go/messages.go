package gochat

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"strconv"
)

// Outgoing is a message to send.
type Outgoing struct {
	ConversationID string `json:"conversation_id"`
	Content        string `json:"content"`
	MessageType    string `json:"message_type"` // text when empty
	// ClientMsgID names this message for good, at most 64 bytes: sending it
	// again under the same id returns the first result instead of a second
	// message. Made up when empty.
	ClientMsgID string `json:"client_msg_id"`
}

func (o Outgoing) complete() Outgoing {
	if o.MessageType == "" {
		o.MessageType = "text"
	}
	if o.ClientMsgID == "" {
		o.ClientMsgID = rand.Text()
	}
	return o
}

// SendMessage sends over HTTP and returns the message once it is stored. After an error
// whose outcome is unknown, send it again under the same ClientMsgID.
func (c *Client) SendMessage(ctx context.Context, message Outgoing) (Entry, error) {
	var answer struct {
		Message Entry `json:"message"`
	}
	err := c.call(ctx, http.MethodPost, "/api/v1/messages/send", message.complete(), &answer)
	return answer.Message, err
}

// HistoryQuery asks for a page of a conversation: before a seq, after one, or
// the newest when neither is set.
type HistoryQuery struct {
	ConversationID string
	BeforeSeq      int64  // exclusive
	AfterSeq       *int64 // exclusive
	Limit          int
	// All asks for the log itself, events included, whose seqs have no holes.
	All bool
}

// HistoryPage is a part of a conversation, ascending by seq.
type HistoryPage struct {
	Messages []Entry `json:"messages"`
	HasMore  bool    `json:"has_more"` // in the direction of the query
}

// History returns a page of a conversation, each message as it stands now.
func (c *Client) History(ctx context.Context, q HistoryQuery) (HistoryPage, error) {
	var before, after, limit, include string
	if q.BeforeSeq > 0 {
		before = strconv.FormatInt(q.BeforeSeq, 10)
	}
	if q.AfterSeq != nil {
		after = strconv.FormatInt(*q.AfterSeq, 10)
	}
	if q.Limit > 0 {
		limit = strconv.Itoa(q.Limit)
	}
	if q.All {
		include = "all"
	}
	var answer HistoryPage
	path := query("/api/v1/messages/history", "conversation_id", q.ConversationID,
		"before_seq", before, "after_seq", after, "limit", limit, "include", include)
	err := c.call(ctx, http.MethodGet, path, nil, &answer)
	return answer, err
}

// Unread is what one has not read, in total and by conversation.
type Unread struct {
	Total         int64                `json:"total"`
	Conversations []UnreadConversation `json:"conversations"` // only those with unread > 0
}

// UnreadConversation counts one conversation.
type UnreadConversation struct {
	ConversationID string `json:"conversation_id"`
	Unread         int64  `json:"unread"`
	LastSeq        int64  `json:"last_seq"`
	ReadSeq        int64  `json:"read_seq"`
}

// Unread counts what one has not read.
func (c *Client) Unread(ctx context.Context) (Unread, error) {
	var answer Unread
	err := c.call(ctx, http.MethodGet, "/api/v1/messages/unread", nil, &answer)
	return answer, err
}

// MarkRead says that everything up to seq is read. It never moves back.
func (c *Client) MarkRead(ctx context.Context, conversationID string, seq int64) error {
	return c.call(ctx, http.MethodPost, "/api/v1/messages/read",
		map[string]any{"conversation_id": conversationID, "seq": seq}, nil)
}

// EditMessage replaces the content of one's own message.
func (c *Client) EditMessage(ctx context.Context, messageID, content string) error {
	return c.call(ctx, http.MethodPut, messagePath(messageID), map[string]string{"content": content}, nil)
}

// RecallMessage takes a message back for everyone.
func (c *Client) RecallMessage(ctx context.Context, messageID string) error {
	return c.call(ctx, http.MethodDelete, messagePath(messageID), nil, nil)
}

// HideMessage hides a message for oneself only.
func (c *Client) HideMessage(ctx context.Context, messageID string) error {
	return c.call(ctx, http.MethodDelete, messagePath(messageID)+"?scope=self", nil, nil)
}

func messagePath(id string) string { return "/api/v1/messages/" + url.PathEscape(id) }
