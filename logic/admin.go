package logic

import (
	"context"
	"time"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/token"
	"github.com/gochat-im/gochat/repo/repopb"
)

// AdminCreateUser implements LogicService.
func (s *Service) AdminCreateUser(ctx context.Context, r *logicpb.RegisterRequest) (*repopb.User, error) {
	return s.createUser(ctx, r, nil)
}

// AdminSetUserStatus implements LogicService.
func (s *Service) AdminSetUserStatus(ctx context.Context, r *logicpb.AdminSetUserStatusRequest) (*repopb.User, error) {
	status := r.GetStatus()
	if status != repopb.UserStatus_USER_STATUS_ACTIVE && status != repopb.UserStatus_USER_STATUS_DISABLED {
		return nil, errs.InvalidField("status", "must be active or disabled")
	}
	user, err := s.repo.GetUser(ctx, &repopb.GetUserRequest{Username: r.GetUsername()})
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.unhurried(ctx)
	defer cancel()
	updated, err := s.repo.UpdateUser(ctx, &repopb.UpdateUserRequest{Id: user.GetId(), Status: &status})
	if err != nil {
		return nil, err
	}
	if status == repopb.UserStatus_USER_STATUS_DISABLED {
		if _, err := s.repo.RevokeSessions(ctx, &repopb.RevokeSessionsRequest{UserId: user.GetId()}); err != nil {
			return nil, err
		}
		_, err = s.gateways.Disconnect(ctx, &gatewaypb.DisconnectRequest{UserId: user.GetId(), Code: closeBanned, Reason: "the account is disabled"})
	}
	return updated, err
}

// AdminResetPassword implements LogicService.
func (s *Service) AdminResetPassword(ctx context.Context, r *logicpb.AdminResetPasswordRequest) (*repopb.Empty, error) {
	user, err := s.repo.GetUser(ctx, &repopb.GetUserRequest{Username: r.GetUsername()})
	if err != nil {
		return nil, err
	}
	if err := checkPassword("new_password", r.GetNewPassword(), user.GetUsername()); err != nil {
		return nil, err
	}
	return s.setPassword(ctx, &repopb.SetPasswordRequest{UserId: user.GetId()}, r.GetNewPassword())
}

// AdminListSessions implements LogicService.
func (s *Service) AdminListSessions(ctx context.Context, r *logicpb.AdminUserRequest) (*repopb.ListSessionsResponse, error) {
	user, err := s.repo.GetUser(ctx, &repopb.GetUserRequest{Username: r.GetUsername()})
	if err != nil {
		return nil, err
	}
	return s.sessionsOf(ctx, user.GetId())
}

// AdminRevokeSessions implements LogicService.
func (s *Service) AdminRevokeSessions(ctx context.Context, r *logicpb.AdminUserRequest) (*repopb.RevokedSessions, error) {
	user, err := s.repo.GetUser(ctx, &repopb.GetUserRequest{Username: r.GetUsername()})
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.unhurried(ctx)
	defer cancel()
	revoked, err := s.repo.RevokeSessions(ctx, &repopb.RevokeSessionsRequest{UserId: user.GetId()})
	if err != nil {
		return nil, err
	}
	_, err = s.gateways.Disconnect(ctx, &gatewaypb.DisconnectRequest{UserId: user.GetId(), Code: closeLoggedOut, Reason: "sessions ended by the operator"})
	return revoked, err
}

const maxInvitationLife = 366 * 24 * time.Hour

// AdminCreateInvitation implements LogicService.
func (s *Service) AdminCreateInvitation(ctx context.Context, r *logicpb.AdminCreateInvitationRequest) (*logicpb.AdminCreateInvitationResponse, error) {
	if r.GetExpiresInMs() <= 0 || r.GetExpiresInMs() > maxInvitationLife.Milliseconds() {
		return nil, errs.InvalidField("expires_in", "must be more than 0 and at most a year")
	}
	code, hash := token.NewOpaque()
	_, err := s.repo.CreateInvitation(ctx, &repopb.CreateInvitationRequest{
		CodeHash: hash, ExpiresAt: s.now().Add(time.Duration(r.GetExpiresInMs()) * time.Millisecond).UnixMilli(),
	})
	if err != nil {
		return nil, err
	}
	return &logicpb.AdminCreateInvitationResponse{Code: code}, nil
}
