package sqlstore

import (
	"context"
	"fmt"
	"strings"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/id"
	"github.com/gochat-im/gochat/repo/repopb"
)

var errNoUser = errs.New(errs.NotFound, "no such user")

const userColumns = "id, username, nickname, avatar, email, status, created_at, updated_at"

func scanUser(r Row) *repopb.User {
	return &repopb.User{
		Id: r.Int64(0), Username: r.Text(1), Nickname: r.Text(2), Avatar: r.Text(3), Email: r.Text(4),
		Status: repopb.UserStatus(r.Int32(5)), CreatedAt: r.Int64(6), UpdatedAt: r.Int64(7),
	}
}

// idTries is how often a new id may meet one that exists: 22 random bits a millisecond make a second meeting unlikely.
const idTries = 5

// freeID returns an id that a table does not have.
func (t *Tx) freeID(table string) (int64, error) {
	for range idTries {
		v := id.New()
		_, taken, err := t.QueryInt("SELECT 1 FROM "+table+" WHERE id = ?", v)
		if err != nil || !taken {
			return v, err
		}
	}
	return 0, errs.New(errs.Internal, "no free id in %s", table)
}

// CreateUser implements repo.Store.
func (s *Store) CreateUser(ctx context.Context, r *repopb.CreateUserRequest) (*repopb.User, error) {
	var user *repopb.User
	err := s.engine.Write(ctx, func(t *Tx) error {
		in := r.GetUser()
		key := strings.ToLower(in.GetUsername())
		_, taken, err := t.QueryInt("SELECT id FROM users WHERE username_key = ?", key)
		if err != nil {
			return fmt.Errorf("look the username up: %w", err)
		}
		if taken {
			return errs.New(errs.Conflict, "username: is taken").With("field", "username")
		}
		if err := t.checkInvitation(r.GetInvitationHash()); err != nil {
			return err
		}
		user = &repopb.User{
			Id: in.GetId(), Username: in.GetUsername(), Nickname: in.GetNickname(), Avatar: in.GetAvatar(), Email: in.GetEmail(),
			Status: in.GetStatus(), CreatedAt: t.now, UpdatedAt: t.now,
		}
		if err := t.chooseUserID(user); err != nil {
			return err
		}
		_, err = t.Exec(`INSERT INTO users (id, username, username_key, nickname, nickname_key, avatar, email, password_hash, status, created_at, updated_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			user.GetId(), user.GetUsername(), key, user.GetNickname(), strings.ToLower(user.GetNickname()), user.GetAvatar(), user.GetEmail(),
			r.GetPasswordHash(), int64(user.GetStatus()), t.now, t.now)
		if err != nil {
			return fmt.Errorf("insert user: %w", err)
		}
		if len(r.GetInvitationHash()) > 0 {
			_, err = t.Exec("UPDATE invitations SET used_by = ?, used_at = ? WHERE code_hash = ?", user.GetId(), t.now, r.GetInvitationHash())
			if err != nil {
				return fmt.Errorf("use the invitation: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return user, nil
}

// chooseUserID gives a user an id, unless it has one that is free.
func (t *Tx) chooseUserID(user *repopb.User) (err error) {
	if user.GetId() == 0 {
		user.Id, err = t.freeID("users")
		return err
	}
	_, taken, err := t.QueryInt("SELECT 1 FROM users WHERE id = ?", user.GetId())
	if err != nil {
		return fmt.Errorf("look the user up: %w", err)
	}
	if taken {
		return errs.New(errs.Conflict, "the user exists")
	}
	return nil
}

// checkInvitation wants an invitation that exists, is not used and has not expired; an empty hash asks for none.
func (t *Tx) checkInvitation(hash []byte) error {
	if len(hash) == 0 {
		return nil
	}
	_, found, err := t.QueryInt("SELECT 1 FROM invitations WHERE code_hash = ? AND used_by = 0 AND expires_at > ?"+t.forUpdate(), hash, t.now)
	if err != nil {
		return fmt.Errorf("look the invitation up: %w", err)
	}
	if !found {
		return errs.New(errs.Forbidden, "the invitation is unknown, used or expired").With("field", "invitation")
	}
	return nil
}

// CreateInvitation implements repo.Store.
func (s *Store) CreateInvitation(ctx context.Context, r *repopb.CreateInvitationRequest) error {
	return s.engine.Write(ctx, func(t *Tx) error {
		_, err := t.Exec("INSERT INTO invitations (code_hash, created_by, created_at, expires_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
			r.GetCodeHash(), r.GetCreatedBy(), t.now, r.GetExpiresAt())
		if err != nil {
			return fmt.Errorf("insert invitation: %w", err)
		}
		return nil
	})
}

// Users implements repo.Store.
func (s *Store) Users(ctx context.Context, ids []int64) (map[int64]*repopb.User, error) {
	users := make(map[int64]*repopb.User, len(ids))
	err := s.engine.Read(ctx, func(q Conn) error {
		sets := make([][]any, len(ids))
		for i, v := range ids {
			sets[i] = []any{v}
		}
		err := q.QueryEach("SELECT "+userColumns+" FROM users WHERE id = ?", sets, func(i int, r Row) error {
			users[ids[i]] = scanUser(r)
			return nil
		})
		if err != nil {
			return fmt.Errorf("read users: %w", err)
		}
		return nil
	})
	return users, err
}

// Credentials implements repo.Store.
func (s *Store) Credentials(ctx context.Context, r *repopb.GetCredentialsRequest) (*repopb.Credentials, error) {
	where, arg := "id = ?", any(r.GetUserId())
	if r.GetUserId() == 0 {
		where, arg = "username_key = ?", strings.ToLower(r.GetUsername())
	}
	var c *repopb.Credentials
	err := s.engine.Read(ctx, func(q Conn) error {
		return q.Query("SELECT "+userColumns+", password_hash FROM users WHERE "+where, func(r Row) error {
			c = &repopb.Credentials{User: scanUser(r), PasswordHash: r.Text(8)}
			return nil
		}, arg)
	})
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, errNoUser
	}
	return c, nil
}

// The two arms of a search each read a range of an index; a range has no wildcards to inject.
const SearchUsersQuery = `SELECT ` + userColumns + ` FROM (
		SELECT ` + userColumns + `, username_key FROM users WHERE username_key >= ?1 AND username_key < ?2 AND username_key > ?3 AND status = 1
		UNION
		SELECT ` + userColumns + `, username_key FROM users WHERE nickname_key >= ?1 AND nickname_key < ?2 AND username_key > ?3 AND status = 1
	) AS found ORDER BY username_key LIMIT ?4`

// SearchUsers implements repo.Store.
func (s *Store) SearchUsers(ctx context.Context, r *repopb.SearchUsersRequest) ([]*repopb.User, error) {
	prefix := strings.ToLower(r.GetPrefix())
	var users []*repopb.User
	err := s.engine.ReadLists(ctx, func(q Conn) error {
		users = nil
		return q.Query(SearchUsersQuery, func(r Row) error {
			users = append(users, scanUser(r))
			return nil
		}, prefix, prefix+"\U0010FFFF", strings.ToLower(r.GetAfterUsername()), r.GetLimit())
	})
	return users, err
}

// UpdateUser implements repo.Store.
func (s *Store) UpdateUser(ctx context.Context, r *repopb.UpdateUserRequest) (*repopb.User, error) {
	var user *repopb.User
	err := s.engine.Write(ctx, func(t *Tx) error {
		user = nil
		err := t.Query("SELECT "+userColumns+" FROM users WHERE id = ?"+t.forUpdate(), func(r Row) error {
			user = scanUser(r)
			return nil
		}, r.GetId())
		if err != nil {
			return fmt.Errorf("read user: %w", err)
		}
		if user == nil {
			return errNoUser
		}
		if r.Nickname != nil {
			user.Nickname = r.GetNickname()
		}
		if r.Avatar != nil {
			user.Avatar = r.GetAvatar()
		}
		if r.Email != nil {
			user.Email = r.GetEmail()
		}
		if r.Status != nil {
			user.Status = r.GetStatus()
		}
		user.UpdatedAt = t.now
		_, err = t.Exec("UPDATE users SET nickname = ?, nickname_key = ?, avatar = ?, email = ?, status = ?, updated_at = ? WHERE id = ?",
			user.GetNickname(), strings.ToLower(user.GetNickname()), user.GetAvatar(), user.GetEmail(), int64(user.GetStatus()), t.now, user.GetId())
		if err != nil {
			return fmt.Errorf("update user: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return user, nil
}
