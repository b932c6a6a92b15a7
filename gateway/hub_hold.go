package gateway

import (
	"slices"
	"time"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
)

// hold keeps an event until those below it have come: false when there is no
// room for it.
func (o *order) hold(p *position, v *gatewaypb.Delivery, now time.Time) bool {
	e := v.GetEvent()
	h := &heldEvent{
		delivery: v, position: p, seq: e.GetSeq(), due: now.Add(o.cfg.HoldFor),
		size: heldOverhead + len(e.GetContent()) + 8*len(v.GetUserIds()),
	}
	if !o.list(h) {
		return false
	}
	p.refs.Add(1)
	at, _ := p.find(h.seq)
	p.held = slices.Insert(p.held, at, h)
	return true
}

// list puts h at the end of what is held, which is in the order of its moments.
func (o *order) list(h *heldEvent) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.bytes+h.size > o.cfg.HoldBytes {
		return false
	}
	o.bytes += h.size
	if h.prev = o.last; h.prev != nil {
		h.prev.next = h
	} else {
		o.first = h
		o.arm(h)
	}
	o.last = h
	return true
}

func (o *order) unlist(h *heldEvent) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if h.prev != nil {
		h.prev.next = h.next
	} else {
		o.first = h.next
	}
	if h.next != nil {
		h.next.prev = h.prev
	} else {
		o.last = h.prev
	}
	h.prev, h.next = nil, nil
	o.bytes -= h.size
}

// arm sets the timer to the moment of the oldest.
func (o *order) arm(h *heldEvent) {
	wait := max(time.Until(h.due), time.Millisecond)
	if o.timer == nil {
		o.timer = time.AfterFunc(wait, o.expire)
	} else {
		o.timer.Reset(wait)
	}
}

// expire lets out what has waited long enough. A released event may have been
// the oldest for which the timer was set: then it just looks again.
func (o *order) expire() {
	d := o.begin()
	defer d.end()
	for h := o.due(d.now); h != nil; h = o.due(d.now) {
		o.expireOne(d, h)
	}
}

// due returns the oldest held event when its moment has come; otherwise it sets the timer.
func (o *order) due(now time.Time) *heldEvent {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.first
	if h == nil {
		return nil
	}
	if h.due.After(now) {
		o.arm(h)
		return nil
	}
	h.position.refs.Add(1)
	return h
}

func (o *order) expireOne(d *delivering, h *heldEvent) {
	p := h.position
	defer p.refs.Add(-1)
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, held := p.find(h.seq); !held {
		return // what it waited for came meanwhile
	}
	o.releaseTo(d, p, h.seq)
	o.releaseNext(d, p)
}

// stop ends the timer; what is held goes nowhere any more.
func (o *order) stop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.timer != nil {
		o.timer.Stop()
	}
}
