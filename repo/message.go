package repo

import (
	"context"
	"log/slog"

	"github.com/gochat-im/gochat/repo/repopb"
)

// CreateMessages implements RepoService. The routes are as of the commit or later, so whoever left before it gets
// nothing and whoever joined before it gets all.
func (s *Service) CreateMessages(ctx context.Context, r *repopb.CreateMessagesRequest) (*repopb.CreateMessagesResponse, error) {
	created, err := s.store.CreateMessages(ctx, r)
	if err != nil {
		return nil, err
	}
	s.trace(ctx, r, created)
	ids := make([]int64, 0, 16)
	least := make(map[int64]int64, 16)
	for _, result := range created.GetResults() {
		ev := result.GetEvent()
		if ev == nil || result.GetDuplicate() {
			continue
		}
		if _, ok := least[ev.GetConversationId()]; !ok {
			ids = append(ids, ev.GetConversationId())
		}
		least[ev.GetConversationId()] = ev.GetMembersSeq()
	}
	if len(ids) > 0 {
		created.Routes, err = s.routesOf(context.WithoutCancel(ctx), ids, least)
		if err != nil {
			return nil, err // stored; the caller's retry finds duplicates and acks them
		}
	}
	return created, nil
}

// trace tells, in a debug log, what was stored.
func (s *Service) trace(ctx context.Context, r *repopb.CreateMessagesRequest, created *repopb.CreateMessagesResponse) {
	if !s.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	for i, result := range created.GetResults() {
		if e := result.GetEvent(); e != nil {
			s.log.DebugContext(ctx, "message committed", "request_id", r.GetMessages()[i].GetRequestId(),
				"conversation_id", e.GetConversationId(), "seq", e.GetSeq())
		}
	}
}

// GetMessages implements RepoService.
func (s *Service) GetMessages(ctx context.Context, r *repopb.GetMessagesRequest) (*repopb.GetMessagesResponse, error) {
	return s.store.Messages(ctx, r)
}

// EditMessage implements RepoService.
func (s *Service) EditMessage(ctx context.Context, r *repopb.EditMessageRequest) (*repopb.Event, error) {
	return s.store.EditMessage(ctx, r)
}

// HideMessage implements RepoService.
func (s *Service) HideMessage(ctx context.Context, r *repopb.HideMessageRequest) (*repopb.Empty, error) {
	return empty(s.store.HideMessage(ctx, r))
}

// MarkDelivered implements RepoService.
func (s *Service) MarkDelivered(ctx context.Context, r *repopb.MarkDeliveredRequest) (*repopb.MarkDeliveredResponse, error) {
	return s.store.MarkDelivered(ctx, r)
}

// UpdateMessageStatus implements RepoService.
func (s *Service) UpdateMessageStatus(ctx context.Context, r *repopb.UpdateMessageStatusRequest) (*repopb.UpdateMessageStatusResponse, error) {
	return s.store.UpdateMessageStatus(ctx, r)
}

// GetChanges implements RepoService.
func (s *Service) GetChanges(ctx context.Context, r *repopb.GetChangesRequest) (*repopb.GetChangesResponse, error) {
	return s.store.Changes(ctx, r)
}
