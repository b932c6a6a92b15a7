package task

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/repo/repopb"
)

// planEntry plans one event.
func (p *persister) planEntry(ctx context.Context, pl *plan, e *entry, route *repopb.Route) error {
	event := complete(e.event, route)
	if e.committed == nil {
		d := pl.add(event, !e.duplicate)
		d.Except = e.except
		address(d, event, route)
		return nil
	}
	attach, index := e.committed.AttachUserIds, route.Large
	if e.committed.BecameLarge {
		var err error
		if attach, err = p.members(ctx, event.ConversationId); err != nil {
			return err
		}
		index = true
	}
	d := pl.add(event, false)
	d.AttachUserIds, d.DetachUserIds, d.Index = attach, e.committed.DetachUserIds, index && len(attach) > 0
	if e.committed.BecameLarge {
		d.UserIds = attach // nobody is indexed before it
	} else {
		address(d, event, route)
	}
	return nil
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

// settleSeqs is for how many events after a change of a large group's members its events go to every gateway. Another
// process may deliver the change, and be slower: gateways then hold back what comes above it until it has come.
const settleSeqs = 32

// address sets the receivers of an event of route's conversation.
func address(d *gatewaypb.Delivery, event *repopb.Event, route *repopb.Route) {
	if route.Large {
		d.Interested = true
		d.Everywhere = event.Seq-route.MembersSeq < settleSeqs
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
