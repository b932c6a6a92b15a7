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

// redeliverWithin: a duplicate younger than this is delivered again. The
// process that stored it may have ended between its commit and its delivery;
// gateways drop what they have delivered.
const redeliverWithin = time.Minute

// entry is one event of a batch on its way to the sockets.
type entry struct {
	event     *repopb.Event
	committed *taskpb.Committed // nil for a message
	except    *gatewaypb.Origin
	duplicate bool
}

// plan is what a batch delivers: a conversation's events stand side by side,
// ascending by seq.
type plan struct {
	deliveries []*gatewaypb.Delivery
	fresh      []bool // of deliveries, at the same index: a message that was stored now

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

// plan says whom each of the batch's events goes to. With an error it holds
// what could be planned.
func (p *persister) plan(ctx context.Context, in persistBatch, stored *repopb.CreateMessagesResponse) (*plan, error) {
	entries := entriesOf(in, stored)
	pl := &plan{
		deliveries: make([]*gatewaypb.Delivery, 0, len(entries)),
		fresh:      make([]bool, 0, len(entries)),
	}
	routes, failure := p.routes(ctx, entries, stored.Routes)
	for i := range entries {
		e := &entries[i]
		route := routes[e.event.ConversationId]
		if route == nil {
			continue // it could not be read
		}
		if err := p.planEntry(ctx, pl, e, route); err != nil {
			failure = fmt.Errorf("plan the delivery of conversation %d: %w", e.event.ConversationId, err)
		}
	}
	return pl, failure
}

// entriesOf returns the events of a batch that sockets should see.
func entriesOf(in persistBatch, stored *repopb.CreateMessagesResponse) []entry {
	entries := make([]entry, 0, len(in.messages)+len(in.committed))
	for i, r := range stored.Results {
		if r.Code != 0 || r.Event == nil {
			continue
		}
		if r.Duplicate && time.Since(time.UnixMilli(r.Event.CreatedAt)) > redeliverWithin {
			continue
		}
		entries = append(entries, entry{event: r.Event, except: in.origins[i], duplicate: r.Duplicate})
	}
	for _, c := range in.committed {
		entries = append(entries, entry{event: c.Event, committed: c})
	}
	slices.SortStableFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.event.ConversationId, b.event.ConversationId), cmp.Compare(a.event.Seq, b.event.Seq))
	})
	return slices.CompactFunc(entries, func(a, b entry) bool { // a message and its retry
		return a.event.ConversationId == b.event.ConversationId && a.event.Seq == b.event.Seq
	})
}

// routes returns the receivers of the entries' conversations: those that came
// with the commit, the others from the store, in one call. A conversation that
// does not exist has nobody; one that could not be read is left out.
func (p *persister) routes(ctx context.Context, entries []entry, known []*repopb.Route) (map[int64]*repopb.Route, error) {
	routes := make(map[int64]*repopb.Route, len(known))
	for _, r := range known {
		routes[r.ConversationId] = r
	}
	var missing []int64
	for i := range entries {
		id := entries[i].event.ConversationId
		if routes[id] == nil && (len(missing) == 0 || missing[len(missing)-1] != id) {
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 {
		return routes, nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.callTimeout)
	defer cancel()
	answer, err := p.repo.GetRoutes(ctx, &repopb.GetRoutesRequest{ConversationIds: missing})
	if err != nil {
		return routes, p.readFailed("get routes", err)
	}
	for _, id := range missing {
		routes[id] = &repopb.Route{ConversationId: id}
	}
	for _, r := range answer.Routes {
		routes[r.ConversationId] = r
	}
	return routes, nil
}

func (p *persister) readFailed(doing string, err error) error {
	if retryable(err) {
		p.store.failed()
	}
	return fmt.Errorf("%s: %w", doing, err)
}
