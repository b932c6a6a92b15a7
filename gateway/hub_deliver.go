package gateway

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/gateway/internal/wire"
	"github.com/gochat-im/gochat/repo/repopb"
)

// delivering is the state of one Deliver, or of one release of what was held:
// frames are queued first, and each connection that got any is given to the
// flusher once, at the end.
type delivering struct {
	h     *Hub
	now   time.Time
	dirty []*conn
	count int
}

var dirtyPool = sync.Pool{New: func() any { return &delivering{} }}

// Deliver implements GatewayService.
func (h *Hub) Deliver(ctx context.Context, req *gatewaypb.DeliverRequest) (*gatewaypb.DeliverResponse, error) {
	d := h.begin()
	for _, r := range req.GetResults() {
		d.result(r)
	}
	resp := &gatewaypb.DeliverResponse{}
	for _, delivery := range req.GetDeliveries() {
		if req.GetReportOffline() {
			resp.Offline = append(resp.Offline, &gatewaypb.OfflineUsers{UserIds: h.offline(delivery.GetUserIds())})
		}
		if e := delivery.GetEvent(); e.GetSeq() > 0 && !delivery.GetPrivate() {
			h.order.deliver(d, delivery)
		} else {
			d.out(delivery)
		}
	}
	d.end()
	if req.GetMissed() {
		h.missed()
	}
	// Whoever was attached to a large group is found for its next message, which the caller may deliver after this.
	h.announce.Load().settle(ctx)
	return resp, nil
}

// missedWindow spreads the closes after this gateway missed something, so that its clients do not come back all at once.
const missedWindow = 5 * time.Second

// missed has every client resume: something for some of them did not get here.
func (h *Hub) missed() {
	conns := h.all()
	window := min(missedWindow, time.Duration(len(conns))*time.Millisecond)
	now := time.Now().UnixMilli()
	h.log.Warn("deliveries to this gateway were lost: its clients resume", "connections", len(conns))
	for _, c := range conns {
		c.mu.Lock()
		if c.resumeAt == 0 {
			c.resumeAt = now + rand.Int64N(window.Milliseconds()+1) //nolint:gosec // spreads load
		}
		c.mu.Unlock()
		h.wheel.schedule(c, now) // it says when to come again
	}
}

func (h *Hub) begin() *delivering {
	d := dirtyPool.Get().(*delivering)
	d.h, d.now = h, time.Now()
	return d
}

func (d *delivering) end() {
	d.h.metrics.deliveries.Add(float64(d.count))
	d.h.flusher.push(d.dirty...)
	clear(d.dirty)
	*d = delivering{dirty: d.dirty[:0]}
	dirtyPool.Put(d)
}

// offline returns which of the users have no socket here.
func (h *Hub) offline(userIDs []int64) (offline []int64) {
	for _, userID := range userIDs {
		if !h.online(userID) {
			offline = append(offline, userID)
		}
	}
	return offline
}

func (h *Hub) online(userID int64) bool {
	s := h.userShard(userID)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.first[userID] != nil
}

func (d *delivering) put(c *conn, f *outFrame) {
	d.count++
	if c.enqueue(f) {
		d.dirty = append(d.dirty, c)
	}
}

// result answers the frame or request that a message came from.
func (d *delivering) result(r *gatewaypb.Result) {
	o := r.GetOrigin()
	if o.GetGatewayId() != d.h.id || d.h.answerWaiter(r) {
		return
	}
	c := d.h.lookup(o.GetConnectionId())
	if c == nil {
		return
	}
	c.unanswered.Add(-1)
	d.h.observeAck(o)
	clientID := r.GetClientMsgId()
	if clientID == o.GetRequestId() {
		clientID = "" // made up here
	}
	if r.GetCode() != 0 {
		c.answer(d, wire.AppendError(wire.NewText(256), o.GetFrameId(), clientID, r.GetCode(), r.GetError(), r.GetDetails()))
		return
	}
	e := r.GetEvent()
	c.mu.Lock()
	c.sawLocked(e.GetConversationId(), e.GetSeq()) // the client has it by this answer
	c.mu.Unlock()
	c.answer(d, wire.AppendAck(wire.NewText(256), o.GetFrameId(), clientID, e, r.GetDuplicate()))
}

