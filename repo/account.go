package repo

import (
	"context"
	"errors"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

// CreateUser implements RepoService.
func (s *Service) CreateUser(ctx context.Context, r *repopb.CreateUserRequest) (*repopb.User, error) {
	return s.store.CreateUser(ctx, r)
}

// GetUser implements RepoService.
func (s *Service) GetUser(ctx context.Context, r *repopb.GetUserRequest) (*repopb.User, error) {
	if r.GetId() == 0 {
		c, err := s.store.Credentials(ctx, &repopb.GetCredentialsRequest{Username: r.GetUsername()})
		return c.GetUser(), err
	}
	return s.user(ctx, r.GetId())
}

func (s *Service) user(ctx context.Context, id int64) (*repopb.User, error) {
	return s.users.Get(ctx, id, func(ctx context.Context, id int64) (*repopb.User, error) {
		found, err := s.store.Users(ctx, []int64{id})
		if err != nil {
			return nil, err
		}
		if u, ok := found[id]; ok {
			return u, nil
		}
		return nil, errs.New(errs.NotFound, "no such user")
	})
}

// GetUsers implements RepoService.
func (s *Service) GetUsers(ctx context.Context, r *repopb.GetUsersRequest) (*repopb.GetUsersResponse, error) {
	found, err := s.users.GetMany(ctx, r.GetIds(), s.store.Users)
	if err != nil {
		return nil, err
	}
	resp := &repopb.GetUsersResponse{Users: make([]*repopb.User, 0, len(found))}
	for _, u := range found {
		resp.Users = append(resp.Users, u)
	}
	return resp, nil
}

// SearchUsers implements RepoService.
func (s *Service) SearchUsers(ctx context.Context, r *repopb.SearchUsersRequest) (*repopb.SearchUsersResponse, error) {
	users, err := s.store.SearchUsers(ctx, r)
	return &repopb.SearchUsersResponse{Users: users}, err
}

// UpdateUser implements RepoService.
func (s *Service) UpdateUser(ctx context.Context, r *repopb.UpdateUserRequest) (*repopb.User, error) {
	user, err := s.store.UpdateUser(ctx, r)
	return user, errors.Join(err, forget(ctx, s.users, r.GetId()))
}

// GetCredentials implements RepoService.
func (s *Service) GetCredentials(ctx context.Context, r *repopb.GetCredentialsRequest) (*repopb.Credentials, error) {
	return s.store.Credentials(ctx, r)
}

// SetPassword implements RepoService.
func (s *Service) SetPassword(ctx context.Context, r *repopb.SetPasswordRequest) (*repopb.RevokedSessions, error) {
	revoked, err := s.store.SetPassword(ctx, r)
	return revoked, errors.Join(err, forget(ctx, s.sessions, revoked.GetSessionIds()...))
}

// CreateInvitation implements RepoService.
func (s *Service) CreateInvitation(ctx context.Context, r *repopb.CreateInvitationRequest) (*repopb.CreateInvitationResponse, error) {
	return &repopb.CreateInvitationResponse{}, s.store.CreateInvitation(ctx, r)
}

// CreateSession implements RepoService.
func (s *Service) CreateSession(ctx context.Context, r *repopb.CreateSessionRequest) (*repopb.CreateSessionResponse, error) {
	created, err := s.store.CreateSession(ctx, r)
	replaced := make([]int64, 0, len(created.GetReplaced()))
	for _, old := range created.GetReplaced() {
		replaced = append(replaced, old.GetId())
	}
	return created, errors.Join(err, forget(ctx, s.sessions, replaced...))
}

// RotateSession implements RepoService.
func (s *Service) RotateSession(ctx context.Context, r *repopb.RotateSessionRequest) (*repopb.RotateSessionResponse, error) {
	rotated, err := s.store.RotateSession(ctx, r)
	return rotated, errors.Join(err, forget(ctx, s.sessions, rotated.GetSession().GetId()))
}

// GetSession implements RepoService.
func (s *Service) GetSession(ctx context.Context, r *repopb.GetSessionRequest) (*repopb.Session, error) {
	return s.sessions.Get(ctx, r.GetId(), s.store.Session)
}

// ListSessions implements RepoService.
func (s *Service) ListSessions(ctx context.Context, r *repopb.ListSessionsRequest) (*repopb.ListSessionsResponse, error) {
	sessions, err := s.store.ListSessions(ctx, r.GetUserId())
	return &repopb.ListSessionsResponse{Sessions: sessions}, err
}

// RevokeSessions implements RepoService.
func (s *Service) RevokeSessions(ctx context.Context, r *repopb.RevokeSessionsRequest) (*repopb.RevokedSessions, error) {
	revoked, err := s.store.RevokeSessions(ctx, r)
	ids := append(append([]int64{}, r.GetSessionIds()...), revoked.GetSessionIds()...)
	return revoked, errors.Join(err, forget(ctx, s.sessions, ids...))
}

// TouchSessions implements RepoService.
func (s *Service) TouchSessions(ctx context.Context, r *repopb.TouchSessionsRequest) (*repopb.Empty, error) {
	err := s.store.TouchSessions(ctx, r)
	return empty(errors.Join(err, forget(ctx, s.sessions, r.GetSessionIds()...)))
}
