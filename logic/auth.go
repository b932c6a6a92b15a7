package logic

import (
	"context"
	"errors"
	"strings"

	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/token"
	"github.com/gochat-im/gochat/repo/repopb"
)

// errCredentials is the one answer to an unknown name, a wrong password and a disabled account.
var errCredentials = errs.New(errs.Unauthorized, "wrong username or password")

// Authenticate implements LogicService. Failures are limited by account, whether it exists or not, and by address; a
// success forgets the account's failures.
func (s *Service) Authenticate(ctx context.Context, r *logicpb.AuthenticateRequest) (*logicpb.AuthenticateResponse, error) {
	if err := checkText("device_id", r.GetDeviceId(), 0, maxDevice, false); err != nil {
		return nil, err
	}
	if err := checkText("platform", r.GetPlatform(), 0, maxPlatform, false); err != nil {
		return nil, err
	}
	account := accountKey(r.GetUsername())
	release, err := s.takeTry(ctx, account, r.GetClientAddress())
	if err != nil {
		s.metrics.logins.WithLabelValues("limited").Inc()
		return nil, err
	}
	credentials, err := s.checkCredentials(ctx, account, r.GetPassword())
	release(err)
	if err != nil {
		s.metrics.logins.WithLabelValues(loginOutcome(err)).Inc()
		return nil, err
	}
	// A caller that hangs up now must not leave a replaced session's sockets open.
	ctx, cancel := s.unhurried(ctx)
	defer cancel()
	response, err := s.openSession(ctx, r, credentials)
	s.metrics.logins.WithLabelValues(loginOutcome(err)).Inc()
	return response, err
}

func loginOutcome(err error) string {
	switch errs.CodeOf(err) {
	case errs.OK:
		return "ok"
	case errs.Unauthorized:
		return "wrong"
	default:
		return "failed"
	}
}

// takeTry takes one try of an account and of an address before the work is done, so that many at once count as many.
// release gives back what was no failure: a success forgets those of the account, and what the server could not decide
// counts for neither. Without an address (the operator's socket) only the account counts.
func (s *Service) takeTry(ctx context.Context, account, address string) (release func(error), err error) {
	if address != "" {
		if ok, wait := s.byAddress.Allow(ctx, address); !ok {
			return nil, errs.New(errs.RateLimited, "too many failed logins from this address").RetryAfter(wait)
		}
	}
	if ok, wait := s.byAccount.Allow(ctx, account); !ok {
		return nil, errs.New(errs.RateLimited, "too many failed logins of this account").RetryAfter(wait)
	}
	ctx = context.WithoutCancel(ctx)
	return func(err error) {
		switch errs.CodeOf(err) {
		case errs.OK:
			s.byAccount.Reset(ctx, account)
		case errs.Unauthorized:
			return
		default:
			s.byAccount.Give(ctx, account)
		}
		s.byAddress.Give(ctx, address)
	}, nil
}

// openSession stores the session of a login whose credentials were right when they were read.
func (s *Service) openSession(ctx context.Context, r *logicpb.AuthenticateRequest, was *repopb.Credentials) (*logicpb.AuthenticateResponse, error) {
	user := was.GetUser()
	refresh, hash := token.NewOpaque()
	created, err := s.repo.CreateSession(ctx, &repopb.CreateSessionRequest{
		Session: &repopb.Session{
			UserId: user.GetId(), DeviceId: r.GetDeviceId(), Platform: r.GetPlatform(), ExpiresAt: s.now().Add(s.cfg.SessionTTL).UnixMilli(),
		},
		RefreshHash: hash,
		MaxSessions: int32(s.cfg.MaxSessions),
	})
	if err != nil {
		return nil, err
	}
	for _, old := range created.GetReplaced() {
		code, reason := int32(closeLoggedOut), "the oldest of too many sessions"
		if old.GetDeviceId() != "" && old.GetDeviceId() == r.GetDeviceId() {
			code, reason = closeReplaced, "the device logged in again"
		}
		if err := s.disconnect(ctx, user.GetId(), []int64{old.GetId()}, code, reason); err != nil {
			return nil, err
		}
	}
	session := created.GetSession().GetId()
	if err := s.stillRight(ctx, was, r.GetPassword()); err != nil {
		if _, revokeErr := s.revoke(ctx, &repopb.RevokeSessionsRequest{UserId: user.GetId(), SessionIds: []int64{session}}, "revoked"); revokeErr != nil {
			err = revokeErr
		}
		return nil, err
	}
	return s.tokens(user, session, refresh)
}

