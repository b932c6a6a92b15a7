package gateway

import (
	"sync"
	"time"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
)

// order keeps the events of each conversation in the order of their seqs,
// whoever delivers them and how often. What comes above a gap is held until the
// missing ones come, at most for a moment: then it goes out, and clients pull
// the gap. It is bounded in positions (the idle ones are forgotten) and in
// bytes (what does not fit goes out at once, above its gap).
type order struct {
	cfg     OrderConfig
	metrics orderMetrics
	begin   func() *delivering // for what is released by time
	shards  [hubShards]orderShard

	mu          sync.Mutex // guards what follows; taken after a position's
	first, last *heldEvent // of all that is held, the oldest first
	bytes       int
	timer       *time.Timer // runs while something is held
}

// orderShard knows some of the conversations. It has two generations: when the
// young one is full or old the other is forgotten, so what is in use stays.
type orderShard struct {
	mu         sync.Mutex // guards what follows
	young, old map[int64]*position
	turned     time.Time
}

const (
	// A position that has not moved for so long is not waited for.
	staleAfter = 2 * time.Second
	// How long a position is remembered at least, for what is delivered again.
	rememberFor = time.Minute
	// What a held event costs besides its content.
	heldOverhead = 512
)

func (o *order) init(cfg OrderConfig, metrics orderMetrics, begin func() *delivering) {
	o.cfg, o.metrics, o.begin = cfg, metrics, begin
	for i := range o.shards {
		o.shards[i].young = map[int64]*position{}
	}
}

// deliver lets an event out by d now, later, or not again.
func (o *order) deliver(d *delivering, v *gatewaypb.Delivery) {
	e := v.GetEvent()
	p := o.acquire(e.GetConversationId(), d.now)
	defer p.refs.Add(-1)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.judge(e.GetSeq(), d.now, staleAfter) {
	case deliverNow:
	case deliverLate:
		o.metrics.late.Inc()
	case dropRepeated:
		o.metrics.repeated.Inc()
		d.membership(v)
		return
	case holdBack:
		if o.hold(p, v, d.now) {
			o.metrics.held.Inc()
			return
		}
		o.releaseTo(d, p, e.GetSeq()-1)
		if e.GetSeq() > p.last+1 {
			o.metrics.gaps.Inc()
		}
	}
	d.out(v)
	p.note(e.GetSeq(), d.now)
	o.releaseNext(d, p)
}

// acquire returns a conversation's position, which its caller gives back by refs.
func (o *order) acquire(conversation int64, now time.Time) *position {
	s := &o.shards[shardOf(conversation)]
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.young[conversation]
	if p == nil {
		if p = s.old[conversation]; p == nil {
			p = &position{}
		}
		if len(s.young) >= max(o.cfg.Positions/hubShards/2, 1) || now.Sub(s.turned) >= rememberFor {
			s.turn(now)
		}
		s.young[conversation] = p
	}
	p.refs.Add(1)
	return p
}

// turn forgets the old generation, except what is at work.
func (s *orderShard) turn(now time.Time) {
	young := map[int64]*position{}
	for conversation, p := range s.old {
		if s.young[conversation] == nil && p.refs.Load() > 0 {
			young[conversation] = p
		}
	}
	s.old, s.young, s.turned = s.young, young, now
}

// releaseNext lets out the held events that are next.
func (o *order) releaseNext(d *delivering, p *position) {
	for len(p.held) > 0 && p.held[0].seq <= p.last+1 {
		o.releaseFirst(d, p)
	}
}

// releaseTo lets out the held events up to seq, with the gaps below them.
func (o *order) releaseTo(d *delivering, p *position, seq int64) {
	for len(p.held) > 0 && p.held[0].seq <= seq {
		if p.held[0].seq > p.last+1 {
			o.metrics.gaps.Inc()
		}
		o.releaseFirst(d, p)
	}
}

func (o *order) releaseFirst(d *delivering, p *position) {
	h := p.held[0]
	p.held[0] = nil
	if p.held = p.held[1:]; len(p.held) == 0 {
		p.held = nil
	}
	o.unlist(h)
	d.out(h.delivery)
	p.note(h.seq, d.now)
	p.refs.Add(-1)
}
