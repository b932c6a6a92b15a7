package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"

	"github.com/gochat-im/gochat/platform/errs"
)

// NewListener wraps the listener of the public server, so that what net/http
// refuses by itself, before any handler sees a request, has the one shape of
// errors too, and an operator reads that no more connections can be taken.
func NewListener(l net.Listener, log *slog.Logger) net.Listener { return refusalListener{l, log} }

type refusalListener struct {
	net.Listener
	log *slog.Logger
}

// Accept implements net.Listener. net/http waits up to a second before it tries again.
func (l refusalListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil && !errors.Is(err, net.ErrClosed) {
		l.log.Warn("accept a connection", "error", err)
	}
	if tcp, ok := c.(*net.TCPConn); ok && err == nil {
		return refusalConn{tcp}, nil
	}
	return c, err
}

// refusalConn rewrites net/http's own refusals on their way out. A socket that
// was upgraded is taken out of it.
type refusalConn struct{ *net.TCPConn }

func (c refusalConn) Write(p []byte) (int, error) {
	status, text, ok := ownRefusal(p)
	if !ok {
		return c.TCPConn.Write(p)
	}
	if _, err := c.TCPConn.Write(refusalOf(status, text)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// What tells net/http's refusals from an answer of ours, in net/http's
// conn.serve (one write, these headers and no others) and sendExpectationFailed.
var (
	statusLinePrefix  = []byte("HTTP/1.1 ")
	ownRefusalHeaders = []byte("\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")
	expectationFailed = []byte("HTTP/1.1 417 ")
)

const maxOwnRefusal = 512

func ownRefusal(p []byte) (status int, text string, ok bool) {
	if len(p) > maxOwnRefusal || !bytes.HasPrefix(p, statusLinePrefix) {
		return 0, "", false
	}
	line, rest, _ := bytes.Cut(p, ownRefusalHeaders[:2])
	if !bytes.HasPrefix(p[len(line):], ownRefusalHeaders) && !bytes.HasPrefix(p, expectationFailed) {
		return 0, "", false
	}
	code, phrase, _ := bytes.Cut(line[len(statusLinePrefix):], []byte(" "))
	status, err := strconv.Atoi(string(code))
	if err != nil || len(rest) == 0 {
		return 0, "", false
	}
	if _, reason, found := bytes.Cut(phrase, []byte(": ")); found {
		return status, string(reason), true
	}
	switch status {
	case http.StatusRequestHeaderFieldsTooLarge:
		return status, "the request's header is too large", true
	case http.StatusNotImplemented:
		return status, "unsupported transfer encoding", true
	case http.StatusExpectationFailed:
		return status, "the expectation cannot be met", true
	}
	return status, "malformed request", true
}

func refusalOf(status int, text string) []byte {
	code := errs.Invalid
	if status == http.StatusRequestHeaderFieldsTooLarge {
		code = errs.TooLarge
	}
	e := newHTTPError(context.Background(), errs.New(code, "%s", text))
	e.RequestID = newRequestID()
	body, err := json.Marshal(e)
	if err != nil {
		panic(errors.Join(errors.New("an error that is no JSON"), err))
	}
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nCache-Control: no-store\r\nConnection: close\r\nContent-Length: %d\r\nContent-Type: application/json\r\n"+
		"X-Content-Type-Options: nosniff\r\nX-Request-Id: %s\r\n\r\n%s", status, http.StatusText(status), len(body), e.RequestID, body)
}
