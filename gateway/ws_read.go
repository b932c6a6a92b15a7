package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/gochat-im/gochat/gateway/internal/wire"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/limit"
)

// Refusals of the frame rate within a minute after which the socket is closed with 4200.
const maxRefused = 1000

var readPool = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// read is the goroutine of a connection, from the upgrade to its end. A panic
// ends this connection and no other.
func (s *Server) read(c *conn, ws *websocket.Conn) {
	defer s.readers.Done()
	defer func() { _ = ws.CloseNow() }()
	defer s.known(c)
	defer s.hub.remove(c)
	defer func() {
		if v := recover(); v != nil {
			s.panicked(v)
			c.end(closing{code: codeServerError, reason: "internal error", purge: true})
		}
	}()
	for {
		kind, r, err := ws.Reader(context.Background())
		if err == nil {
			err = s.frame(c, ws, kind, r)
		}
		if err != nil {
			c.readEnded(err)
			return
		}
	}
}

func (s *Server) panicked(v any) {
	s.log.Error("panic in a socket", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
}

// readEnded closes a connection from which no more frames can be read.
func (c *conn) readEnded(err error) {
	var ce websocket.CloseError
	switch {
	case errors.As(err, &ce):
		code := int(ce.Code)
		if ce.Code == websocket.StatusNoStatusRcvd {
			code = codeNormal
		}
		c.answerClose(code)
		return
	case c.readFailed:
		c.abort()
		return
	case errors.Is(err, websocket.ErrMessageTooBig):
		c.end(closing{code: codeProtocol, reason: "frame too large", purge: true})
	default:
		c.end(closing{code: codeProtocol, reason: "protocol error", purge: true})
	}
}

// end closes a connection whose frames nobody reads any more. What is still on
// its way in is thrown away, so that the client gets to see the reason instead
// of a reset; the wheel ends it.
func (c *conn) end(how closing) {
	c.close(how)
	_, _ = io.Copy(io.Discard, c.nc)
	c.abort()
}

// frame reads one frame and does what it asks. The error is that of the connection.
func (s *Server) frame(c *conn, ws *websocket.Conn, kind websocket.MessageType, r io.Reader) error {
	buf := readPool.Get().(*[]byte)
	defer func() {
		if cap(*buf) <= 64<<10 {
			readPool.Put(buf)
		}
	}()
	b, err := readAll(r, (*buf)[:0])
	*buf = b
	if err != nil {
		return err
	}
	if ok, after := c.allowFrame(time.Now()); !ok {
		s.hub.metrics.limited.Inc()
		s.refuse(c, &wire.Frame{}, errs.New(errs.RateLimited, "too many frames").RetryAfter(after))
		if c.strike(&c.refused, maxRefused) {
			c.close(closing{code: codeRateLimited, reason: "too many frames", purge: true})
		}
		return nil
	}
	var f wire.Frame
	if kind == websocket.MessageText {
		err = wire.Decode(b, &f, s.cfg.MaxMessageBytes)
	} else {
		err = errs.New(errs.Invalid, "frames are text")
	}
	s.hub.metrics.frames[f.Type].Inc()
	if err != nil {
		s.malformed(c, &f, err)
		return nil
	}
	s.do(c, ws, &f)
	return nil
}

// malformed answers what was not understood, and closes who does not stop.
func (s *Server) malformed(c *conn, f *wire.Frame, err error) {
	s.hub.metrics.malformed.Inc()
	s.refuse(c, f, err)
	if c.strike(&c.malformed, int32(s.cfg.WebSocket.MaxMalformed)) { //nolint:gosec // validated
		c.close(closing{code: codeTooManyMalformed, reason: "too many errors"})
	}
}

// refuse answers a frame with an error.
func (s *Server) refuse(c *conn, f *wire.Frame, err error) {
	e := errs.From(err)
	if e.Code == errs.Internal {
		s.log.Error("Handle a frame", "type", f.Type.String(), "error", err)
	}
	s.hub.send(c, controlFrame(wire.AppendError(wire.NewText(256), f.ID, f.ClientMsgID, int32(e.Code), e.Message, e.Details)))
}

// confirm answers a frame that has no answer of its own, if it asked for one by an id.
func (s *Server) confirm(c *conn, f *wire.Frame) {
	if f.ID != "" {
		s.hub.send(c, controlFrame(wire.AppendEmpty(wire.NewText(64), "ok", f.ID)))
	}
}

func readAll(r io.Reader, b []byte) ([]byte, error) {
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}

func (c *conn) allowFrame(now time.Time) (bool, time.Duration) {
	l := &c.hub.cfg.Limits
	return c.frames.Allow(limit.Config{Rate: l.FrameRate, Burst: l.FrameBurst}, now)
}

// strike counts something bad and reports whether it was the last one that this minute bears.
func (c *conn) strike(count *int32, limit int32) bool {
	if minute := time.Now().Unix() / 60; minute != c.minute {
		c.minute, c.malformed, c.refused = minute, 0, 0
	}
	*count++
	return *count >= limit
}