// stillRight reads the credentials again, now that the session is stored: a password change or a ban that committed
// between the check and the session did not see the session, one that commits later revokes it. A hash that only changed
// its cost still fits.
func (s *Service) stillRight(ctx context.Context, was *repopb.Credentials, password string) error {
	is, err := s.repo.GetCredentials(ctx, &repopb.GetCredentialsRequest{UserId: was.GetUser().GetId()})
	if err != nil {
		return err
	}
	if is.GetUser().GetStatus() != repopb.UserStatus_USER_STATUS_ACTIVE {
		return errCredentials
	}
	if is.GetPasswordHash() == was.GetPasswordHash() {
		return nil
	}
	ok, err := s.passwords.Verify(ctx, is.GetPasswordHash(), password)
	if err == nil && !ok {
		err = errCredentials
	}
	return err
}

// accountKey is a username as the limits know it: neither case nor blanks make another account of it. What is too long
// for a name is cut, so that the limits' memory stays bounded.
func accountKey(username string) string {
	username = strings.TrimSpace(username)
	return strings.ToLower(strings.Clone(username[:min(len(username), 2*maxUsername)]))
}

// checkCredentials takes the same time whether the account exists or not.
func (s *Service) checkCredentials(ctx context.Context, account, password string) (*repopb.Credentials, error) {
	if len(password) > 4*maxPassword { // no account has such a password
		password = password[:4*maxPassword]
	}
	c, err := s.repo.GetCredentials(ctx, &repopb.GetCredentialsRequest{Username: account})
	if errs.CodeOf(err) == errs.NotFound {
		if err := s.passwords.VerifyDummy(ctx, password); err != nil {
			return nil, err
		}
		return nil, errCredentials
	}
	if err != nil {
		return nil, err
	}
	ok, err := s.passwords.Verify(ctx, c.GetPasswordHash(), password)
	if err != nil {
		return nil, err
	}
	if !ok || c.GetUser().GetStatus() != repopb.UserStatus_USER_STATUS_ACTIVE {
		return nil, errCredentials
	}
	if s.passwords.NeedsRehash(c.GetPasswordHash()) {
		return s.rehash(ctx, c, password), nil
	}
	return c, nil
}

// rehash stores a hash of the present cost and returns the credentials with it. It is a courtesy: a failure leaves the
// old hash, which still works.
func (s *Service) rehash(ctx context.Context, c *repopb.Credentials, password string) *repopb.Credentials {
	user := c.GetUser().GetId()
	hash, err := s.passwords.Hash(ctx, password)
	if err == nil {
		_, err = s.repo.SetPassword(ctx, &repopb.SetPasswordRequest{UserId: user, PasswordHash: hash, KeepAllSessions: true, ExpectedHash: c.GetPasswordHash()})
	}
	if err != nil {
		s.log.WarnContext(ctx, "password not rehashed", "user_id", user, "error", err)
		return c
	}
	return &repopb.Credentials{User: c.GetUser(), PasswordHash: hash}
}

func (s *Service) tokens(user *repopb.User, sessionID int64, refresh string) (*logicpb.AuthenticateResponse, error) {
	now := s.now()
	access, err := s.keys.Sign(token.Claims{UserID: user.GetId(), SessionID: sessionID, IssuedAt: now, ExpiresAt: now.Add(s.cfg.AccessTokenTTL)})
	if err != nil {
		return nil, err
	}
	return &logicpb.AuthenticateResponse{
		AccessToken: access, RefreshToken: refresh, ExpiresInMs: s.cfg.AccessTokenTTL.Milliseconds(), User: user, SessionId: sessionID,
	}, nil
}

