package gateway

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/repo/repopb"
)

// receipts find out which one-to-one messages their receivers' devices have
// got. Every moment the connections that were sent some since are asked by a
// ping of the WebSocket: its pong follows everything that was written before
// it. What was confirmed is passed on in one call. So neither pings nor writes
// to the store grow with the messages, and both are bounded a moment.
type receipts struct {
	cfg   ReceiptsConfig
	hub   *Hub
	logic logicpb.LogicServiceServer
	log   *slog.Logger

	mu        sync.Mutex // guards what follows; taken after a connection's
	unasked   []*conn
	confirmed map[deliveredTo]int64 // the seq up to which a user has a conversation
	timer     *time.Timer           // nil: there is nothing to do
	stopped   bool
	calls     sync.WaitGroup
}

type deliveredTo struct{ conversation, userID int64 }

const (
	// Conversations whose messages one connection may have unconfirmed. What
	// does not fit is confirmed with a later message, or by being read.
	maxUnconfirmed = 256
	// Confirmations that wait to be passed on, over all connections.
	maxConfirmations = 1 << 16
)

// receiptPing is the control frame that a device answers when it has got all before it.
var receiptPing = &outFrame{wire: []byte{0x89, 1, 'r'}}

// unconfirmed is what a connection was sent of one-to-one conversations. Guarded by conn.mu.
type unconfirmed struct {
	sent   map[int64]int64 // by conversation: the last seq, since the last ping…
	asked  map[int64]int64 // …and before it
	listed bool            // it will be asked
}

// note remembers that f was queued, and is a message to this connection's user.
func (c *conn) note(f *outFrame) {
	r := &c.hub.receipts
	if f.receiver == 0 || f.receiver != c.userID || r.logic == nil {
		return
	}
	u := c.unconfirmed
	if u == nil {
		u = &unconfirmed{}
		c.unconfirmed = u
	}
	if u.sent == nil {
		u.sent = map[int64]int64{}
	}
	if _, known := u.sent[f.conversation]; !known && len(u.sent) >= maxUnconfirmed {
		return
	}
	u.sent[f.conversation] = max(u.sent[f.conversation], f.seq)
	if !u.listed && u.asked == nil {
		u.listed = r.list(c)
	}
}

// start begins the asking, before there is any connection.
func (r *receipts) start(cfg ReceiptsConfig, hub *Hub, logic logicpb.LogicServiceServer, log *slog.Logger) {
	r.cfg, r.hub, r.logic, r.log = cfg, hub, logic, log
}

// list takes a connection that is to be asked.
func (r *receipts) list(c *conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unasked = append(r.unasked, c)
	return r.arm()
}

// arm starts the timer, unless it runs or everything has ended.
func (r *receipts) arm() bool {
	if r.timer == nil && !r.stopped {
		r.timer = time.AfterFunc(r.cfg.Every, r.turn)
	}
	return !r.stopped
}

// turn asks the connections that are waiting, and passes on what was confirmed.
func (r *receipts) turn() {
	r.mu.Lock()
	if r.stopped {
		r.mu.Unlock()
		return
	}
	r.calls.Add(1)
	n := min(len(r.unasked), r.cfg.Batch)
	ask := r.unasked[:n:n]
	if r.unasked = r.unasked[n:]; len(r.unasked) == 0 {
		r.unasked = nil
	}
	pointers := r.take()
	r.mu.Unlock()
	defer r.calls.Done()

	dirty := ask[:0]
	for _, c := range ask {
		if c.ask() {
			dirty = append(dirty, c)
		}
	}
	r.hub.flusher.push(dirty...)
	if len(pointers) > 0 {
		r.pass(pointers)
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	if r.timer = nil; len(r.unasked) > 0 || len(r.confirmed) > 0 {
		r.arm()
	}
}

// take removes a batch of confirmations.
func (r *receipts) take() (pointers []*repopb.DeliveredPointer) {
	for to, seq := range r.confirmed {
		if len(pointers) >= r.cfg.Batch {
			return pointers
		}
		pointers = append(pointers, &repopb.DeliveredPointer{ConversationId: to.conversation, UserId: to.userID, Seq: seq})
		delete(r.confirmed, to)
	}
	r.confirmed = nil
	return pointers
}

func (r *receipts) pass(pointers []*repopb.DeliveredPointer) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	if _, err := r.logic.ConfirmDelivery(ctx, &repopb.MarkDeliveredRequest{Pointers: pointers}); err != nil {
		r.log.Warn("Confirm deliveries: they stay as sent until more is delivered or read", "pointers", len(pointers), "error", err)
	}
}

// ask queues the ping that covers what was sent so far, and reports whether
// the caller must hand the connection to the flusher.
func (c *conn) ask() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.unconfirmed
	u.asked, u.sent, u.listed = u.sent, nil, false
	return c.enqueueLocked(receiptPing)
}

// confirm takes in the answer to a ping: all that was asked about has arrived.
func (c *conn) confirm() {
	r := &c.hub.receipts
	c.mu.Lock()
	u := c.unconfirmed
	if u == nil || u.asked == nil {
		c.mu.Unlock()
		return
	}
	asked, userID := u.asked, c.userID
	if u.asked = nil; u.sent == nil {
		c.unconfirmed = nil
	} else {
		u.listed = r.list(c)
	}
	c.mu.Unlock()

	r.mu.Lock()
	defer r.mu.Unlock()
	for conversation, seq := range asked {
		to := deliveredTo{conversation, userID}
		if known := r.confirmed[to]; known == 0 && len(r.confirmed) >= maxConfirmations {
			continue
		}
		if r.confirmed == nil {
			r.confirmed = map[deliveredTo]int64{}
		}
		r.confirmed[to] = max(r.confirmed[to], seq)
	}
	r.arm()
}

// stop ends the asking; what is confirmed and not passed on is forgotten.
func (r *receipts) stop() {
	r.mu.Lock()
	r.stopped = true
	if r.timer != nil {
		r.timer.Stop()
	}
	r.mu.Unlock()
	r.calls.Wait()
}
