package logic

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

// WebSocket close codes that logic gives; docs/protocol.md lists all.
const (
	closeLoggedOut = 4503
	closeReplaced  = 4504
	closeBanned    = 4506
)

// disconnect closes the sockets of sessions before it returns.
func (s *Service) disconnect(ctx context.Context, userID int64, sessionIDs []int64, code int32, reason string) error {
	if len(sessionIDs) == 0 {
		return nil
	}
	_, err := s.gateways.Disconnect(ctx, &gatewaypb.DisconnectRequest{UserId: userID, SessionIds: sessionIDs, Code: code, Reason: reason})
	return err
}

// Logout implements LogicService.
func (s *Service) Logout(ctx context.Context, r *logicpb.LogoutRequest) (*repopb.Empty, error) {
	return s.revoke(ctx, &repopb.RevokeSessionsRequest{UserId: r.GetUserId(), SessionIds: []int64{r.GetSessionId()}}, "logged out")
}

func (s *Service) revoke(ctx context.Context, r *repopb.RevokeSessionsRequest, reason string) (*repopb.Empty, error) {
	ctx, cancel := s.unhurried(ctx)
	defer cancel()
	revoked, err := s.repo.RevokeSessions(ctx, r)
	if err != nil {
		return nil, err
	}
	// Also those that were revoked already: a first try may have ended between the two steps.
	ids := revoked.GetSessionIds()
	if len(r.GetSessionIds()) > 0 {
		ids = r.GetSessionIds()
	}
	return &repopb.Empty{}, s.disconnect(ctx, r.GetUserId(), ids, closeLoggedOut, reason)
}

// ListSessions implements LogicService.
func (s *Service) ListSessions(ctx context.Context, r *logicpb.ListSessionsRequest) (*repopb.ListSessionsResponse, error) {
	return s.sessionsOf(ctx, r.GetUserId())
}

// sessionsOf lists the sessions of a user that are in force: one that expired has ended by itself.
func (s *Service) sessionsOf(ctx context.Context, userID int64) (*repopb.ListSessionsResponse, error) {
	all, err := s.repo.ListSessions(ctx, &repopb.ListSessionsRequest{UserId: userID})
	if err != nil {
		return nil, err
	}
	live, now := &repopb.ListSessionsResponse{}, s.now().UnixMilli()
	for _, session := range all.GetSessions() {
		if session.GetExpiresAt() > now {
			live.Sessions = append(live.Sessions, session)
		}
	}
	return live, nil
}

// RevokeSession implements LogicService.
func (s *Service) RevokeSession(ctx context.Context, r *logicpb.RevokeSessionRequest) (*repopb.Empty, error) {
	if r.GetSessionId() == 0 {
		return s.revoke(ctx, &repopb.RevokeSessionsRequest{UserId: r.GetUserId(), ExceptSessionId: r.GetCurrentSessionId()}, "revoked")
	}
	session, err := s.repo.GetSession(ctx, &repopb.GetSessionRequest{Id: r.GetSessionId()})
	if err != nil {
		return nil, err
	}
	if session.GetUserId() != r.GetUserId() {
		return nil, errs.New(errs.NotFound, "no such session")
	}
	return s.revoke(ctx, &repopb.RevokeSessionsRequest{UserId: r.GetUserId(), SessionIds: []int64{r.GetSessionId()}}, "revoked")
}

// ChangePassword implements LogicService. Wrong old passwords count as failed logins: a stolen session must not guess.
func (s *Service) ChangePassword(ctx context.Context, r *logicpb.ChangePasswordRequest) (*repopb.Empty, error) {
	user, err := s.repo.GetUser(ctx, &repopb.GetUserRequest{Id: r.GetUserId()})
	if err != nil {
		return nil, err
	}
	if err := checkPassword("new_password", r.GetNewPassword(), user.GetUsername()); err != nil {
		return nil, err
	}
	account := accountKey(user.GetUsername())
	release, err := s.takeTry(ctx, account, "")
	if err != nil {
		return nil, err
	}
	credentials, err := s.checkCredentials(ctx, account, r.GetOldPassword())
	release(err)
	if err != nil {
		if errs.CodeOf(err) == errs.Unauthorized {
			return nil, errs.New(errs.Forbidden, "old_password: is wrong").With("field", "old_password")
		}
		return nil, err
	}
	return s.setPassword(ctx, &repopb.SetPasswordRequest{
		UserId: r.GetUserId(), KeepSessionId: r.GetSessionId(), ExpectedHash: credentials.GetPasswordHash(),
	}, r.GetNewPassword())
}

// setPassword completes the request with the password's hash, and closes the sockets of the sessions that it ended.
func (s *Service) setPassword(ctx context.Context, r *repopb.SetPasswordRequest, password string) (*repopb.Empty, error) {
	hash, err := s.passwords.Hash(ctx, password)
	if err != nil {
		return nil, err
	}
	r.PasswordHash = hash
	ctx, cancel := s.unhurried(ctx)
	defer cancel()
	revoked, err := s.repo.SetPassword(ctx, r)
	if err != nil {
		return nil, err
	}
	return &repopb.Empty{}, s.disconnect(ctx, r.GetUserId(), revoked.GetSessionIds(), closeLoggedOut, "the password changed")
}

const (
	touchEvery = time.Minute
	// touchMax bounds the sessions that wait for a write; more are touched on a later use.
	touchMax = 10_000
)

// lastSeen notes when sessions were used and writes it in the background, at most once a minute a session.
type lastSeen struct {
	repo    repopb.RepoServiceServer
	log     *slog.Logger
	timeout time.Duration
	stop    chan struct{}
	done    chan struct{}

	mu      sync.Mutex // guards pending
	pending map[int64]struct{}
}

func newLastSeen(repo repopb.RepoServiceServer, log *slog.Logger, timeout time.Duration) *lastSeen {
	l := &lastSeen{repo: repo, log: log, timeout: timeout, stop: make(chan struct{}), done: make(chan struct{}), pending: map[int64]struct{}{}}
	go l.run()
	return l
}

func (l *lastSeen) touch(session *repopb.Session, now time.Time) {
	if now.UnixMilli()-session.GetLastSeenAt() < touchEvery.Milliseconds() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) < touchMax {
		l.pending[session.GetId()] = struct{}{}
	}
}

func (l *lastSeen) run() {
	defer close(l.done)
	tick := time.NewTicker(touchEvery / 6)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.write()
		case <-l.stop:
			l.write()
			return
		}
	}
}

func (l *lastSeen) write() {
	l.mu.Lock()
	ids := make([]int64, 0, len(l.pending))
	for id := range l.pending {
		ids = append(ids, id)
	}
	clear(l.pending)
	l.mu.Unlock()
	if len(ids) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), l.timeout)
	defer cancel()
	if _, err := l.repo.TouchSessions(ctx, &repopb.TouchSessionsRequest{SessionIds: ids, LastSeenAt: time.Now().UnixMilli()}); err != nil {
		l.log.WarnContext(ctx, "last use of sessions not written", "sessions", len(ids), "error", err)
	}
}

func (l *lastSeen) close() {
	close(l.stop)
	<-l.done
}