// Refresh implements LogicService.
func (s *Service) Refresh(ctx context.Context, r *logicpb.RefreshRequest) (*logicpb.AuthenticateResponse, error) {
	hash := token.HashOpaque(r.GetRefreshToken())
	if hash == nil {
		return nil, errs.New(errs.Unauthorized, "invalid refresh token")
	}
	ctx, cancel := s.unhurried(ctx)
	defer cancel()
	refresh, next := token.NewOpaque()
	rotated, err := s.repo.RotateSession(ctx, &repopb.RotateSessionRequest{
		RefreshHash: hash, NextRefreshHash: next, ExpiresAt: s.now().Add(s.cfg.SessionTTL).UnixMilli(),
	})
	if err != nil {
		return nil, err
	}
	session := rotated.GetSession()
	if rotated.GetReused() {
		// Two hold copies of one token, and nobody can tell which one is the thief: the session ends.
		s.log.WarnContext(ctx, "refresh token used twice", "user_id", session.GetUserId(), "session_id", session.GetId())
		if err := s.disconnect(ctx, session.GetUserId(), []int64{session.GetId()}, closeLoggedOut, "session revoked"); err != nil {
			return nil, err
		}
		return nil, errs.New(errs.Unauthorized, "the refresh token was used before; the session is revoked")
	}
	user, err := s.repo.GetUser(ctx, &repopb.GetUserRequest{Id: session.GetUserId()})
	if err != nil {
		return nil, err
	}
	if user.GetStatus() != repopb.UserStatus_USER_STATUS_ACTIVE {
		return nil, errs.New(errs.Unauthorized, "the account is disabled")
	}
	return s.tokens(user, session.GetId(), refresh)
}

// ValidateToken implements LogicService.
func (s *Service) ValidateToken(ctx context.Context, r *logicpb.ValidateTokenRequest) (*logicpb.Identity, error) {
	c, err := s.keys.Verify(r.GetToken(), s.now())
	switch {
	case errors.Is(err, token.ErrExpired):
		return nil, unauthorized("expired", "the access token has expired")
	case err != nil:
		return nil, unauthorized("invalid", "invalid access token")
	}
	session, err := s.liveSession(ctx, c.UserID, c.SessionID)
	if err != nil {
		return nil, err
	}
	return &logicpb.Identity{UserId: c.UserID, SessionId: c.SessionID, ExpiresAt: c.ExpiresAt.UnixMilli(), DeviceId: session.GetDeviceId()}, nil
}

// CheckSession implements LogicService. Revoking commits first and closes sockets second; a gateway that registers a
// socket first and checks its session second therefore either finds it revoked here, or its socket is there to be closed.
func (s *Service) CheckSession(ctx context.Context, r *logicpb.CheckSessionRequest) (*repopb.Empty, error) {
	_, err := s.liveSession(ctx, r.GetUserId(), r.GetSessionId())
	return &repopb.Empty{}, err
}

// liveSession returns a session that is in force, of a user who is.
func (s *Service) liveSession(ctx context.Context, userID, sessionID int64) (*repopb.Session, error) {
	session, err := s.repo.GetSession(ctx, &repopb.GetSessionRequest{Id: sessionID})
	if errs.CodeOf(err) == errs.NotFound {
		return nil, unauthorized("revoked", "the session is gone")
	}
	if err != nil {
		return nil, err
	}
	if session.GetRevokedAt() != 0 || session.GetUserId() != userID {
		return nil, unauthorized("revoked", "the session is revoked")
	}
	user, err := s.repo.GetUser(ctx, &repopb.GetUserRequest{Id: userID})
	if err != nil && errs.CodeOf(err) != errs.NotFound {
		return nil, err
	}
	if user.GetStatus() != repopb.UserStatus_USER_STATUS_ACTIVE {
		return nil, unauthorized("disabled", "the account is disabled")
	}
	s.seen.touch(session, s.now())
	return session, nil
}

func unauthorized(reason, message string) error {
	return errs.New(errs.Unauthorized, "%s", message).With("reason", reason)
}

// GetJWKS implements LogicService.
func (s *Service) GetJWKS(context.Context, *repopb.Empty) (*logicpb.JWKS, error) {
	return &logicpb.JWKS{Json: s.keys.JWKS()}, nil
}
