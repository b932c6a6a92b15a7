package gateway

import (
	"bufio"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// The library's buffers, which a connection holds at rest: it reads a ping into
// its own, and writes nothing but control frames.
const (
	readBuffer  = 64
	writeBuffer = 128
)

// chunkPool has the buffers for what is longer, held while there is something in them.
var chunkPool = sync.Pool{New: func() any { b := make([]byte, 4<<10); return &b }}

// socket is conn as the library's net.Conn. What the library writes (a pong,
// or a close frame, which conn sends itself) goes through conn's queue, so that
// there is one writer; closing is conn's business too.
type socket conn

func (s *socket) Read(p []byte) (int, error) {
	if len(s.unread) == 0 && !s.more {
		n, err := s.receive(p)
		s.more = n == len(p)
		return n, err
	}
	if len(s.unread) == 0 {
		s.chunk = chunkPool.Get().(*[]byte)
		n, err := s.receive(*s.chunk)
		s.unread, s.more = (*s.chunk)[:n], n == len(*s.chunk)
		if err != nil {
			s.dropChunk()
			return 0, err
		}
	}
	n := copy(p, s.unread)
	if s.unread = s.unread[n:]; len(s.unread) == 0 {
		s.dropChunk()
	}
	return n, nil
}

func (s *socket) dropChunk() {
	if s.chunk != nil {
		chunkPool.Put(s.chunk)
	}
	s.chunk, s.unread = nil, nil
}

// receive reads from the network.
func (s *socket) receive(p []byte) (int, error) {
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
	c      *conn
	reader *bufio.Reader // the library's
}

// settle takes the library's reader off the bytes that it looked for before the
// upgrade; conn has kept them.
func (h *hijacker) settle() { h.reader.Reset((*socket)(h.c)) }

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if n := rw.Reader.Buffered(); n > 0 {
		b, _ := rw.Peek(n)
		h.c.unread = append([]byte(nil), b...)
	}
	if own, ok := nc.(refusalConn); ok {
		nc = own.TCPConn
	}
	h.c.nc = nc
	if sc, ok := nc.(syscall.Conn); ok {
		if h.c.raw, _ = sc.SyscallConn(); h.c.raw != nil {
			limitUnsent(h.c.raw, h.c.hub.cfg.WebSocket.QueueSoftBytes)
		}
	}
	s := (*socket)(h.c)
	h.reader = bufio.NewReaderSize(s, readBuffer)
	return s, bufio.NewReadWriter(h.reader, bufio.NewWriterSize(s, writeBuffer)), nil
}
