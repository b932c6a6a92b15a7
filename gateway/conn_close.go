package gateway

import (
	"math/rand/v2"
	"time"

	"github.com/gochat-im/gochat/gateway/internal/wire"
)

// Close codes of the client contract. Their range is the verdict: 40xx reconnect
// and resume, 41xx after an action, 42xx not before retry_after_ms, 45xx do not.
const (
	codeNormal           = 1000
	codeServerError      = 4000
	codeDrain            = 4001
	codeSlowConsumer     = 4003
	codePingTimeout      = 4004
	codeGap              = 4006
	codeTokenExpired     = 4100
	codeStateInvalid     = 4101
	codeRateLimited      = 4200
	codeOverloaded       = 4201
	codeInvalidToken     = 4500
	codeProtocol         = 4501
	codeAuthTimeout      = 4502
	codeLoggedOut        = 4503
	codeTooManySockets   = 4505
	codeBanned           = 4506
	codeTooManyMalformed = 4508
)

const firstTerminal = 4500

// closing says how a socket is closed.
type closing struct {
	code   int
	reason string
	window time.Duration // of a drain
	purge  bool          // drop what is queued
}

// close tells the client why and starts the closing handshake. When it returns
// the socket takes no frames any more, and with purge gets none of the queued
// ones. It reports false when the socket was closing already.
func (c *conn) close(how closing) bool {
	c.mu.Lock()
	first := !c.closing
	flush := c.closeLocked(how)
	c.mu.Unlock()
	if flush {
		c.hub.flusher.push(c)
	}
	return first
}

// closeLocked is close without the flush, which the caller owes when it returns true.
func (c *conn) closeLocked(how closing) bool {
	if c.closing {
		return false
	}
	if how.purge {
		c.dropQueue()
		c.behind = nil
	}
	d := wire.Disconnect{Code: how.code, Reason: how.reason, Reconnect: how.code < firstTerminal, WindowMS: how.window.Milliseconds()}
	if how.code/100 == codeRateLimited/100 {
		d.RetryAfterMS = 5000 + rand.Int64N(5000) //nolint:gosec // spreads reconnects, no secret
	}
	c.append(controlFrame(wire.AppendObject(wire.NewText(256), "disconnect", "", d)))
	c.append(&outFrame{wire: wire.CloseFrame(how.code, how.reason)})
	c.beginClosing(how.code)
	return c.schedule()
}

// answerClose answers the client's close frame.
func (c *conn) answerClose(code int) {
	c.mu.Lock()
	flush := false
	if !c.closing {
		c.dropQueue()
		c.behind = nil
		c.append(&outFrame{wire: wire.CloseFrame(code, "")})
		c.beginClosing(codeNormal)
		flush = c.schedule()
	}
	c.closeDrain = true
	idle := c.queue.len() == 0 && !c.scheduled
	c.mu.Unlock()
	switch {
	case flush:
		c.hub.flusher.push(c)
	case idle:
		c.abort()
	}
}

func (c *conn) beginClosing(code int) {
	c.closing = true
	c.closeCode = int32(code) //nolint:gosec // a close code
	c.closeAt = c.hub.clock.now() + closeTimeout.Milliseconds()
	c.hub.wheel.schedule(c, c.closeAt)
	c.seen = nil
	if c.sync != nil {
		c.sync.wake()
	}
}

// abort closes the socket at once.
func (c *conn) abort() {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed, c.closing = true, true
	c.dropQueue()
	c.behind = nil
	if c.sync != nil {
		c.sync.wake()
	}
	code := int(c.closeCode)
	c.mu.Unlock()
	_ = c.nc.Close()
	c.hub.wheel.remove(c)
	c.hub.metrics.closed(code)
}

// reset is abort of a client that has not taken the closing handshake in time.
// What lies in the system's send buffer, up to megabytes for a client that reads
// slowly, would go on reaching it otherwise, after a logout or a kick too.
func (c *conn) reset() {
	if tcp, ok := c.nc.(interface{ SetLinger(seconds int) error }); ok {
		_ = tcp.SetLinger(0) // fails when the connection is gone already
	}
	c.abort()
}

// abortCode is abort with the code that the metrics show.
func (c *conn) abortCode(code int) {
	c.mu.Lock()
	if c.closeCode == 0 {
		c.closeCode = int32(code) //nolint:gosec // a close code
	}
	c.mu.Unlock()
	c.abort()
}
