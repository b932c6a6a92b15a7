package postgres

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gochat-im/gochat/repo/repopb"
)

// trips counts the requests that connections send: one statement, or a batch of them.
type trips struct{ n atomic.Int64 }

func (c *trips) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	c.n.Add(1)
	return ctx
}
func (*trips) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (c *trips) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	c.n.Add(1)
	return ctx
}
func (*trips) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (*trips) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

func openCounted(t *testing.T) (*Store, *trips) {
	t.Helper()
	s, counted := openTest(t), &trips{}
	cfg := s.pool.Config()
	cfg.ConnConfig.Tracer = counted
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.pool.Close()
	s.pool = pool
	return s, counted
}

// A batch of messages takes one round trip once this process is the last that wrote in its conversations, and two before.
func TestRoundTripsOfABatch(t *testing.T) {
	t.Parallel()
	s, counted := openCounted(t)
	const size = 50
	pair, group := addPair(t, s, 1), addGroup(t, s, 2)
	for n, want := range []int64{2, 2, 1, 1} {
		r := &repopb.CreateMessagesRequest{PushOutbox: true}
		for i := range size {
			r.Messages = append(r.Messages, text(pair, 2, fmt.Sprint("p-", n, "-", i), "hi"), text(group, 4, fmt.Sprint("g-", n, "-", i), "hi"))
		}
		before := counted.n.Load()
		resp, err := s.CreateMessages(t.Context(), r)
		if err != nil || resp.GetOutboxId() == 0 {
			t.Fatal(resp.GetOutboxId(), err)
		}
		if got := counted.n.Load() - before; got != want {
			t.Errorf("batch %d takes %d round trips, want %d", n, got, want)
		}
	}
}

// A call takes as many round trips for many rows as for two.
func TestRoundTripsDoNotGrowWithRows(t *testing.T) {
	t.Parallel()
	const many = 40
	s, counted := openCounted(t)

	const owner = int64(2) // of the first pair
	var users, pairs, sessions []int64
	for n := int64(1); n <= many+2; n++ {
		c := addPair(t, s, n)
		send(t, s, text(c, 2*n, "k", "hello"))
		users, pairs = append(users, 2*n+1), append(pairs, c)
		session := &repopb.Session{Id: n, UserId: owner, ExpiresAt: 1 << 60}
		if _, err := s.CreateSession(t.Context(), &repopb.CreateSessionRequest{Session: session, RefreshHash: fmt.Append(nil, n)}); err != nil {
			t.Fatal(err)
		}
		sessions = append(sessions, n)
	}
	newGroup := func(members []int64) (int64, error) {
		r, err := s.CreateGroup(t.Context(), &repopb.CreateGroupRequest{
			Group: &repopb.Group{Name: "g", OwnerId: owner, MaxMembers: 1000}, MemberIds: members,
		})
		return r.GetChange().GetGroup().GetId(), err
	}
	groups := map[int]int64{}
	for _, n := range []int{2, many} {
		id, err := newGroup(nil)
		if err != nil {
			t.Fatal(err)
		}
		groups[n] = id
	}
	for name, call := range map[string]func(from, n int) error{
		"create a group": func(from, n int) error {
			_, err := newGroup(users[from : from+n])
			return err
		},
		"add members": func(from, n int) error {
			r, err := s.AddGroupMember(t.Context(), &repopb.AddGroupMemberRequest{GroupId: groups[n], ActorId: owner, UserIds: users[from : from+n]})
			if err == nil && len(r.GetAddedUserIds()) != n {
				return fmt.Errorf("added %v", r.GetAddedUserIds())
			}
			return err
		},
		"mark delivered": func(from, n int) error {
			r := &repopb.MarkDeliveredRequest{}
			for i := from; i < from+n; i++ {
				r.Pointers = append(r.Pointers, &repopb.DeliveredPointer{ConversationId: pairs[i], UserId: users[i], Seq: 1})
			}
			resp, err := s.MarkDelivered(t.Context(), r)
			if err == nil && len(resp.GetMoved()) != n {
				return fmt.Errorf("moved %v", resp.GetMoved())
			}
			return err
		},
		"touch sessions": func(from, n int) error {
			return s.TouchSessions(t.Context(), &repopb.TouchSessionsRequest{SessionIds: sessions[from : from+n], LastSeenAt: 1 << 50})
		},
		"read users": func(from, n int) error {
			found, err := s.Users(t.Context(), users[from:from+n])
			if err == nil && len(found) != n {
				return fmt.Errorf("found %v", found)
			}
			return err
		},
		"create jobs": func(_, n int) error {
			r := &repopb.CreateJobsRequest{}
			for i := range n {
				r.Jobs = append(r.Jobs, &repopb.Job{Kind: "k", Key: fmt.Sprint(n, "-", i)})
			}
			return s.CreateJobs(t.Context(), r)
		},
	} {
		count := func(from, n int) int64 {
			before := counted.n.Load()
			if err := call(from, n); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return counted.n.Load() - before
		}
		few := count(0, 2)
		if got := count(2, many); got != few || got == 0 {
			t.Errorf("%s: %d round trips for %d rows, %d for 2", name, got, many, few)
		}
	}
}
