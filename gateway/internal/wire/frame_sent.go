package wire

import "bytes"

// SentType is the type of a frame of the server.
type SentType uint8

// SentTypes is how many there are.
const SentTypes = SentType(len(sentNames))

var sentNames = [...]string{
	"control", "message", "event", "ack", "error", "read", "delivered", "typing", "hello", "sync", "ping", "pong", "ok", "disconnect",
}

func (t SentType) String() string { return sentNames[t] }

// SentTypeOf returns the type of a frame that Seal returned; "control" for what is no text frame.
func SentTypeOf(frame []byte) SentType {
	const finText, prefix = 0x81, `{"type":"`
	header := 2
	switch {
	case len(frame) < 2 || frame[0] != finText:
		return 0
	case frame[1] == 126:
		header = 4
	case frame[1] == 127:
		header = 10
	}
	name, ok := bytes.CutPrefix(frame[header:], []byte(prefix))
	if !ok {
		return 0
	}
	name, _, _ = bytes.Cut(name, []byte{'"'})
	for t, known := range sentNames {
		if string(name) == known {
			return SentType(t) //nolint:gosec // below SentTypes
		}
	}
	return 0
}
