package gateway

import (
	"context"
	"sync"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/platform/registry"
)

// part is what one gateway gets of a request.
type part struct {
	to   registry.Instance
	req  *gatewaypb.DeliverRequest
	sure bool  // it must be taken by every gateway that lives
	of   []int // of req.Deliveries: their indexes in the whole request
}

func (p *part) add(index int, d *gatewaypb.Delivery) {
	p.req.Deliveries = append(p.req.Deliveries, d)
	p.of = append(p.of, index)
}

// everywhere reports whether a delivery goes to every gateway as it is. What changes who gets a conversation does: each
// gateway remembers it for users that may connect to it in a moment.
func everywhere(d *gatewaypb.Delivery) bool {
	return d.GetEverywhere() || d.GetSuspension() != nil || len(d.GetAttachUserIds()) > 0 || len(d.GetDetachUserIds()) > 0
}

// takesAway reports whether a caller relies on it that nothing more reaches users once a delivery is made.
func takesAway(d *gatewaypb.Delivery) bool {
	return d.GetSuspension() != nil || d.GetPrivate() && len(d.GetDetachUserIds()) > 0
}

// split gives each gateway its part of a request, in the order of the whole. The lapsed ones are among the live.
func (r *Router) split(ctx context.Context, req *gatewaypb.DeliverRequest, live, lapsed []registry.Instance) []*part {
	ofUser, ofConversation := r.lookup(ctx, req, lapsed)
	byID := make(map[string]*part, len(live))
	var parts []*part
	partOf := func(i registry.Instance) *part {
		p := byID[i.ID]
		if p == nil {
			p = &part{to: i, req: &gatewaypb.DeliverRequest{ReportOffline: req.GetReportOffline()}}
			byID[i.ID] = p
			parts = append(parts, p)
		}
		return p
	}
	alive := make(map[string]registry.Instance, len(live))
	for _, i := range live {
		alive[i.ID] = i
	}
	for _, result := range req.GetResults() {
		if i, ok := alive[result.GetOrigin().GetGatewayId()]; ok { // otherwise its client is gone, and asks again
			p := partOf(i)
			p.req.Results = append(p.req.Results, result)
		}
	}
	for n, d := range req.GetDeliveries() {
		switch {
		case everywhere(d):
			for _, i := range live {
				p := partOf(i)
				p.add(n, d)
				p.sure = p.sure || takesAway(d)
			}
		case d.GetInterested():
			for _, i := range ofConversation[conversationOf(d)] {
				partOf(i).add(n, d)
			}
		default:
			for _, s := range shares(d.GetUserIds(), ofUser) {
				share := d
				if len(s.users) < len(d.GetUserIds()) {
					share = narrowed(d, s.users)
				}
				partOf(s.to).add(n, share)
			}
		}
	}
	return parts
}

// lookup finds the gateways of every user and interested conversation that a request needs, in one round trip each.
func (r *Router) lookup(ctx context.Context, req *gatewaypb.DeliverRequest, lapsed []registry.Instance) (ofUser, ofConversation map[int64][]registry.Instance) {
	ofUser, ofConversation = map[int64][]registry.Instance{}, map[int64][]registry.Instance{}
	var users, conversations []int64
	for _, d := range req.GetDeliveries() {
		switch {
		case everywhere(d):
		case d.GetInterested():
			if c := conversationOf(d); !known(ofConversation, c) {
				conversations = append(conversations, c)
			}
		default:
			for _, u := range d.GetUserIds() {
				if !known(ofUser, u) {
					users = append(users, u)
				}
			}
		}
	}
	var wg sync.WaitGroup
	for _, l := range []struct {
		space string
		keys  []int64
		into  map[int64][]registry.Instance
	}{{spaceUsers, users, ofUser}, {spaceConversations, conversations, ofConversation}} {
		if len(l.keys) == 0 {
			continue
		}
		wg.Go(func() {
			found := r.registry.Lookup(ctx, registryKind, l.space, l.keys)
			if found.Degraded {
				r.metrics.degraded.Inc()
			}
			for i, instances := range found.Instances {
				l.into[l.keys[i]] = with(instances, lapsed)
			}
		})
	}
	wg.Wait()
	return ofUser, ofConversation
}

// known notes a key, and reports whether it was noted before.
func known(of map[int64][]registry.Instance, key int64) bool {
	if _, ok := of[key]; ok {
		return true
	}
	of[key] = nil
	return false
}

// share is a gateway's users of a delivery.
type share struct {
	to    registry.Instance
	users []int64
}

func shares(users []int64, of map[int64][]registry.Instance) []share {
	var all []share
	for _, u := range users {
	next:
		for _, i := range of[u] {
			for n := range all {
				if all[n].to.ID == i.ID {
					all[n].users = append(all[n].users, u)
					continue next
				}
			}
			all = append(all, share{i, []int64{u}})
		}
	}
	return all
}

// narrowed is a delivery for some of its users.
func narrowed(d *gatewaypb.Delivery, users []int64) *gatewaypb.Delivery {
	return &gatewaypb.Delivery{Body: d.GetBody(), UserIds: users, Except: d.GetExcept(), Index: d.GetIndex(), Private: d.GetPrivate(), Everywhere: d.GetEverywhere()}
}

// conversationOf is the conversation that a delivery is about.
func conversationOf(d *gatewaypb.Delivery) int64 {
	switch b := d.GetBody().(type) {
	case *gatewaypb.Delivery_Event:
		return b.Event.GetConversationId()
	case *gatewaypb.Delivery_Read:
		return b.Read.GetConversationId()
	case *gatewaypb.Delivery_Typing:
		return b.Typing.GetConversationId()
	case *gatewaypb.Delivery_Hidden:
		return b.Hidden.GetConversationId()
	case *gatewaypb.Delivery_Delivered:
		return b.Delivered.GetConversationId()
	case *gatewaypb.Delivery_Suspension:
		return b.Suspension.GetConversationId()
	}
	return 0
}

// offlineEverywhere merges the gateways' answers: who has a socket at none. A gateway that did not answer has none.
func offlineEverywhere(req *gatewaypb.DeliverRequest, parts []*part, answers []*gatewaypb.DeliverResponse) []*gatewaypb.OfflineUsers {
	online := make([]map[int64]struct{}, len(req.GetDeliveries()))
	for i, part := range parts {
		offline := answers[i].GetOffline()
		if len(offline) != len(part.of) {
			continue
		}
		for n, index := range part.of {
			away := make(map[int64]struct{}, len(offline[n].GetUserIds()))
			for _, u := range offline[n].GetUserIds() {
				away[u] = struct{}{}
			}
			for _, u := range part.req.GetDeliveries()[n].GetUserIds() {
				if _, ok := away[u]; ok {
					continue
				}
				if online[index] == nil {
					online[index] = map[int64]struct{}{}
				}
				online[index][u] = struct{}{}
			}
		}
	}
	all := make([]*gatewaypb.OfflineUsers, len(req.GetDeliveries()))
	for n, d := range req.GetDeliveries() {
		all[n] = &gatewaypb.OfflineUsers{}
		for _, u := range d.GetUserIds() {
			if _, ok := online[n][u]; !ok {
				all[n].UserIds = append(all[n].UserIds, u)
			}
		}
	}
	return all
}
