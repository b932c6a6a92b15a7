package gochat

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/coder/websocket"
)

// Close codes with a meaning of their own; the range carries the verdict of all
// others: 40xx reconnect, 41xx reconnect after an action, 42xx wait first, 45xx
// do not come back.
const (
	CloseDrain        = 4001
	CloseSlowConsumer = 4003
	CloseTokenExpired = 4100
	CloseStateInvalid = 4101
	CloseLoggedOut    = 4503
)

// DisconnectError is why the server ended a connection. [Session.Err] returns
// one when the session may not come back by itself.
type DisconnectError struct {
	Code       int // WebSocket close code
	Reason     string
	RetryAfter time.Duration // come back no earlier
	Window     time.Duration // and spread over this time
}

func (e *DisconnectError) Error() string {
	return fmt.Sprintf("gochat: disconnected: %s (close code %d)", e.Reason, e.Code)
}

// terminal reports whether the session may not reconnect by itself.
func (e *DisconnectError) terminal() bool { return e.Code >= 4500 && e.Code < 4600 }

// delay returns how long to stay away at least.
func (e *DisconnectError) delay() time.Duration {
	d := e.RetryAfter
	if e.Window > 0 {
		d += rand.N(e.Window)
	}
	return d
}

// disconnectFrame is the last frame before a close.
type disconnectFrame struct {
	Code         int    `json:"code"`
	Reason       string `json:"reason"`
	RetryAfterMS int64  `json:"retry_after_ms"`
	WindowMS     int64  `json:"window_ms"`
}

func decodeDisconnect(data json.RawMessage) *DisconnectError {
	var f disconnectFrame
	if err := json.Unmarshal(data, &f); err != nil {
		return nil //nolint:nilerr // without a verdict that can be read, the close code decides
	}
	return &DisconnectError{
		Code: f.Code, Reason: f.Reason,
		RetryAfter: time.Duration(max(f.RetryAfterMS, 0)) * time.Millisecond,
		Window:     min(time.Duration(max(f.WindowMS, 0))*time.Millisecond, maxDelay),
	}
}

// disconnectOf returns what a read error says of the server's verdict: that of
// the disconnect frame, if there was one, or of the close code. Nil when the
// connection just broke.
func disconnectOf(err error, last *DisconnectError) *DisconnectError {
	closed, ok := errors.AsType[websocket.CloseError](err)
	if !ok {
		return last
	}
	if last != nil && last.Code == int(closed.Code) {
		return last
	}
	return &DisconnectError{Code: int(closed.Code), Reason: closed.Reason}
}
