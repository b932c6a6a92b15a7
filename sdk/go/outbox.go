package gochat

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

// outbox is what a session has to say: not a queue but the state that the
// server should hear of, so that after a reconnect the same state is said again
// and nothing grows while there is no connection.
type outbox struct {
	wake chan struct{} // holds a token while there may be something to take

	mu     sync.Mutex      // guards what follows
	sends  []*pendingSend  // unanswered, in the order of Send
	reads  map[string]read // by conversation
	open   map[string]bool // conversations on screen
	told   map[string]bool // those that this connection has been told of
	typing map[string]bool // to say once, if connected
	sync   []byte          // the sync frame of this connection
	ping   bool
}

// pendingSend is a message that waits for its ack or refusal.
type pendingSend struct {
	message Outgoing
	done    chan sendResult // capacity 1
	sentAt  time.Time       // zero: not on this connection yet
	copies  int             // how often it was sent
}

type sendResult struct {
	ack Ack
	err error
}

type read struct {
	seq    int64
	at     time.Time
	unsent bool
}

// readMemory is how long a read mark is repeated after a reconnect: marks are
// not answered, so the last ones before a break may have been lost.
const readMemory = time.Minute

func newOutbox() *outbox {
	return &outbox{
		wake: make(chan struct{}, 1), reads: map[string]read{},
		open: map[string]bool{}, told: map[string]bool{}, typing: map[string]bool{},
	}
}

// change runs f under the lock and wakes the writer.
func (o *outbox) change(f func()) {
	o.mu.Lock()
	f()
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// restart makes everything due again, for a new connection.
func (o *outbox) restart(now time.Time) {
	o.change(func() {
		for _, p := range o.sends {
			p.sentAt = time.Time{}
		}
		maps.DeleteFunc(o.reads, func(_ string, r read) bool { return !r.unsent && now.Sub(r.at) > readMemory })
		for id, r := range o.reads {
			r.unsent = true
			o.reads[id] = r
		}
		clear(o.told)
		clear(o.typing)
		o.sync, o.ping = nil, false
	})
}

// resend makes messages due again that got no answer since before.
func (o *outbox) resend(before time.Time) {
	o.mu.Lock()
	var due bool
	for _, p := range o.sends {
		if !p.sentAt.IsZero() && p.sentAt.Before(before) {
			p.sentAt, due = time.Time{}, true
		}
	}
	o.mu.Unlock()
	if due {
		o.change(func() {})
	}
}

// maxTake bounds how many messages are encoded at a time.
const maxTake = 64

// take returns the frames that are due, messages in their order.
func (o *outbox) take(now time.Time) [][]byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	var frames [][]byte
	if o.sync != nil {
		frames = append(frames, o.sync)
		o.sync = nil
	}
	if o.ping {
		frames = append(frames, []byte(`{"type":"ping"}`))
		o.ping = false
	}
	taken := 0
	for _, p := range o.sends {
		if p.sentAt.IsZero() && taken < maxTake {
			p.sentAt = now
			p.copies++
			frames = append(frames, encodeFrame("", "message", p.message))
			taken++
		}
	}
	if taken == maxTake { // there may be more
		select {
		case o.wake <- struct{}{}:
		default:
		}
	}
	return append(frames, o.takeMarks()...)
}

// takeMarks returns the frames that are not messages. The lock is held.
func (o *outbox) takeMarks() [][]byte {
	var frames [][]byte
	for id := range o.told {
		if !o.open[id] {
			frames = append(frames, encodeFrame("", "close", conversationFrame{id}))
			delete(o.told, id)
		}
	}
	for id := range o.open {
		if !o.told[id] {
			frames = append(frames, encodeFrame("", "open", conversationFrame{id}))
			o.told[id] = true
		}
	}
	for id, r := range o.reads {
		if r.unsent {
			r.unsent = false
			o.reads[id] = r
			frames = append(frames, encodeFrame("", "read", readFrame{ConversationID: id, Seq: r.seq}))
		}
	}
	for id := range o.typing {
		frames = append(frames, encodeFrame("", "typing", conversationFrame{id}))
	}
	clear(o.typing)
	return frames
}

// answer ends a pending send; it returns nil when there is none of that id. A
// refusal is of one copy: it says nothing of those whose answers have not come.
func (o *outbox) answer(clientMsgID string, result sendResult) *pendingSend {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := slices.IndexFunc(o.sends, func(p *pendingSend) bool { return p.message.ClientMsgID == clientMsgID })
	if i < 0 {
		return nil
	}
	p := o.sends[i]
	o.sends = slices.Delete(o.sends, i, i+1)
	if refusal, ok := errors.AsType[*Error](result.err); ok {
		refusal.Uncertain = p.copies > 1
	}
	p.done <- result
	return p
}

// drop forgets a send that nobody waits for any more.
func (o *outbox) drop(p *pendingSend) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if i := slices.Index(o.sends, p); i >= 0 {
		o.sends = slices.Delete(o.sends, i, i+1)
	}
}

// fail ends every pending send.
func (o *outbox) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range o.sends {
		p.done <- sendResult{err: err}
	}
	o.sends = nil
}
