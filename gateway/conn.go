package gateway

import (
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gochat-im/gochat/gateway/internal/wire"
	"github.com/gochat-im/gochat/platform/limit"
)

// How long a socket may take for the closing handshake: with a tick of the wheel
// it is gone within the 2 s that a revoked session has.
const closeTimeout = 2*time.Second - 2*wheelTick

// class decides what happens to a frame when its socket is slow.
type class uint8

const (
	classControl class = iota // answers, hello, disconnect: never dropped
	classEvent                // an entry of a log: becomes a "behind" mark
	classRead                 // a read pointer: kept, forgotten after a detach
	classSoft                 // typing and presence: dropped first
)

// outFrame is a frame as it goes on the wire, shared by all its recipients.
type outFrame struct {
	wire         []byte
	conversation int64 // 0: of none
	seq          int64
	receiver     int64 // of a one-to-one message
	class        class
	kind         wire.SentType
	private      bool // a copy for its receiver alone: it waits for no suspension
}

func controlFrame(payload []byte) *outFrame {
	sealed := wire.Seal(payload)
	return &outFrame{wire: sealed, kind: wire.SentTypeOf(sealed)}
}

// frameIn is a frame of a conversation.
func frameIn(conversation int64, class class, payload []byte) *outFrame {
	f := controlFrame(payload)
	f.conversation, f.class = conversation, class
	return f
}

// conn is one socket. At rest it is this struct, one reading goroutine and
// what the libraries hold; everything else exists only while it is used.
type conn struct {
	id   int64
	hub  *Hub
	nc   net.Conn
	raw  syscall.RawConn // nil when nc has no file descriptor
	addr string          // set while the socket counts against its address as not authenticated

	// The reading goroutine's own.
	unread     []byte  // read from the network, and not yet by the library
	chunk      *[]byte // that unread lies in, of chunkPool; nil: none
	more       bool    // the last read filled its buffer
	frames     limit.Bucket
	minute     int64
	malformed  int32
	refused    int32
	readFailed bool // by the network, as opposed to by the protocol

	lastRead   atomic.Int64 // in the hub's time, as all times below
	unanswered atomic.Int32 // messages on their way to the store
	leaving    atomic.Bool  // no message is taken any more

	mu          sync.Mutex // guards all that follows
	userID      int64      // 0: not authenticated
	sessionID   int64
	queue       *frameQueue // nil when empty
	queued      int         // bytes
	behind      map[int64]int64
	open        []int64 // conversations on screen
	indexed     []int64 // large groups in the hub's index
	seen        *seenSeqs
	sync        *liveHold
	suspended   map[int64]*liveHold // by conversation: kept while a removal is under way
	authBy      int64               // 0: authenticated
	expiresAt   int64               // of the token
	unconfirmed *unconfirmed        // nil: nothing
	resumeAt    int64               // when it is closed because this gateway missed something; 0: never
	decidedBy   int64               // when the suspensions must have ended; 0: there is none
	closeAt     int64               // 0: not closing
	closeCode   int32
	scheduled   bool // a flusher will come, or a slow writer is at work
	pinged      bool
	gone        bool // out of the hub
	closing     bool // takes no frames any more
	closeDrain  bool // close the socket once the queue is empty
	closed      bool

	nextOfUser *conn // guarded by the hub's shard
	nextDirty  *conn // guarded by the flusher

	// Guarded by the wheel.
	wheelNext, wheelPrev *conn
	wheelSlot            int32
	wheelDone            bool
}

// frameQueue is what waits to be written.
type frameQueue struct {
	frames []*outFrame
	head   int
}

var queuePool = sync.Pool{New: func() any { return &frameQueue{frames: make([]*outFrame, 0, 16)} }}

func (q *frameQueue) len() int {
	if q == nil {
		return 0
	}
	return len(q.frames) - q.head
}

// enqueue takes f for writing and reports whether the caller must hand the
// connection to the flusher.
func (c *conn) enqueue(f *outFrame) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.enqueueLocked(f)
}

func (c *conn) enqueueLocked(f *outFrame) bool {
	if c.closing {
		return false
	}
	ws := &c.hub.cfg.WebSocket
	switch f.class {
	case classSoft:
		if c.queued+len(f.wire) > ws.QueueSoftBytes {
			c.hub.metrics.dropped[dropSoft].Inc()
			return false
		}
	case classEvent:
		if s := c.suspended[f.conversation]; s != nil && !f.private {
			return c.suspendLocked(s, f)
		}
		if c.sync != nil {
			c.sync.hold(f, ws.QueueBodyBytes)
			return false
		}
		return c.enqueueEvent(f)
	case classControl, classRead:
	}
	return c.push(f)
}

