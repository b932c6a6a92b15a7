// Package rawws is a WebSocket client that costs next to nothing: a TCP
// connection, a frame parser over one read buffer, and writes of many frames at
// once. It is for measuring: it trusts its server, takes unfragmented frames
// only, and masks with a key of zeros.
package rawws

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// Conn is a connection. One goroutine may read while another writes.
type Conn struct {
	net  net.Conn
	buf  []byte // unread bytes are buf[r:w]
	r, w int
}

const handshakeTimeout = 30 * time.Second

// Dial opens a WebSocket at path of a host, with a bearer token unless empty,
// and a read buffer of that size (the largest frame it can take).
func Dial(ctx context.Context, host, path, token string, bufferSize int) (*Conn, error) {
	var d net.Dialer
	tcp, err := d.DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	c := &Conn{net: tcp, buf: make([]byte, bufferSize)}
	if err := c.handshake(host, path, token); err != nil {
		tcp.Close()
		return nil, err
	}
	return c, nil
}

func (c *Conn) handshake(host, path, token string) error {
	_ = c.net.SetDeadline(time.Now().Add(handshakeTimeout))
	defer func() { _ = c.net.SetDeadline(time.Time{}) }()
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", path, host)
	if token != "" {
		fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", token)
	}
	b.WriteString("\r\n")
	if _, err := c.net.Write([]byte(b.String())); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	end := -1
	for end < 0 {
		if c.w == len(c.buf) {
			return errors.New("handshake: the answer's header is too long")
		}
		n, err := c.net.Read(c.buf[c.w:])
		if err != nil {
			return fmt.Errorf("handshake: %w", err)
		}
		c.w += n
		end = bytes.Index(c.buf[:c.w], []byte("\r\n\r\n"))
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(c.buf[:end+4])), nil)
	if err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	resp.Body.Close()
	if resp.StatusCode == http.StatusTooManyRequests {
		return fmt.Errorf("handshake: %w", ErrLimited)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("handshake: refused with %s", resp.Status)
	}
	c.r = end + 4
	return nil
}

// ErrLimited is the answer to a handshake that the server's limits refused.
var ErrLimited = errors.New("refused as one too many")

// ErrClosed is the answer to a read after the server's close frame.
var ErrClosed = errors.New("closed by the server")

// Next returns the payload of the next text or binary frame, valid until the
// next call. Pings are answered.
func (c *Conn) Next() ([]byte, error) {
	for {
		opcode, payload, err := c.frame()
		if err != nil {
			return nil, err
		}
		switch opcode {
		case 1, 2:
			return payload, nil
		case 8:
			if len(payload) >= 2 {
				return nil, fmt.Errorf("%w: %d %s", ErrClosed, binary.BigEndian.Uint16(payload), payload[2:])
			}
			return nil, ErrClosed
		case 9:
			if _, err := c.net.Write(appendFrame(nil, 10, payload)); err != nil {
				return nil, err
			}
		}
	}
}

// Buffered reports whether Next has a whole frame without reading from the
// network.
func (c *Conn) Buffered() bool {
	_, size, ok := parse(c.buf[c.r:c.w])
	return ok && c.w-c.r >= size
}

func (c *Conn) frame() (opcode byte, payload []byte, err error) {
	for {
		header, size, ok := parse(c.buf[c.r:c.w])
		if ok && c.w-c.r >= size {
			frame := c.buf[c.r : c.r+size]
			c.r += size
			return frame[0] & 0x0f, frame[header:], nil
		}
		if c.r > 0 {
			copy(c.buf, c.buf[c.r:c.w])
			c.r, c.w = 0, c.w-c.r
		}
		if c.w == len(c.buf) {
			return 0, nil, fmt.Errorf("a frame of %d bytes does not fit the buffer", size)
		}
		n, err := c.net.Read(c.buf[c.w:])
		if err != nil {
			return 0, nil, err
		}
		c.w += n
	}
}

// parse returns the length of the first frame's header and of all of it; false
// while the header is not complete.
func parse(b []byte) (header, size int, ok bool) {
	if len(b) < 2 {
		return 0, 0, false
	}
	switch n := int(b[1] & 0x7f); n {
	case 126:
		if len(b) < 4 {
			return 0, 0, false
		}
		return 4, 4 + int(binary.BigEndian.Uint16(b[2:])), true
	case 127:
		if len(b) < 10 {
			return 0, 0, false
		}
		return 10, 10 + int(binary.BigEndian.Uint64(b[2:])), true //nolint:gosec // our own server's
	default:
		return 2, 2 + n, true
	}
}

// AppendText appends a text frame, ready for Write.
func AppendText(dst, payload []byte) []byte { return appendFrame(dst, 1, payload) }

func appendFrame(dst []byte, opcode byte, payload []byte) []byte {
	dst = append(dst, 0x80|opcode)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, 0x80|byte(n))
	case n < 1<<16:
		dst = append(dst, 0x80|126, byte(n>>8), byte(n))
	default:
		dst = append(dst, 0x80|127)
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	dst = append(dst, 0, 0, 0, 0) // the mask: all zeros leaves the payload as it is
	return append(dst, payload...)
}

// Write writes frames that AppendText made.
func (c *Conn) Write(frames []byte) error {
	_, err := c.net.Write(frames)
	return err
}

// SetReadDeadline ends a read at t.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.net.SetReadDeadline(t) }

// Close closes the TCP connection.
func (c *Conn) Close() error { return c.net.Close() }
