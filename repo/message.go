package repo

import (
	"context"

	"github.com/gochat-im/gochat/repo/repopb"
)

// CreateMessages implements RepoService. The routes are read after the commit, so whoever left before it gets nothing
// and whoever joined before it gets all.
func (s *Service) CreateMessages(ctx context.Context, r *repopb.CreateMessagesRequest) (*repopb.CreateMessagesResponse, error) {
	created, err := s.store.CreateMessages(ctx, r)
	if err != nil {
		return nil, err
	}
	ids := make([]int64, 0, 16)
	seen := make(map[int64]struct{}, 16)
	for _, result := range created.GetResults() {
		if result.GetEvent() == nil || result.GetDuplicate() {
			continue
		}
		id := result.GetEvent().GetConversationId()
		if _, ok := seen[id]; !ok {
			seen[id] = struct{}{}
			ids = append(ids, id)
		}
	}
	if len(ids) > 0 {
		routes, err := s.GetRoutes(context.WithoutCancel(ctx), &repopb.GetRoutesRequest{ConversationIds: ids})
		if err != nil {
			return nil, err // stored; the caller's retry finds duplicates and acks them
		}
		created.Routes = routes.GetRoutes()
	}
	return created, nil
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

// UpdateMessageStatus implements RepoService.
func (s *Service) UpdateMessageStatus(ctx context.Context, r *repopb.UpdateMessageStatusRequest) (*repopb.UpdateMessageStatusResponse, error) {
	return s.store.UpdateMessageStatus(ctx, r)
}

// GetChanges implements RepoService.
func (s *Service) GetChanges(ctx context.Context, r *repopb.GetChangesRequest) (*repopb.GetChangesResponse, error) {
	return s.store.Changes(ctx, r)
}
