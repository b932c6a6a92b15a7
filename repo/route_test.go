package repo_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gochat-im/gochat/repo"
	"github.com/gochat-im/gochat/repo/internal/sqlite"
	"github.com/gochat-im/gochat/repo/repopb"
)

// committing calls after between a removal's commit and its answer, when no cache has heard of it.
type committing struct {
	repo.Store
	after func()
}

func (s *committing) RemoveGroupMember(ctx context.Context, r *repopb.RemoveGroupMemberRequest) (*repopb.GroupChange, error) {
	change, err := s.Store.RemoveGroupMember(ctx, r)
	s.after()
	return change, err
}

// TestRoutesAreAsOfTheCommit sends a message right after a removal's commit, while the route that knows of the removed
// member is still cached.
func TestRoutesAreAsOfTheCommit(t *testing.T) {
	t.Parallel()
	engine, err := sqlite.Open(t.Context(), sqlite.Options{
		Path: filepath.Join(t.TempDir(), sqlite.FileName), Readers: 2, QueueSize: 16, WriterCache: 1 << 20, ReaderCache: 1 << 20,
		MaxCachedHeads: 100, MaxCachedLists: 100, LargeGroupThreshold: 500,
	}, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	store := &committing{Store: engine}
	s := repo.New(store, repo.DefaultConfig().Cache, slog.New(slog.DiscardHandler), nil)
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	owner, removed := newUser(t, s, "owner"), newUser(t, s, "removed")
	group, err := s.CreateGroup(t.Context(), &repopb.CreateGroupRequest{
		Group: &repopb.Group{Name: "g", OwnerId: owner, MaxMembers: 10, JoinPolicy: repopb.JoinPolicy_JOIN_POLICY_OPEN}, MemberIds: []int64{removed},
	})
	if err != nil {
		t.Fatal(err)
	}
	id := group.GetChange().GetGroup().GetId()
	send := func(key string) *repopb.CreateMessagesResponse {
		resp, err := s.CreateMessages(t.Context(), &repopb.CreateMessagesRequest{Messages: []*repopb.NewMessage{
			{ConversationId: id, SenderId: owner, ClientMsgId: key, Content: "hello", MessageType: "text"},
		}})
		if err != nil || len(resp.GetRoutes()) != 1 {
			t.Fatalf("send: %v, %v", resp, err)
		}
		return resp
	}
	if route := send("before").GetRoutes()[0]; !slices.Contains(route.GetMemberIds(), removed) {
		t.Fatalf("route before: %v", route)
	}
	store.after = func() {
		sent := send("after")
		route, ev := sent.GetRoutes()[0], sent.GetResults()[0].GetEvent()
		if slices.Contains(route.GetMemberIds(), removed) || route.GetMembersSeq() != ev.GetSeq()-1 || ev.GetMembersSeq() != ev.GetSeq()-1 {
			t.Errorf("route of the message after the removal: %v, %v", route, ev)
		}
	}
	change, err := s.RemoveGroupMember(t.Context(), &repopb.RemoveGroupMemberRequest{GroupId: id, ActorId: owner, UserId: removed})
	if err != nil {
		t.Fatal(err)
	}
	seq := change.GetEvent().GetSeq()
	if change.GetEvent().GetMembersSeq() != seq {
		t.Errorf("the removal's event: %v", change.GetEvent())
	}

	// The same for who asks for a route by itself.
	added := newUser(t, s, "added")
	if _, err := s.GetRoutes(t.Context(), &repopb.GetRoutesRequest{ConversationIds: []int64{id}}); err != nil {
		t.Fatal(err)
	}
	joined, err := engine.AddGroupMember(t.Context(), &repopb.AddGroupMemberRequest{GroupId: id, ActorId: owner, UserIds: []int64{added}})
	if err != nil {
		t.Fatal(err)
	}
	seq = joined.GetEvent().GetMembersSeq()
	routes, err := s.GetRoutes(t.Context(), &repopb.GetRoutesRequest{ConversationIds: []int64{id}, MembersSeqs: map[int64]int64{id: seq}})
	if err != nil || len(routes.GetRoutes()) != 1 || !slices.Contains(routes.GetRoutes()[0].GetMemberIds(), added) {
		t.Errorf("routes as of seq %d: %v, %v", seq, routes, err)
	}
}