func (c *conn) answer(d *delivering, payload []byte) {
	if c.enqueue(controlFrame(payload)) {
		d.dirty = append(d.dirty, c)
	}
}

// out queues a delivery, and does what it says about members.
func (d *delivering) out(v *gatewaypb.Delivery) {
	if s := v.GetSuspension(); s != nil {
		d.suspend(v.GetUserIds(), s)
		return
	}
	f := frameOf(v)
	if f == nil {
		return
	}
	f.private = v.GetPrivate()
	d.attach(v, f.conversation, f.seq) // before the body, so that who comes back sees its own return
	var except int64
	if v.GetExcept().GetGatewayId() == d.h.id {
		except = v.GetExcept().GetConnectionId()
	}
	if v.GetInterested() {
		d.toInterested(f, except)
	} else {
		d.toUsers(f, v.GetUserIds(), except)
	}
	d.detach(v, f.conversation, f.seq)
	if f.private {
		d.endSuspension(v.GetDetachUserIds(), f.conversation)
	}
}

// membership does what an event says about members, without its body.
func (d *delivering) membership(v *gatewaypb.Delivery) {
	e := v.GetEvent()
	d.attach(v, e.GetConversationId(), e.GetSeq())
	d.detach(v, e.GetConversationId(), e.GetSeq())
}

func (d *delivering) attach(v *gatewaypb.Delivery, conversation, seq int64) {
	for _, userID := range v.GetAttachUserIds() {
		d.h.attach(userID, conversation, seq, v.GetIndex())
	}
}

func (d *delivering) detach(v *gatewaypb.Delivery, conversation, seq int64) {
	for _, userID := range v.GetDetachUserIds() {
		d.h.detach(userID, conversation, seq)
	}
}

// frameOf encodes a delivery once for all its recipients; nil for one without a body.
func frameOf(v *gatewaypb.Delivery) *outFrame {
	switch b := v.GetBody().(type) {
	case *gatewaypb.Delivery_Event:
		return eventFrame(b.Event)
	case *gatewaypb.Delivery_Read:
		return readFrame(b.Read)
	case *gatewaypb.Delivery_Typing:
		conversation := b.Typing.GetConversationId()
		return frameIn(conversation, classSoft, wire.AppendTyping(wire.NewText(128), conversation, b.Typing.GetUserId()))
	case *gatewaypb.Delivery_Delivered:
		return deliveredFrame(b.Delivered)
	case *gatewaypb.Delivery_Hidden:
		return hiddenFrame(b.Hidden)
	}
	return nil
}

func eventFrame(e *repopb.Event) *outFrame {
	f := frameIn(e.GetConversationId(), classEvent, wire.AppendEntry(wire.NewText(384+len(e.GetContent())*9/8), e))
	f.seq = e.GetSeq()
	if e.GetKind() == repopb.EventKind_EVENT_KIND_MESSAGE {
		f.receiver = e.GetPeerId()
	}
	return f
}

func readFrame(p *repopb.ReadPointer) *outFrame {
	return frameIn(p.GetConversationId(), classRead, wire.AppendPointer(wire.NewText(128), "read", p.GetConversationId(), p.GetUserId(), p.GetSeq()))
}

func deliveredFrame(p *repopb.DeliveredPointer) *outFrame {
	return frameIn(p.GetConversationId(), classRead, wire.AppendPointer(wire.NewText(128), "delivered", p.GetConversationId(), p.GetUserId(), p.GetSeq()))
}

