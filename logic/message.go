package logic

import (
	"context"
	"slices"
	"time"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
	"github.com/gochat-im/gochat/task/taskpb"
)

// GetMessageHistory implements LogicService.
func (s *Service) GetMessageHistory(ctx context.Context, r *repopb.GetMessagesRequest) (*repopb.GetMessagesResponse, error) {
	limit, err := pageLimit(r.GetLimit())
	switch {
	case err != nil:
		return nil, err
	case r.GetUserId() <= 0: // 0 is the server itself, and nobody may pass for it
		return nil, errs.New(errs.Unauthorized, "no user")
	case r.GetBeforeSeq() < 0:
		return nil, errs.InvalidField("before_seq", "must not be negative")
	case r.GetAfterSeq() < 0:
		return nil, errs.InvalidField("after_seq", "must not be negative")
	}
	return s.repo.GetMessages(ctx, &repopb.GetMessagesRequest{
		ConversationId: r.GetConversationId(), UserId: r.GetUserId(), BeforeSeq: r.GetBeforeSeq(), AfterSeq: r.GetAfterSeq(),
		AfterSet: r.GetAfterSet(), Limit: limit, IncludeAll: r.GetIncludeAll(),
	})
}

// GetUnread implements LogicService.
func (s *Service) GetUnread(ctx context.Context, r *repopb.GetUnreadRequest) (*repopb.GetUnreadResponse, error) {
	return s.repo.GetUnread(ctx, r)
}

// MarkMessageRead implements LogicService. In a group only one's own devices are told: a read marker for every member
// of a large group would cost more than its messages.
func (s *Service) MarkMessageRead(ctx context.Context, r *logicpb.MarkMessageReadRequest) (*repopb.Empty, error) {
	if r.GetSeq() < 0 {
		return nil, errs.InvalidField("seq", "must not be negative")
	}
	ctx, cancel := s.unhurried(ctx)
	defer cancel()
	moved, err := s.repo.UpdateMessageStatus(ctx, &repopb.UpdateMessageStatusRequest{
		ConversationId: r.GetConversationId(), Seq: r.GetSeq(), ActorId: r.GetUserId(), Status: repopb.MessageStatus_MESSAGE_STATUS_READ,
	})
	if err != nil {
		return nil, err
	}
	if moved.GetMoved() {
		told := []int64{r.GetUserId()}
		if peer := moved.GetPeerId(); peer != 0 && peer != r.GetUserId() {
			told = append(told, peer)
		}
		s.deliver(ctx, &gatewaypb.Delivery{
			Body: &gatewaypb.Delivery_Read{Read: &repopb.ReadPointer{
				ConversationId: r.GetConversationId(), UserId: r.GetUserId(), Seq: moved.GetSeq(),
			}},
			UserIds: told, Except: r.GetOrigin(),
		})
	}
	return &repopb.Empty{}, nil
}

// maxConfirmed bounds the pointers of one call.
const maxConfirmed = 1000

// ConfirmDelivery implements LogicService.
func (s *Service) ConfirmDelivery(ctx context.Context, r *repopb.MarkDeliveredRequest) (*repopb.Empty, error) {
	if len(r.GetPointers()) > maxConfirmed {
		return nil, errs.InvalidField("pointers", "must be at most %d", maxConfirmed)
	}
	moved, err := s.repo.MarkDelivered(ctx, r)
	if err != nil {
		return nil, err
	}
	told := make([]*gatewaypb.Delivery, 0, len(moved.GetMoved()))
	for _, p := range moved.GetMoved() {
		told = append(told, &gatewaypb.Delivery{Body: &gatewaypb.Delivery_Delivered{Delivered: p}, UserIds: []int64{p.GetPeerId()}})
	}
	s.deliver(ctx, told...)
	return &repopb.Empty{}, nil
}

// EditMessage implements LogicService.
func (s *Service) EditMessage(ctx context.Context, r *logicpb.EditMessageRequest) (*repopb.Event, error) {
	if err := s.checkContent(r.GetContent()); err != nil {
		return nil, err
	}
	ctx, cancel := s.unhurried(ctx)
	defer cancel()
	event, err := s.repo.EditMessage(ctx, &repopb.EditMessageRequest{
		ConversationId: r.GetConversationId(), Seq: r.GetSeq(), ActorId: r.GetActorId(), Content: r.GetContent(), NotBefore: s.windowStart(s.cfg.EditWindow),
	})
	if err != nil {
		return nil, err
	}
	s.announce(ctx, &taskpb.Committed{Event: event})
	return event, nil
}

