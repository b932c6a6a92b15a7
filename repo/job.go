package repo

import (
	"context"

	"github.com/gochat-im/gochat/repo/repopb"
)

// CreateJobs implements RepoService.
func (s *Service) CreateJobs(ctx context.Context, r *repopb.CreateJobsRequest) (*repopb.Empty, error) {
	return empty(s.store.CreateJobs(ctx, r))
}

// ClaimJobs implements RepoService.
func (s *Service) ClaimJobs(ctx context.Context, r *repopb.ClaimJobsRequest) (*repopb.ClaimJobsResponse, error) {
	jobs, err := s.store.ClaimJobs(ctx, r)
	return &repopb.ClaimJobsResponse{Jobs: jobs}, err
}

// FinishJobs implements RepoService.
func (s *Service) FinishJobs(ctx context.Context, r *repopb.FinishJobsRequest) (*repopb.Empty, error) {
	return empty(s.store.FinishJobs(ctx, r))
}

// ListDeadJobs implements RepoService.
func (s *Service) ListDeadJobs(ctx context.Context, r *repopb.ListDeadJobsRequest) (*repopb.ListDeadJobsResponse, error) {
	return s.store.DeadJobs(ctx, r)
}

// RequeueJobs implements RepoService.
func (s *Service) RequeueJobs(ctx context.Context, r *repopb.RequeueJobsRequest) (*repopb.RequeueJobsResponse, error) {
	n, err := s.store.RequeueJobs(ctx, r)
	return &repopb.RequeueJobsResponse{Requeued: n}, err
}

// ListOutbox implements RepoService.
func (s *Service) ListOutbox(ctx context.Context, r *repopb.ListOutboxRequest) (*repopb.ListOutboxResponse, error) {
	entries, err := s.store.Outbox(ctx, r)
	return &repopb.ListOutboxResponse{Entries: entries}, err
}
