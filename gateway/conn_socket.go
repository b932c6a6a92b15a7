package gateway

import (
	"bufio"
	"net"
	"net/http"
	"syscall"
	"time"
)

// The library's buffers: frames of clients are small, and it writes nothing
// but control frames.
const (
	readBuffer  = 512
	writeBuffer = 128
)

// socket is conn as the library's net.Conn. What the library writes (a pong,
// or a close frame, which conn sends itself) goes through conn's queue, so that
// there is one writer; closing is conn's business too.
type socket conn

func (s *socket) Read(p []byte) (int, error) {
	if len(s.early) > 0 {
		n := copy(p, s.early)
		if s.early = s.early[n:]; len(s.early) == 0 {
			s.early = nil
		}
		return n, nil
	}
	n, err := s.nc.Read(p)
	if err != nil {
		s.readFailed = true
	} else {
		s.lastRead.Store(s.hub.clock.now())
	}
	return n, err
}

func (s *socket) Write(p []byte) (int, error) {
	const pong = 0x8a
	if len(p) > 0 && p[0] == pong {
		c := (*conn)(s)
		if ok, _ := c.allowFrame(time.Now()); ok && c.enqueue(&outFrame{wire: append([]byte(nil), p...)}) {
			c.hub.flusher.push(c)
		}
	}
	return len(p), nil
}

func (s *socket) Close() error                     { return nil }
func (s *socket) LocalAddr() net.Addr              { return s.nc.LocalAddr() }
func (s *socket) RemoteAddr() net.Addr             { return s.nc.RemoteAddr() }
func (s *socket) SetDeadline(time.Time) error      { return nil }
func (s *socket) SetReadDeadline(time.Time) error  { return nil }
func (s *socket) SetWriteDeadline(time.Time) error { return nil }

// hijacker gives the library a connection with small buffers in place of the
// HTTP server's.
type hijacker struct {
	http.ResponseWriter
	c *conn
}

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if n := rw.Reader.Buffered(); n > 0 {
		b, _ := rw.Peek(n)
		h.c.early = append([]byte(nil), b...)
	}
	if own, ok := nc.(refusalConn); ok {
		nc = own.TCPConn
	}
	h.c.nc = nc
	if sc, ok := nc.(syscall.Conn); ok {
		h.c.raw, _ = sc.SyscallConn()
	}
	s := (*socket)(h.c)
	return s, bufio.NewReadWriter(bufio.NewReaderSize(s, readBuffer), bufio.NewWriterSize(s, writeBuffer)), nil
}
