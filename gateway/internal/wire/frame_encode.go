package wire

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/gochat-im/gochat/repo/repopb"
)

// Hello is the first frame that a socket gets.
type Hello struct {
	SessionID       ID    `json:"session_id"`
	UserID          ID    `json:"user_id"`
	HeartbeatMS     int64 `json:"heartbeat_ms" doc:"Send something at least this often."`
	MaxMessageBytes int   `json:"max_message_bytes" doc:"The longest content of a message."`
	FeatureLevel    int   `json:"feature_level"`
}

// Disconnect is the last frame before the server closes a socket.
type Disconnect struct {
	Code         int    `json:"code"`
	Reason       string `json:"reason"`
	Reconnect    bool   `json:"reconnect"`
	RetryAfterMS int64  `json:"retry_after_ms,omitempty"`
	WindowMS     int64  `json:"window_ms,omitempty"`
}

// SyncDone ends the answer to a sync.
type SyncDone struct {
	Cursor   string   `json:"cursor"`
	Complete bool     `json:"complete" doc:"False when conversations in too_far must be paged through history."`
	TooFar   []TooFar `json:"too_far,omitempty"`
}

// TooFar is a conversation that is too far behind for a sync.
type TooFar struct {
	ConversationID ID    `json:"conversation_id"`
	AfterSeq       int64 `json:"after_seq" doc:"What the client holds."`
	LastSeq        int64 `json:"last_seq"`
}

// AppendObject appends a frame whose data is v, for what is not on a hot path.
func AppendObject(b []byte, name, frameID string, v any) []byte {
	b = begin(b, name, frameID)
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		buf.Reset()
		buf.WriteString("{}")
	}
	return append(append(b, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...), '}')
}

// AppendEmpty appends a frame without data.
func AppendEmpty(b []byte, name, frameID string) []byte {
	b = begin(b, name, frameID)
	return append(b, "{}}"...)
}

// begin appends a frame up to its data.
func begin(b []byte, name, frameID string) []byte {
	b = append(b, `{"type":"`...)
	b = append(b, name...)
	b = append(b, '"')
	if frameID != "" {
		b = append(b, `,"id":`...)
		b = AppendString(b, frameID)
	}
	return append(b, `,"data":`...)
}

// AppendEntry appends the frame of an entry of a log: message or event.
func AppendEntry(b []byte, e *repopb.Event) []byte {
	if e.GetKind() != repopb.EventKind_EVENT_KIND_MESSAGE {
		return AppendObject(b, "event", "", EventOf(e))
	}
	b = begin(b, "message", "")
	b = AppendMessage(b, e)
	return append(b, '}')
}

// AppendMessage appends what encoding/json makes of MessageOf(e), without its cost.
func AppendMessage(b []byte, e *repopb.Event) []byte {
	b = append(b, `{"kind":"message","id":"`...)
	b = AppendMessageID(b, e.GetConversationId(), e.GetSeq())
	b = append(b, `","conversation_id":"`...)
	b = strconv.AppendInt(b, e.GetConversationId(), 10)
	b = append(b, `","seq":`...)
	b = strconv.AppendInt(b, e.GetSeq(), 10)
	b = append(b, `,"from_user_id":"`...)
	b = strconv.AppendInt(b, e.GetUserId(), 10)
	if e.GetPeerId() != 0 {
		b = append(b, `","to_user_id":"`...)
		b = strconv.AppendInt(b, e.GetPeerId(), 10)
	}
	b = append(b, `","content":`...)
	b = AppendString(b, e.GetContent())
	b = append(b, `,"message_type":`...)
	b = AppendString(b, e.GetMessageType())
	if e.GetClientMsgId() != "" {
		b = append(b, `,"client_msg_id":`...)
		b = AppendString(b, e.GetClientMsgId())
	}
	b = append(b, `,"status":"`...)
	b = append(b, MessageStatus(e.GetStatus())...)
	b = append(b, `","created_at":"`...)
	b = AppendTime(b, e.GetCreatedAt())
	if e.GetUpdatedAt() != 0 {
		b = append(b, `","updated_at":"`...)
		b = AppendTime(b, e.GetUpdatedAt())
	}
	return append(b, `"}`...)
}

