package bench

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/gochat-im/gochat/platform/datadir"
	"github.com/gochat-im/gochat/platform/id"
	"github.com/gochat-im/gochat/platform/token"
	"github.com/gochat-im/gochat/repo"
	"github.com/gochat-im/gochat/repo/repopb"
)

const (
	seedWorkers  = 64 // the writer commits what they wait for in one transaction
	seedTokenTTL = 24 * time.Hour
)

// seed writes a plan straight into a data folder that no server holds.
func (w *world) seed(ctx context.Context, path string, p plan) error {
	dir, err := datadir.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	keys, err := token.Load(dir.Keys())
	if err != nil {
		return err
	}
	cfg := repo.DefaultConfig()
	cfg.DataDir = dir.Path()
	store, err := repo.Open(ctx, cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		return err
	}
	if err := w.fill(ctx, store, keys, p); err != nil {
		_ = store.Close(ctx)
		return err
	}
	return store.Close(ctx)
}

func (w *world) fill(ctx context.Context, store repopb.RepoServiceServer, keys *token.Keys, p plan) error {
	w.Accounts = make([]account, p.Users)
	ids := make([]int64, p.Users)
	err := each(ctx, p.Users, func(ctx context.Context, i int) (err error) {
		ids[i], w.Accounts[i], err = seedAccount(ctx, store, keys, i)
		return err
	})
	if err != nil {
		return err
	}
	w.Singles = make([]string, len(p.Singles))
	err = each(ctx, len(p.Singles), func(ctx context.Context, i int) error {
		pair := p.Singles[i]
		resp, err := store.CreateConversation(ctx, &repopb.CreateConversationRequest{UserId: ids[pair[0]], PeerId: ids[pair[1]]})
		if err != nil {
			return fmt.Errorf("create a conversation: %w", err)
		}
		w.Singles[i] = id.Format(resp.GetConversation().GetConversation().GetId())
		return nil
	})
	if err != nil {
		return err
	}
	for _, members := range p.Groups {
		group, err := seedGroup(ctx, store, ids, members)
		if err != nil {
			return err
		}
		w.Groups = append(w.Groups, id.Format(group))
	}
	if p.Seed != nil {
		return p.Seed(ctx, store, w)
	}
	return nil
}

// addAtOnce is how many members are added in one call.
const addAtOnce = 500

func seedGroup(ctx context.Context, store repopb.RepoServiceServer, ids []int64, members []int) (int64, error) {
	owner := ids[members[0]]
	resp, err := store.CreateGroup(ctx, &repopb.CreateGroupRequest{Group: &repopb.Group{
		Name: "bench", OwnerId: owner, MaxMembers: int32(len(members) + 1000), //nolint:gosec // a group's size
		JoinPolicy: repopb.JoinPolicy_JOIN_POLICY_OPEN,
	}})
	if err != nil {
		return 0, fmt.Errorf("create a group: %w", err)
	}
	group := resp.GetChange().GetGroup().GetId()
	for chunk := range slices.Chunk(members[1:], addAtOnce) {
		request := &repopb.AddGroupMemberRequest{GroupId: group, ActorId: owner}
		for _, m := range chunk {
			request.UserIds = append(request.UserIds, ids[m])
		}
		if _, err := store.AddGroupMember(ctx, request); err != nil {
			return 0, fmt.Errorf("add members: %w", err)
		}
	}
	return group, nil
}

// seedAccount creates a user that is logged in. Nobody can log in to it with a
// password: its hash is none.
func seedAccount(ctx context.Context, store repopb.RepoServiceServer, keys *token.Keys, i int) (int64, account, error) {
	user, err := store.CreateUser(ctx, &repopb.CreateUserRequest{
		User: &repopb.User{
			Username: fmt.Sprintf("bench%06d", i), Nickname: fmt.Sprintf("Bench %d", i),
			Email: fmt.Sprintf("bench%06d@example.org", i), Status: repopb.UserStatus_USER_STATUS_ACTIVE,
		},
		PasswordHash: "none",
	})
	if err != nil {
		return 0, account{}, fmt.Errorf("create a user: %w", err)
	}
	now := time.Now()
	_, hash := token.NewOpaque()
	session, err := store.CreateSession(ctx, &repopb.CreateSessionRequest{
		Session: &repopb.Session{
			UserId: user.GetId(), Platform: "bench",
			CreatedAt: now.UnixMilli(), LastSeenAt: now.UnixMilli(), ExpiresAt: now.Add(seedTokenTTL).UnixMilli(),
		},
		RefreshHash: hash,
	})
	if err != nil {
		return 0, account{}, fmt.Errorf("create a session: %w", err)
	}
	access, err := keys.Sign(token.Claims{
		UserID: user.GetId(), SessionID: session.GetSession().GetId(), IssuedAt: now, ExpiresAt: now.Add(seedTokenTTL),
	})
	return user.GetId(), account{ID: id.Format(user.GetId()), Token: access}, err
}

// each calls f for 0 to n-1, many at a time.
func each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(seedWorkers)
	for i := range n {
		group.Go(func() error { return f(ctx, i) })
	}
	return group.Wait()
}
