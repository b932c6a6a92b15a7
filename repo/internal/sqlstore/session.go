package sqlstore

import (
	"context"
	"fmt"
	"slices"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

const (
	sessionColumns = "id, user_id, device_id, platform, created_at, last_seen_at, expires_at, revoked_at"
	// maxListedSessions bounds a list; max_sessions keeps it far below.
	maxListedSessions = 1000
)

// LiveSessionsQuery reads the unrevoked sessions of a user, the oldest first.
const LiveSessionsQuery = "SELECT " + sessionColumns + " FROM sessions WHERE user_id = ? AND revoked_at = 0 ORDER BY created_at, id"

func scanSession(r Row) *repopb.Session {
	return &repopb.Session{
		Id: r.Int64(0), UserId: r.Int64(1), DeviceId: r.Text(2), Platform: r.Text(3), CreatedAt: r.Int64(4),
		LastSeenAt: r.Int64(5), ExpiresAt: r.Int64(6), RevokedAt: r.Int64(7),
	}
}

// liveSessions returns a user's unrevoked sessions, the oldest first.
func liveSessions(q Conn, userID int64) ([]*repopb.Session, error) {
	var list []*repopb.Session
	err := q.Query(LiveSessionsQuery, func(r Row) error {
		list = append(list, scanSession(r))
		return nil
	}, userID)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	return list, nil
}

// revokeSession ends a session; its tokens die with it.
func (t *Tx) revokeSession(id int64) error {
	if _, err := t.Exec("UPDATE sessions SET revoked_at = ? WHERE id = ? AND revoked_at = 0", t.now, id); err != nil {
		return fmt.Errorf("revoke session: %w", err)
	}
	return nil
}

// CreateSession implements repo.Store.
func (s *Store) CreateSession(ctx context.Context, r *repopb.CreateSessionRequest) (*repopb.CreateSessionResponse, error) {
	var resp *repopb.CreateSessionResponse
	err := s.engine.Write(ctx, func(t *Tx) error {
		in := r.GetSession()
		if err := t.lockRow("users", in.GetUserId()); err != nil {
			return err
		}
		live, err := liveSessions(t, in.GetUserId())
		if err != nil {
			return err
		}
		id := in.GetId()
		if id == 0 {
			if id, err = t.freeID("sessions"); err != nil {
				return err
			}
		}
		resp = &repopb.CreateSessionResponse{Session: &repopb.Session{
			Id: id, UserId: in.GetUserId(), DeviceId: in.GetDeviceId(), Platform: in.GetPlatform(),
			CreatedAt: t.now, LastSeenAt: t.now, ExpiresAt: in.GetExpiresAt(),
		}}
		room := int(r.GetMaxSessions()) - 1
		for i, old := range live {
			tooMany := r.GetMaxSessions() > 0 && len(live)-i > room
			if tooMany || in.GetDeviceId() != "" && old.GetDeviceId() == in.GetDeviceId() {
				if err := t.revokeSession(old.GetId()); err != nil {
					return err
				}
				resp.Replaced = append(resp.Replaced, old)
			}
		}
		_, err = t.Exec("INSERT INTO sessions (id, user_id, device_id, platform, created_at, last_seen_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
			id, in.GetUserId(), in.GetDeviceId(), in.GetPlatform(), t.now, t.now, in.GetExpiresAt())
		if err != nil {
			return fmt.Errorf("insert session: %w", err)
		}
		return t.addRefreshToken(r.GetRefreshHash(), id, in.GetExpiresAt())
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

func (t *Tx) addRefreshToken(hash []byte, sessionID, expiresAt int64) error {
	_, err := t.Exec("INSERT INTO refresh_tokens (token_hash, session_id, expires_at) VALUES (?, ?, ?)", hash, sessionID, expiresAt)
	if err != nil {
		return fmt.Errorf("insert refresh token: %w", err)
	}
	return nil
}

// RotateSession implements repo.Store.
func (s *Store) RotateSession(ctx context.Context, r *repopb.RotateSessionRequest) (*repopb.RotateSessionResponse, error) {
	var resp *repopb.RotateSessionResponse
	err := s.engine.Write(ctx, func(t *Tx) error {
		resp = &repopb.RotateSessionResponse{}
		var sessionID, tokenExpires, usedAt int64
		err := t.Query("SELECT session_id, expires_at, used_at FROM refresh_tokens WHERE token_hash = ?"+t.forUpdate(), func(r Row) error {
			sessionID, tokenExpires, usedAt = r.Int64(0), r.Int64(1), r.Int64(2)
			return nil
		}, r.GetRefreshHash())
		if err != nil {
			return fmt.Errorf("read refresh token: %w", err)
		}
		if err := t.lockRow("sessions", sessionID); err != nil {
			return err
		}
		session, err := readSession(t, sessionID)
		if err != nil {
			return err
		}
		if session == nil || session.GetRevokedAt() != 0 || tokenExpires <= t.now || session.GetExpiresAt() <= t.now {
			return errs.New(errs.Unauthorized, "invalid refresh token")
		}
		resp.Session = session
		if usedAt != 0 {
			resp.Reused = true
			session.RevokedAt = t.now
			return t.revokeSession(sessionID)
		}
		// Used tokens of a session that expired meanwhile can be presented no more.
		if _, err := t.Exec("DELETE FROM refresh_tokens WHERE session_id = ? AND expires_at <= ?", sessionID, t.now); err != nil {
			return fmt.Errorf("delete expired refresh tokens: %w", err)
		}
		if _, err := t.Exec("UPDATE refresh_tokens SET used_at = ? WHERE token_hash = ?", t.now, r.GetRefreshHash()); err != nil {
			return fmt.Errorf("use refresh token: %w", err)
		}
		if err := t.addRefreshToken(r.GetNextRefreshHash(), sessionID, r.GetExpiresAt()); err != nil {
			return err
		}
		session.LastSeenAt, session.ExpiresAt = t.now, r.GetExpiresAt()
		if _, err := t.Exec("UPDATE sessions SET last_seen_at = ?, expires_at = ? WHERE id = ?", t.now, r.GetExpiresAt(), sessionID); err != nil {
			return fmt.Errorf("prolong session: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// readSession returns nil for a session that does not exist.
func readSession(q Conn, id int64) (session *repopb.Session, err error) {
	err = q.Query("SELECT "+sessionColumns+" FROM sessions WHERE id = ?", func(r Row) error {
		session = scanSession(r)
		return nil
	}, id)
	if err != nil {
		return nil, fmt.Errorf("read session: %w", err)
	}
	return session, nil
}

// Session implements repo.Store.
func (s *Store) Session(ctx context.Context, id int64) (*repopb.Session, error) {
	var session *repopb.Session
	err := s.engine.Read(ctx, func(q Conn) (err error) {
		session, err = readSession(q, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	if session == nil {
		return nil, errs.New(errs.NotFound, "no such session")
	}
	return session, nil
}

// ListSessions implements repo.Store.
func (s *Store) ListSessions(ctx context.Context, userID int64) ([]*repopb.Session, error) {
	var list []*repopb.Session
	err := s.engine.Read(ctx, func(q Conn) error {
		list = nil
		return q.Query("SELECT "+sessionColumns+" FROM sessions WHERE user_id = ? AND revoked_at = 0 ORDER BY created_at DESC, id DESC LIMIT ?",
			func(r Row) error {
				list = append(list, scanSession(r))
				return nil
			}, userID, int64(maxListedSessions))
	})
	return list, err
}

// RevokeSessions implements repo.Store.
func (s *Store) RevokeSessions(ctx context.Context, r *repopb.RevokeSessionsRequest) (*repopb.RevokedSessions, error) {
	var revoked *repopb.RevokedSessions
	err := s.engine.Write(ctx, func(t *Tx) (err error) {
		wanted := make(map[int64]bool, len(r.GetSessionIds()))
		for _, id := range r.GetSessionIds() {
			wanted[id] = true
		}
		revoked, err = t.revokeWhere(r.GetUserId(), func(id int64) bool {
			return wanted[id] || len(wanted) == 0 && id != r.GetExceptSessionId()
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return revoked, nil
}

// revokeWhere ends those of a user's sessions that match.
func (t *Tx) revokeWhere(userID int64, match func(id int64) bool) (*repopb.RevokedSessions, error) {
	if err := t.lockRow("users", userID); err != nil {
		return nil, err
	}
	live, err := liveSessions(t, userID)
	if err != nil {
		return nil, err
	}
	revoked := &repopb.RevokedSessions{}
	for _, session := range live {
		if !match(session.GetId()) {
			continue
		}
		if err := t.revokeSession(session.GetId()); err != nil {
			return nil, err
		}
		revoked.SessionIds = append(revoked.SessionIds, session.GetId())
	}
	return revoked, nil
}

// SetPassword implements repo.Store.
func (s *Store) SetPassword(ctx context.Context, r *repopb.SetPasswordRequest) (*repopb.RevokedSessions, error) {
	var revoked *repopb.RevokedSessions
	err := s.engine.Write(ctx, func(t *Tx) (err error) {
		if err := t.lockRow("users", r.GetUserId()); err != nil {
			return err
		}
		expected, found, err := t.QueryInt("SELECT CASE WHEN ?1 = '' OR password_hash = ?1 THEN 1 ELSE 0 END FROM users WHERE id = ?2", r.GetExpectedHash(), r.GetUserId())
		switch {
		case err != nil:
			return fmt.Errorf("read user: %w", err)
		case !found:
			return errNoUser
		case expected == 0:
			return errs.New(errs.Conflict, "the password was changed meanwhile")
		}
		if _, err := t.Exec("UPDATE users SET password_hash = ?, updated_at = ? WHERE id = ?", r.GetPasswordHash(), t.now, r.GetUserId()); err != nil {
			return fmt.Errorf("set password: %w", err)
		}
		revoked, err = t.revokeWhere(r.GetUserId(), func(id int64) bool { return !r.GetKeepAllSessions() && id != r.GetKeepSessionId() })
		return err
	})
	if err != nil {
		return nil, err
	}
	return revoked, nil
}

// TouchSessions implements repo.Store.
func (s *Store) TouchSessions(ctx context.Context, r *repopb.TouchSessionsRequest) error {
	return s.engine.Write(ctx, func(t *Tx) error {
		var rows [][]any
		for _, id := range slices.Sorted(slices.Values(r.GetSessionIds())) { // in the order of every other batch
			rows = append(rows, []any{r.GetLastSeenAt(), id})
		}
		if err := t.ExecEach("UPDATE sessions SET last_seen_at = ?1 WHERE id = ?2 AND last_seen_at < ?1", rows); err != nil {
			return fmt.Errorf("touch sessions: %w", err)
		}
		return nil
	})
}
