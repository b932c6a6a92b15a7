package gochat

import (
	"encoding/json"
	"time"
)

// frame is what travels in one text frame of the WebSocket.
type frame struct {
	ID   string          `json:"id,omitempty"`
	Type string          `json:"type"`
	Data json.RawMessage `json:"data,omitempty"`
}

// encodeFrame never fails: its data is ours and of encodable types.
func encodeFrame(id, kind string, data any) []byte {
	encoded, err := json.Marshal(data)
	if err != nil {
		panic(err)
	}
	encoded, err = json.Marshal(frame{ID: id, Type: kind, Data: encoded})
	if err != nil {
		panic(err)
	}
	return encoded
}

// Hello is how the server greets a connection.
type Hello struct {
	SessionID       string `json:"session_id"`
	UserID          string `json:"user_id"`
	HeartbeatMS     int64  `json:"heartbeat_ms"`
	MaxMessageBytes int    `json:"max_message_bytes"`
	FeatureLevel    int    `json:"feature_level"`
}

// Ack says that a message is stored.
type Ack struct {
	ClientMsgID    string    `json:"client_msg_id"`
	ConversationID string    `json:"conversation_id"`
	MessageID      string    `json:"message_id"`
	Seq            int64     `json:"seq"`
	CreatedAt      time.Time `json:"created_at"`
	Duplicate      bool      `json:"duplicate,omitempty"` // it was stored before: this is the first result
}

type conversationFrame struct {
	ConversationID string `json:"conversation_id"`
}

type readFrame struct {
	ConversationID string `json:"conversation_id"`
	UserID         string `json:"user_id,omitempty"`
	Seq            int64  `json:"seq"`
}

type syncRequest struct {
	Conversations map[string]int64 `json:"conversations,omitempty"`
	Cursor        string           `json:"cursor,omitempty"`
}

// syncAnswer ends the events that a sync brought. Conversations that are too far
// behind are listed instead, to be paged over HTTP.
type syncAnswer struct {
	Cursor   string   `json:"cursor"`
	Complete bool     `json:"complete"`
	TooFar   []tooFar `json:"too_far"`
}

type tooFar struct {
	ConversationID string `json:"conversation_id"`
	LastSeq        int64  `json:"last_seq"`
}