// enqueueEvent queues an entry of a log that is not held back.
func (c *conn) enqueueEvent(f *outFrame) bool {
	if c.seen.bySync(f.conversation, f.seq, c.hub.clock.now()) {
		return false
	}
	_, behind := c.behind[f.conversation]
	if !behind && c.queued+len(f.wire) <= c.hub.cfg.WebSocket.QueueBodyBytes {
		c.sawLocked(f.conversation, f.seq)
		c.note(f)
		return c.push(f)
	}
	c.hub.metrics.dropped[dropBody].Inc()
	if c.behind == nil {
		c.behind = map[int64]int64{}
	}
	if !behind && len(c.behind) >= maxBehind {
		return c.slowLocked()
	}
	c.behind[f.conversation] = max(c.behind[f.conversation], f.seq)
	return c.schedule()
}

// sawLocked remembers that the client has an entry without a sync.
func (c *conn) sawLocked(conversation, seq int64) {
	if c.seen == nil {
		c.seen = &seenSeqs{}
	}
	c.seen.add(conversation, seq)
}

// syncedLocked remembers what a sync sent that may come live still.
func (c *conn) syncedLocked(young map[int64]int64) {
	if len(young) == 0 {
		return
	}
	if c.seen == nil {
		c.seen = &seenSeqs{}
	}
	c.seen.addSynced(young, c.hub.clock.now())
}

// Conversations that one socket may be behind in before it is closed instead.
const maxBehind = 4096

func (c *conn) push(f *outFrame) bool {
	if c.queued+len(f.wire) > c.hub.cfg.WebSocket.QueueMaxBytes {
		return c.slowLocked()
	}
	c.append(f)
	return c.schedule()
}

func (c *conn) append(f *outFrame) {
	if c.queue == nil {
		c.queue = queuePool.Get().(*frameQueue)
	}
	c.queue.frames = append(c.queue.frames, f)
	c.queued += len(f.wire)
}

func (c *conn) schedule() bool {
	if c.scheduled || c.closed {
		return false
	}
	c.scheduled = true
	return true
}

func (c *conn) slowLocked() bool {
	c.hub.metrics.dropped[dropSocket].Inc()
	return c.closeLocked(closing{code: codeSlowConsumer, reason: "too slow", purge: true})
}

// take appends up to room bytes of frames to b and removes them from the queue;
// once it is empty, the marks of what was left out follow.
func (c *conn) take(b []byte, room int) []byte {
	var taken [wire.SentTypes]int
	defer c.hub.metrics.sent(&taken)
	for {
		for q := c.queue; q.len() > 0; q.head++ {
			f := q.frames[q.head]
			if len(b) > 0 && len(b)+len(f.wire) > room {
				return b
			}
			b = append(b, f.wire...)
			taken[f.kind]++
			c.queued -= len(f.wire)
			q.frames[q.head] = nil
		}
		c.dropQueue()
		if len(c.behind) == 0 || c.closing {
			return b
		}
		for conversation, seq := range c.behind {
			f := frameIn(conversation, classEvent, wire.AppendBehind(wire.NewText(128), conversation, seq))
			f.seq = seq
			c.append(f)
		}
		c.behind = nil
	}
}

// dropQueue gives an emptied or discarded queue back.
func (c *conn) dropQueue() {
	if q := c.queue; q != nil {
		clear(q.frames)
		q.frames, q.head = q.frames[:0], 0
		if cap(q.frames) <= 1024 {
			queuePool.Put(q)
		}
	}
	c.queue, c.queued = nil, 0
}

// forget removes what is queued of a conversation, except the entry keepSeq.
func (c *conn) forget(conversation, keepSeq int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.behind, conversation)
	if s := c.suspended[conversation]; s != nil {
		s.frames, s.bytes = nil, 0
	}
	if c.sync != nil {
		c.sync.forget(conversation, keepSeq)
	}
	c.open = without(c.open, conversation)
	q := c.queue
	if q == nil {
		return
	}
	kept := q.frames[:q.head]
	for _, f := range q.frames[q.head:] {
		if f.conversation == conversation && (f.seq != keepSeq || f.class != classEvent) {
			c.queued -= len(f.wire)
			continue
		}
		kept = append(kept, f)
	}
	clear(q.frames[len(kept):])
	q.frames = kept
}

func without(list []int64, v int64) []int64 {
	for i, x := range list {
		if x == v {
			list[i] = list[len(list)-1]
			return list[:len(list)-1]
		}
	}
	return list
}

// identity returns who the connection speaks for; zeros before it has authenticated.
func (c *conn) identity() (userID, sessionID int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.userID, c.sessionID
}