// AppendAck appends the answer to a message that is stored.
func AppendAck(b []byte, frameID, clientMsgID string, e *repopb.Event, duplicate bool) []byte {
	b = append(begin(b, "ack", frameID), '{')
	if clientMsgID != "" {
		b = append(b, `"client_msg_id":`...)
		b = AppendString(b, clientMsgID)
		b = append(b, ',')
	}
	b = append(b, `"conversation_id":"`...)
	b = strconv.AppendInt(b, e.GetConversationId(), 10)
	b = append(b, `","message_id":"`...)
	b = AppendMessageID(b, e.GetConversationId(), e.GetSeq())
	b = append(b, `","seq":`...)
	b = strconv.AppendInt(b, e.GetSeq(), 10)
	b = append(b, `,"created_at":"`...)
	b = AppendTime(b, e.GetCreatedAt())
	b = append(b, '"')
	if duplicate {
		b = append(b, `,"duplicate":true`...)
	}
	return append(b, "}}"...)
}

// AppendError appends an error that answers a frame.
func AppendError(b []byte, frameID, clientMsgID string, code int32, message string, details map[string]string) []byte {
	b = append(begin(b, "error", frameID), `{"code":`...)
	b = strconv.AppendInt(b, int64(code), 10)
	b = append(b, `,"message":`...)
	b = AppendString(b, message)
	if len(details) > 0 {
		keys := make([]string, 0, len(details))
		for k := range details {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for i, k := range keys {
			if i == 0 {
				b = append(b, `,"details":{`...)
			} else {
				b = append(b, ',')
			}
			b = append(AppendString(b, k), ':')
			b = AppendString(b, details[k])
		}
		b = append(b, '}')
	}
	if clientMsgID != "" {
		b = append(b, `,"client_msg_id":`...)
		b = AppendString(b, clientMsgID)
	}
	return append(b, "}}"...)
}

// AppendPointer appends how far a user is in a conversation: a read or delivered frame.
func AppendPointer(b []byte, name string, conversationID, userID, seq int64) []byte {
	b = append(begin(b, name, ""), `{"conversation_id":"`...)
	b = strconv.AppendInt(b, conversationID, 10)
	b = append(b, `","user_id":"`...)
	b = strconv.AppendInt(b, userID, 10)
	b = append(b, `","seq":`...)
	b = strconv.AppendInt(b, seq, 10)
	return append(b, "}}"...)
}

// AppendTyping appends that a user is typing.
func AppendTyping(b []byte, conversationID, userID int64) []byte {
	b = append(begin(b, "typing", ""), `{"conversation_id":"`...)
	b = strconv.AppendInt(b, conversationID, 10)
	b = append(b, `","user_id":"`...)
	b = strconv.AppendInt(b, userID, 10)
	return append(b, `"}}`...)
}

// AppendBehind appends that a conversation stands at seq, in place of the
// events that a slow client was spared.
func AppendBehind(b []byte, conversationID, seq int64) []byte {
	b = append(begin(b, "event", ""), `{"kind":"behind","conversation_id":"`...)
	b = strconv.AppendInt(b, conversationID, 10)
	b = append(b, `","seq":`...)
	b = strconv.AppendInt(b, seq, 10)
	return append(b, "}}"...)
}

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string that is valid whatever s holds:
// bytes that are no UTF-8 become U+FFFD, and U+2028 and U+2029 are escaped.
func AppendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= 0x20 && c != '"' && c != '\\' {
				i++
				continue
			}
			b = append(b, s[start:i]...)
			b = appendEscape(b, c)
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(append(b, s[start:i]...), `\ufffd`...)
			start = i + size
		case r == '\u2028' || r == '\u2029':
			b = append(append(b, s[start:i]...), `\u202`...)
			b = append(b, hexDigits[r&0xf])
			start = i + size
		}
		i += size
	}
	return append(append(b, s[start:]...), '"')
}

func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, `\b`...)
	case '\f':
		return append(b, `\f`...)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	}
	return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
}

func validText(s string) bool { return utf8.ValidString(s) }
