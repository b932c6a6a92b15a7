package logic

import (
	"context"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/trace"
	"github.com/gochat-im/gochat/repo/repopb"
	"github.com/gochat-im/gochat/task/taskpb"
)

// announce sends a committed event down its conversation's lane, so that it is delivered in order. The change is made
// already: a bus that refuses costs the members a pull, not the caller an error.
func (s *Service) announce(ctx context.Context, c *taskpb.Committed) {
	if c.GetEvent() == nil {
		return
	}
	record := bus.Record{Key: c.GetEvent().GetConversationId(), Message: &taskpb.Persist{Committed: c}, Trace: trace.RefOf(ctx)}
	if err := s.bus.Publish(ctx, taskpb.PersistTopic, record); err != nil {
		s.log.WarnContext(ctx, "event not announced", "conversation_id", c.GetEvent().GetConversationId(), "seq", c.GetEvent().GetSeq(), "error", err)
	}
}

// announceChange announces a change of a group. Members that it removed are told and detached before it returns, so
// that a kick or leave that has returned is true on every socket.
func (s *Service) announceChange(ctx context.Context, change *repopb.GroupChange) error {
	event := change.GetEvent()
	if event == nil {
		return nil
	}
	var err error
	if removed := change.GetRemovedUserIds(); len(removed) > 0 {
		_, err = s.gateways.Deliver(ctx, &gatewaypb.DeliverRequest{Deliveries: []*gatewaypb.Delivery{{
			Body:          &gatewaypb.Delivery_Event{Event: event},
			UserIds:       removed,
			DetachUserIds: removed,
			Private:       true,
		}}})
	}
	s.announce(ctx, &taskpb.Committed{
		Event: event, AttachUserIds: change.GetAddedUserIds(), BecameLarge: change.GetBecameLarge(), DetachUserIds: change.GetRemovedUserIds(),
	})
	return err
}

// suspend begins or ends that a user's sockets get nothing of a conversation while its membership is changed.
func (s *Service) suspend(ctx context.Context, conversation, user int64, ended bool) error {
	_, err := s.gateways.Deliver(ctx, &gatewaypb.DeliverRequest{Deliveries: []*gatewaypb.Delivery{{
		Body:    &gatewaypb.Delivery_Suspension{Suspension: &gatewaypb.Suspension{ConversationId: conversation, Ended: ended}},
		UserIds: []int64{user},
	}}})
	return err
}

// deliver hands what has no seq to sockets; who misses it is told by the next sync.
func (s *Service) deliver(ctx context.Context, deliveries ...*gatewaypb.Delivery) {
	if len(deliveries) == 0 {
		return
	}
	if _, err := s.gateways.Deliver(ctx, &gatewaypb.DeliverRequest{Deliveries: deliveries}); err != nil {
		s.log.WarnContext(ctx, "not delivered", "error", err)
	}
}
