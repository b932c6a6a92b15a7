package task

import (
	"context"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/repo/repopb"
)

// planEntry plans one event that is next in its conversation.
func (p *persister) planEntry(ctx context.Context, pl *plan, e *entry, route *repopb.Route) error {
	event := complete(e.event, route)
	if e.committed == nil {
		d := pl.add(event, !e.duplicate)
		d.Except = e.except
		address(d, route)
		return nil
	}
	if !e.committed.BecameLarge {
		d := pl.add(event, false)
		d.AttachUserIds, d.DetachUserIds = e.committed.AttachUserIds, e.committed.DetachUserIds
		d.Index = route.Large && len(d.AttachUserIds) > 0
		address(d, route)
		p.also(pl, d, event, e.committed.AlsoUserIds)
		return nil
	}
	members, err := p.members(ctx, event.ConversationId)
	if err != nil {
		return err
	}
	d := pl.add(event, false)
	d.UserIds = union(members, e.committed.AlsoUserIds)
	d.AttachUserIds, d.DetachUserIds, d.Index = members, e.committed.DetachUserIds, true
	return nil
}

// planLate plans what is left of an event that went out already, to fill a
// hole: its attachments, and the event for those users only, who may have missed it.
func (p *persister) planLate(ctx context.Context, pl *plan, e *entry, route *repopb.Route) error {
	c := e.committed
	attach := c.AttachUserIds
	if c.BecameLarge {
		members, err := p.members(ctx, e.event.ConversationId)
		if err != nil {
			return err
		}
		attach = members
	}
	if len(attach) == 0 && len(c.AlsoUserIds) == 0 && len(c.DetachUserIds) == 0 {
		return nil
	}
	d := pl.add(complete(e.event, route), false)
	d.UserIds = union(c.AttachUserIds, c.AlsoUserIds)
	d.AttachUserIds, d.DetachUserIds = attach, c.DetachUserIds
	d.Index = len(attach) > 0 && (route.Large || c.BecameLarge)
	return nil
}

// also adds users that must see this one event besides the members.
func (p *persister) also(pl *plan, d *gatewaypb.Delivery, event *repopb.Event, users []int64) {
	switch {
	case len(users) == 0:
	case d.Interested:
		pl.add(event, false).UserIds = users
	default:
		d.UserIds = union(d.UserIds, users)
	}
}

// members walks all members of a group.
func (p *persister) members(ctx context.Context, group int64) ([]int64, error) {
	var ids []int64
	err := walkMembers(ctx, p.repo, group, p.walkBatch, p.callTimeout, func(page []int64) error {
		ids = append(ids, page...)
		return nil
	})
	if err != nil {
		return nil, p.readFailed("walk the members", err)
	}
	return ids, nil
}

// address sets the receivers of an event of route's conversation.
func address(d *gatewaypb.Delivery, route *repopb.Route) {
	if route.Large {
		d.Interested = true
	} else {
		d.UserIds = route.MemberIds
	}
}

// complete returns the event with its conversation's type and, for a
// one-to-one message, the receiver. Events are shared, so it copies to change.
func complete(event *repopb.Event, route *repopb.Route) *repopb.Event {
	single := route.Type == repopb.ConversationType_CONVERSATION_TYPE_SINGLE && event.Kind == repopb.EventKind_EVENT_KIND_MESSAGE
	lacksType := event.ConversationType == repopb.ConversationType_CONVERSATION_TYPE_UNSPECIFIED
	lacksPeer := single && event.PeerId == 0
	if !lacksType && !lacksPeer {
		return event
	}
	full, ok := proto.Clone(event).(*repopb.Event)
	if !ok {
		return event
	}
	if lacksType {
		full.ConversationType = route.Type
	}
	if lacksPeer {
		for _, member := range route.MemberIds {
			if member != event.UserId {
				full.PeerId = member
			}
		}
	}
	return full
}

// union returns the users of both, each once, without changing either.
func union(a, b []int64) []int64 {
	if len(b) == 0 {
		return a
	}
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