// windowStart is the time before which a message is too old for a window; 0 for no limit.
func (s *Service) windowStart(window time.Duration) int64 {
	if window == 0 {
		return 0
	}
	return s.now().Add(-window).UnixMilli()
}

// RecallMessage implements LogicService.
func (s *Service) RecallMessage(ctx context.Context, r *logicpb.RecallMessageRequest) (*repopb.Event, error) {
	if r.GetOnlySelf() {
		return s.hide(ctx, r)
	}
	ctx, cancel := s.unhurried(ctx)
	defer cancel()
	recalled, err := s.repo.UpdateMessageStatus(ctx, &repopb.UpdateMessageStatusRequest{
		ConversationId: r.GetConversationId(), Seq: r.GetSeq(), ActorId: r.GetActorId(),
		Status: repopb.MessageStatus_MESSAGE_STATUS_RECALLED, NotBefore: s.windowStart(s.cfg.RecallWindow),
	})
	if err != nil {
		return nil, err
	}
	s.announce(ctx, &taskpb.Committed{Event: recalled.GetEvent()})
	return recalled.GetEvent(), nil
}

// hide hides a message for one user, on all of their devices. It is no event of the conversation.
func (s *Service) hide(ctx context.Context, r *logicpb.RecallMessageRequest) (*repopb.Event, error) {
	ctx, cancel := s.unhurried(ctx)
	defer cancel()
	_, err := s.repo.HideMessage(ctx, &repopb.HideMessageRequest{ConversationId: r.GetConversationId(), Seq: r.GetSeq(), UserId: r.GetActorId()})
	if err != nil {
		return nil, err
	}
	s.deliver(ctx, &gatewaypb.Delivery{
		Body:    &gatewaypb.Delivery_Hidden{Hidden: &repopb.Hidden{ConversationId: r.GetConversationId(), Seq: r.GetSeq()}},
		UserIds: []int64{r.GetActorId()},
	})
	return &repopb.Event{}, nil
}

// Sync implements LogicService.
func (s *Service) Sync(ctx context.Context, r *repopb.GetChangesRequest) (*repopb.GetChangesResponse, error) {
	if r.GetSince() < 0 {
		return nil, errs.InvalidField("cursor", "must not be negative")
	}
	for conversation, seq := range r.GetHave() {
		if conversation <= 0 || seq < 0 {
			return nil, errs.InvalidField("conversations", "must map ids to seqs")
		}
	}
	return s.repo.GetChanges(ctx, &repopb.GetChangesRequest{
		UserId: r.GetUserId(), Since: r.GetSince(), Have: r.GetHave(), Position: r.GetPosition(),
		MaxEvents: int32(s.cfg.Sync.MaxEvents), MaxPerConversation: int32(s.cfg.Sync.MaxPerConversation),
	})
}

// SetTyping implements LogicService.
func (s *Service) SetTyping(ctx context.Context, r *logicpb.SetTypingRequest) (*repopb.Empty, error) {
	states, err := s.repo.CheckSenders(ctx, &repopb.CheckSendersRequest{
		Senders: []*repopb.CheckSendersRequest_Sender{{ConversationId: r.GetConversationId(), UserId: r.GetUserId()}},
	})
	if err != nil {
		return nil, err
	}
	if err := s.admit(states.GetSenders()[0]); err != nil {
		return nil, err
	}
	routes, err := s.repo.GetRoutes(ctx, &repopb.GetRoutesRequest{ConversationIds: []int64{r.GetConversationId()}})
	if err != nil {
		return nil, err
	}
	for _, route := range routes.GetRoutes() {
		others := slices.DeleteFunc(slices.Clone(route.GetMemberIds()), func(m int64) bool { return m == r.GetUserId() })
		s.deliver(ctx, &gatewaypb.Delivery{
			Body:    &gatewaypb.Delivery_Typing{Typing: &gatewaypb.Typing{ConversationId: r.GetConversationId(), UserId: r.GetUserId()}},
			UserIds: others, Interested: route.GetLarge(), Except: r.GetOrigin(),
		})
	}
	return &repopb.Empty{}, nil
}
