package gateway

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// flushBuffer is how much of a queue goes out in one system call.
const flushBuffer = 64 << 10

// flusher writes the queues of connections that have something to write. Its
// workers exist only while there is work, write without waiting, and leave a
// socket that takes no more to a goroutine of its own, so that it slows nobody.
// While a connection waits for its turn its frames gather: the busier the hub,
// the more of them a system call carries.
type flusher struct {
	limit int
	wg    sync.WaitGroup

	mu         sync.Mutex // guards what follows
	head, tail *conn
	workers    int
}

func (f *flusher) init(workers int) {
	if f.limit = workers; workers == 0 {
		f.limit = max(2, runtime.GOMAXPROCS(0))
	}
}

// push queues connections whose schedule said so.
func (f *flusher) push(conns ...*conn) {
	if len(conns) == 0 {
		return
	}
	f.mu.Lock()
	for _, c := range conns {
		f.link(c)
	}
	start := min(f.limit-f.workers, len(conns))
	f.workers += max(start, 0)
	f.mu.Unlock()
	for range start {
		f.wg.Go(f.work)
	}
}

func (f *flusher) link(c *conn) {
	if f.tail == nil {
		f.head = c
	} else {
		f.tail.nextDirty = c
	}
	f.tail = c
}

// next returns the next connection, after putting again, if any, to the end of
// the line. A nil ends the worker.
func (f *flusher) next(again *conn) *conn {
	f.mu.Lock()
	defer f.mu.Unlock()
	if again != nil {
		f.link(again)
	}
	c := f.head
	if c == nil {
		f.workers--
		return nil
	}
	if f.head = c.nextDirty; f.head == nil {
		f.tail = nil
	}
	c.nextDirty = nil
	return c
}

// worker holds what a flush needs, so that it costs no allocation.
type worker struct {
	buf     []byte
	pending []byte
	err     error
	attempt func(fd uintptr) bool
}

var workerPool = sync.Pool{New: func() any {
	w := &worker{buf: make([]byte, 0, flushBuffer)}
	w.attempt = func(fd uintptr) bool {
		for len(w.pending) > 0 {
			n, err := writeNow(fd, w.pending)
			if n > 0 {
				w.pending = w.pending[n:]
			}
			if errors.Is(err, syscall.EINTR) {
				continue
			}
			if !errors.Is(err, syscall.EAGAIN) {
				w.err = err
			}
			if err != nil || n <= 0 {
				break
			}
		}
		return true // never wait
	}
	return w
}}

func (f *flusher) work() {
	w := workerPool.Get().(*worker)
	for c := f.next(nil); c != nil; {
		if c.flush(w) {
			c = f.next(c)
		} else {
			c = f.next(nil)
		}
	}
	workerPool.Put(w)
}

// flush writes one buffer full and reports whether there is more to write.
func (c *conn) flush(w *worker) (again bool) {
	c.mu.Lock()
	b := c.take(w.buf[:0], flushBuffer)
	c.mu.Unlock()
	if len(b) > 0 {
		w.pending, w.err = b, nil
		if c.raw != nil {
			if err := c.raw.Write(w.attempt); err != nil && w.err == nil {
				w.err = err
			}
		}
		rest := w.pending
		w.pending = nil
		if w.err != nil {
			c.abort()
			return false
		}
		if len(rest) > 0 {
			buf := slowPool.Get().(*[]byte)
			*buf = append((*buf)[:0], rest...)
			c.hub.flusher.wg.Go(func() { c.flushSlow(buf) })
			return false
		}
	}
	return c.settle()
}

// settle ends a flush: it reports whether more has come, and closes a socket
// that was to be closed after its last frame.
func (c *conn) settle() (again bool) {
	c.mu.Lock()
	if (c.queue.len() > 0 || len(c.behind) > 0) && !c.closed {
		c.mu.Unlock()
		return true
	}
	c.scheduled = false
	last := c.closeDrain && !c.closed
	if c.sync != nil {
		c.sync.wake()
	}
	c.mu.Unlock()
	if last {
		c.abort()
	}
	return false
}

var slowPool = sync.Pool{New: func() any { b := make([]byte, 0, flushBuffer); return &b }}

// flushSlow writes to a socket that has to be waited for, until its queue is
// empty or it has taken too long.
func (c *conn) flushSlow(buf *[]byte) {
	defer slowPool.Put(buf)
	for {
		_ = c.nc.SetWriteDeadline(time.Now().Add(c.hub.cfg.WebSocket.WriteTimeout))
		if _, err := c.nc.Write(*buf); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				c.hub.metrics.dropped[dropSocket].Inc()
				c.abortCode(codeSlowConsumer)
			} else {
				c.abort()
			}
			return
		}
		c.mu.Lock()
		*buf = c.take((*buf)[:0], flushBuffer)
		c.mu.Unlock()
		if len(*buf) == 0 {
			_ = c.nc.SetWriteDeadline(time.Time{})
			if !c.settle() {
				return
			}
		}
	}
}
