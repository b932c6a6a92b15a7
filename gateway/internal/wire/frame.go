package wire

import "encoding/binary"

// Type is what a client's frame asks for.
type Type uint8

// The frames that a client sends.
const (
	TypeUnknown Type = iota
	TypeMessage
	TypeRead
	TypeOpen
	TypeClose
	TypeTyping
	TypeSync
	TypePing
	TypePong
	TypeAuth
	typeCount
)

var typeNames = [typeCount]string{"unknown", "message", "read", "open", "close", "typing", "sync", "ping", "pong", "auth"}

// Types is the number of frame types, TypeUnknown included.
const Types = int(typeCount)

// String returns the type's name on the wire.
func (t Type) String() string {
	if t < typeCount {
		return typeNames[t]
	}
	return typeNames[TypeUnknown]
}

func typeOf(name []byte) Type {
	for t := TypeMessage; t < typeCount; t++ {
		if string(name) == typeNames[t] {
			return t
		}
	}
	return TypeUnknown
}

// Frame is a client's frame, decoded. Which fields are set depends on its type.
type Frame struct {
	Type           Type
	ID             string // the client's own, echoed in the answer
	ConversationID int64
	Seq            int64
	Content        string
	MessageType    string
	ClientMsgID    string
	Token          string
	Cursor         string
	HasCursor      bool
	Conversations  map[int64]int64 // sync: the last seq that the client holds
}

// headerRoom is the longest header of an unmasked WebSocket frame of ours.
const headerRoom = 10

// NewText returns an empty buffer for a text frame's payload: append to it, then call Seal.
func NewText(size int) []byte { return make([]byte, headerRoom, headerRoom+size) }

// Seal puts the WebSocket header before the payload that was appended to a
// buffer of NewText, and returns the frame as it goes on the wire. Server frames
// are unmasked, so that the same bytes go to every recipient.
func Seal(b []byte) []byte {
	const finText = 0x81
	n := len(b) - headerRoom
	switch {
	case n < 126:
		b[8], b[9] = finText, byte(n)
		return b[8:]
	case n < 1<<16:
		b[6], b[7] = finText, 126
		binary.BigEndian.PutUint16(b[8:], uint16(n)) //nolint:gosec // below 1<<16
		return b[6:]
	default:
		b[0], b[1] = finText, 127
		binary.BigEndian.PutUint64(b[2:], uint64(n)) //nolint:gosec // a length
		return b
	}
}

// CloseFrame returns a close frame; reason is cut to what a control frame holds.
func CloseFrame(code int, reason string) []byte {
	const finClose, maxReason = 0x88, 123
	if len(reason) > maxReason {
		reason = reason[:maxReason]
	}
	b := make([]byte, 4, 4+len(reason))
	b[0], b[1] = finClose, byte(2+len(reason))
	binary.BigEndian.PutUint16(b[2:], uint16(code)) //nolint:gosec // a close code
	return append(b, reason...)
}