func hiddenFrame(v *repopb.Hidden) *outFrame {
	return frameIn(v.GetConversationId(), classRead, wire.AppendObject(wire.NewText(160), "event", "", wire.HiddenOf(v)))
}

func (d *delivering) toUsers(f *outFrame, userIDs []int64, except int64) {
	for _, userID := range userIDs {
		s := d.h.userShard(userID)
		s.mu.RLock()
		c := s.first[userID]
		if c != nil && f.conversation != 0 && d.h.tombs.has(userID, f.conversation, d.now) {
			c = nil
		}
		for ; c != nil; c = c.nextOfUser {
			if c.id != except && (f.class != classSoft || c.looksAt(f.conversation)) {
				d.put(c, f)
			}
		}
		s.mu.RUnlock()
	}
}

func (d *delivering) toInterested(f *outFrame, except int64) {
	s := &d.h.index[shardOf(f.conversation)]
	s.mu.RLock()
	defer s.mu.RUnlock()
	for c := range s.audience[f.conversation] {
		if c.id != except && (f.class != classSoft || c.looksAt(f.conversation)) {
			d.put(c, f)
		}
	}
}

// looksAt reports whether the conversation is on the client's screen.
func (c *conn) looksAt(conversation int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.open, conversation)
}

// attach lets the conversation reach a user who joined it at seq, unless they left since.
func (h *Hub) attach(userID, conversation, seq int64, index bool) {
	if !h.tombs.join(userID, conversation, seq, time.Now()) || !index {
		return
	}
	for _, c := range h.ofUser(userID) {
		h.addToIndex(c, conversation)
	}
}

// detach lets nothing of the conversation reach the user any more, what is
// queued included, except the entry keepSeq that says so: unless they joined again since.
func (h *Hub) detach(userID, conversation, keepSeq int64) {
	s := h.userShard(userID)
	s.mu.Lock() // no delivery to these users is half way
	left := h.tombs.leave(userID, conversation, keepSeq, time.Now())
	s.mu.Unlock()
	if !left {
		return
	}
	for _, c := range h.ofUser(userID) {
		h.removeFromIndex(c, conversation)
		c.forget(conversation, keepSeq)
	}
}

// Disconnect implements GatewayService.
func (h *Hub) Disconnect(_ context.Context, req *gatewaypb.DisconnectRequest) (*gatewaypb.DisconnectResponse, error) {
	resp := &gatewaypb.DisconnectResponse{}
	for _, c := range h.ofUser(req.GetUserId()) {
		_, sessionID := c.identity()
		listed := len(req.GetSessionIds()) == 0 || slices.Contains(req.GetSessionIds(), sessionID)
		if !listed || req.GetExceptSessionId() != 0 && sessionID == req.GetExceptSessionId() {
			continue
		}
		if c.close(closing{code: int(req.GetCode()), reason: req.GetReason(), purge: true}) {
			resp.Closed++
		}
	}
	return resp, nil
}

// Stats implements GatewayService.
func (h *Hub) Stats(_ context.Context, req *gatewaypb.StatsRequest) (*gatewaypb.StatsResponse, error) {
	resp := &gatewaypb.StatsResponse{QueuedBytes: h.queuedBytes()}
	for i := range hubShards {
		cs, us := &h.conns[i], &h.users[i]
		cs.mu.RLock()
		resp.Connections += int64(len(cs.byID))
		cs.mu.RUnlock()
		us.mu.RLock()
		resp.Users += int64(len(us.first))
		us.mu.RUnlock()
	}
	for _, userID := range req.GetOnlineOf() {
		if h.online(userID) {
			resp.Online = append(resp.Online, userID)
		}
	}
	return resp, nil
}

func (h *Hub) queuedBytes() (n int64) {
	for i := range h.conns {
		s := &h.conns[i]
		s.mu.RLock()
		for _, c := range s.byID {
			c.mu.Lock()
			n += int64(c.queued)
			c.mu.Unlock()
		}
		s.mu.RUnlock()
	}
	return n
}
