package task

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/repo/repopb"
	"github.com/gochat-im/gochat/task/taskpb"
)

// redeliverWithin: a duplicate in a conversation whose position is unknown is
// delivered when it is younger than this. The process may have ended between
// its commit and its delivery; clients ignore what they have.
const redeliverWithin = time.Minute

// entry is one event of a batch on its way to the sockets.
type entry struct {
	event     *repopb.Event
	committed *taskpb.Committed // nil for a message
	except    *gatewaypb.Origin
	duplicate bool
}

type position struct{ conversation, seq int64 }

// plan is what a batch delivers: ascending by seq in each conversation.
type plan struct {
	deliveries []*gatewaypb.Delivery
	fresh      []bool     // of deliveries, at the same index: a message that was stored now
	positions  []position // to remember once it is delivered

	slab   []gatewaypb.Delivery
	bodies []gatewaypb.Delivery_Event
}

// add appends a delivery of event; the caller says to whom.
func (pl *plan) add(event *repopb.Event, fresh bool) *gatewaypb.Delivery {
	if len(pl.slab) == 0 {
		n := max(cap(pl.deliveries)-len(pl.deliveries), 8)
		pl.slab, pl.bodies = make([]gatewaypb.Delivery, n), make([]gatewaypb.Delivery_Event, n)
	}
	d, body := &pl.slab[0], &pl.bodies[0]
	pl.slab, pl.bodies = pl.slab[1:], pl.bodies[1:]
	body.Event = event
	d.Body = body
	pl.deliveries = append(pl.deliveries, d)
	pl.fresh = append(pl.fresh, fresh)
	return d
}

// plan puts the batch's events into the order of their conversations, skips
// what was delivered and fills holes from the store. With an error the plan
// holds what could be planned.
func (p *persister) plan(ctx context.Context, in persistBatch, stored *repopb.CreateMessagesResponse) (*plan, error) {
	entries := make([]entry, 0, len(in.messages)+len(in.committed))
	for i, r := range stored.Results {
		if r.Code == 0 && r.Event != nil {
			entries = append(entries, entry{event: r.Event, except: in.origins[i], duplicate: r.Duplicate})
		}
	}
	for _, c := range in.committed {
		entries = append(entries, entry{event: c.Event, committed: c})
	}
	slices.SortFunc(entries, func(a, b entry) int {
		if c := cmp.Compare(a.event.ConversationId, b.event.ConversationId); c != 0 {
			return c
		}
		if c := cmp.Compare(a.event.Seq, b.event.Seq); c != 0 || a.duplicate == b.duplicate {
			return c
		}
		if b.duplicate {
			return -1
		}
		return 1
	})
	routes := slices.SortedFunc(slices.Values(stored.Routes), func(a, b *repopb.Route) int {
		return cmp.Compare(a.ConversationId, b.ConversationId)
	})
	pl := &plan{
		deliveries: make([]*gatewaypb.Delivery, 0, len(entries)),
		fresh:      make([]bool, 0, len(entries)),
	}
	var failure error
	for len(entries) > 0 {
		conversation := entries[0].event.ConversationId
		n := 1
		for n < len(entries) && entries[n].event.ConversationId == conversation {
			n++
		}
		for len(routes) > 0 && routes[0].ConversationId < conversation {
			routes = routes[1:]
		}
		var route *repopb.Route
		if len(routes) > 0 && routes[0].ConversationId == conversation {
			route = routes[0]
		}
		if err := p.planConversation(ctx, pl, entries[:n], route); err != nil {
			failure = fmt.Errorf("plan the delivery of conversation %d: %w", conversation, err)
		}
		entries = entries[n:]
	}
	return pl, failure
}

// planConversation plans the events of one conversation, ascending by seq.
func (p *persister) planConversation(ctx context.Context, pl *plan, entries []entry, route *repopb.Route) error {
	conversation := entries[0].event.ConversationId
	last, known := p.order.last(conversation)
	moved := false
	for i := range entries {
		e := &entries[i]
		seq := e.event.Seq
		late := known && seq <= last
		if late && e.committed == nil {
			continue
		}
		if !known && e.duplicate && time.Since(time.UnixMilli(e.event.CreatedAt)) > redeliverWithin {
			continue
		}
		if route == nil {
			var err error
			if route, err = p.route(ctx, conversation); err != nil {
				return err
			}
		}
		if late {
			if err := p.planLate(ctx, pl, e, route); err != nil {
				return err
			}
			continue
		}
		if known && seq > last+1 {
			p.fillHole(ctx, pl, conversation, last, seq, route)
		}
		if err := p.planEntry(ctx, pl, e, route); err != nil {
			return err
		}
		if moved {
			pl.positions[len(pl.positions)-1].seq = seq
		} else {
			pl.positions = append(pl.positions, position{conversation, seq})
		}
		last, known, moved = seq, true, true
	}
	return nil
}

// route asks for a conversation's receivers; one without members when there is no such conversation.
func (p *persister) route(ctx context.Context, conversation int64) (*repopb.Route, error) {
	ctx, cancel := context.WithTimeout(ctx, p.callTimeout)
	defer cancel()
	answer, err := p.repo.GetRoutes(ctx, &repopb.GetRoutesRequest{ConversationIds: []int64{conversation}})
	if err != nil {
		return nil, p.readFailed("get routes", err)
	}
	for _, r := range answer.Routes {
		if r.ConversationId == conversation {
			return r, nil
		}
	}
	return &repopb.Route{ConversationId: conversation}, nil
}

// fillHole plans the events between two seqs, both exclusive. When they are
// too many, or cannot be read, it leaves a jump: clients see it and pull.
func (p *persister) fillHole(ctx context.Context, pl *plan, conversation, after, before int64, route *repopb.Route) {
	if before-after-1 > int64(p.cfg.MaxHole) {
		p.metrics.jumps.Inc()
		return
	}
	for after < before-1 {
		page, err := p.holePage(ctx, conversation, after, before)
		if err != nil {
			p.metrics.jumps.Inc()
			p.log.WarnContext(ctx, "missed events could not be read, clients will pull them", "conversation_id", conversation,
				"after_seq", after, "before_seq", before, "error", err)
			return
		}
		start := after
		for _, event := range page.Events {
			if event.Seq <= after || event.Seq >= before {
				continue
			}
			address(pl.add(complete(event, route), false), route)
			p.metrics.filled.Inc()
			after = event.Seq
		}
		if after == start {
			return
		}
	}
}

func (p *persister) holePage(ctx context.Context, conversation, after, before int64) (*repopb.GetMessagesResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, p.callTimeout)
	defer cancel()
	answer, err := p.repo.GetMessages(ctx, &repopb.GetMessagesRequest{
		ConversationId: conversation, AfterSeq: after, AfterSet: true,
		Limit: int32(min(before-after-1, 200)), IncludeAll: true,
	})
	if err != nil {
		return nil, p.readFailed("read missed events", err)
	}
	return answer, nil
}

func (p *persister) readFailed(doing string, err error) error {
	if retryable(err) {
		p.store.failed()
	}
	return fmt.Errorf("%s: %w", doing, err)
}
