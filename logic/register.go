package logic

import (
	"context"

	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/token"
	"github.com/gochat-im/gochat/repo/repopb"
)

// Register implements LogicService.
func (s *Service) Register(ctx context.Context, r *logicpb.RegisterRequest) (*repopb.User, error) {
	var invitation []byte
	switch s.cfg.Registration {
	case RegistrationClosed:
		return nil, errs.New(errs.Forbidden, "registration is closed")
	case RegistrationInvite:
		if invitation = token.HashOpaque(r.GetInvitation()); invitation == nil {
			return nil, errs.New(errs.Forbidden, "registration needs an invitation").With("field", "invitation")
		}
	}
	return s.createUser(ctx, r, invitation)
}

// createUser checks and stores an account. A username is public and its being taken may be told; an e-mail is not, so
// it need not be unique and nobody logs in with one.
func (s *Service) createUser(ctx context.Context, r *logicpb.RegisterRequest, invitation []byte) (*repopb.User, error) {
	if err := checkUsername(r.GetUsername()); err != nil {
		return nil, err
	}
	if err := checkPassword("password", r.GetPassword(), r.GetUsername()); err != nil {
		return nil, err
	}
	if err := checkEmail(r.GetEmail()); err != nil {
		return nil, err
	}
	if err := checkText("nickname", r.GetNickname(), 0, maxNickname, false); err != nil {
		return nil, err
	}
	hash, err := s.passwords.Hash(ctx, r.GetPassword())
	if err != nil {
		return nil, err
	}
	return s.repo.CreateUser(ctx, &repopb.CreateUserRequest{
		User: &repopb.User{
			Username: r.GetUsername(), Nickname: r.GetNickname(), Email: r.GetEmail(), Status: repopb.UserStatus_USER_STATUS_ACTIVE,
		},
		PasswordHash:   hash,
		InvitationHash: invitation,
	})
}
