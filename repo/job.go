package repo

import (
	"context"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

// CreateJobs implements RepoService.
func (s *Service) CreateJobs(ctx context.Context, r *repopb.CreateJobsRequest) (*repopb.Empty, error) {
	for _, j := range r.GetJobs() {
		if j.GetKind() == "" {
			return nil, errs.InvalidField("kind", "must not be empty")
		}
	}
	return empty(s.store.CreateJobs(ctx, r))
}

// ClaimJobs implements RepoService.
func (s *Service) ClaimJobs(ctx context.Context, r *repopb.ClaimJobsRequest) (*repopb.ClaimJobsResponse, error) {
	if err := checkLimit(r.GetLimit()); err != nil {
		return nil, err
	}
	jobs, err := s.store.ClaimJobs(ctx, r)
	return &repopb.ClaimJobsResponse{Jobs: jobs}, err
}

// FinishJobs implements RepoService.
func (s *Service) FinishJobs(ctx context.Context, r *repopb.FinishJobsRequest) (*repopb.Empty, error) {
	return empty(s.store.FinishJobs(ctx, r))
}

// ListDeadJobs implements RepoService.
func (s *Service) ListDeadJobs(ctx context.Context, r *repopb.ListDeadJobsRequest) (*repopb.ListDeadJobsResponse, error) {
	if err := checkLimit(r.GetLimit()); err != nil {
		return nil, err
	}
	return s.store.DeadJobs(ctx, r)
}

// RequeueJobs implements RepoService.
func (s *Service) RequeueJobs(ctx context.Context, r *repopb.RequeueJobsRequest) (*repopb.RequeueJobsResponse, error) {
	n, err := s.store.RequeueJobs(ctx, r)
	return &repopb.RequeueJobsResponse{Requeued: n}, err
}

// ListOutbox implements RepoService.
func (s *Service) ListOutbox(ctx context.Context, r *repopb.ListOutboxRequest) (*repopb.ListOutboxResponse, error) {
	if err := checkLimit(r.GetLimit()); err != nil {
		return nil, err
	}
	entries, err := s.store.Outbox(ctx, r)
	return &repopb.ListOutboxResponse{Entries: entries}, err
}
