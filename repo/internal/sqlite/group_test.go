package sqlite

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gochat-im/gochat/repo/internal/sqlstore"
	"github.com/gochat-im/gochat/repo/repopb"
)

// Every page of a list costs what the page holds: found in an index, in its order.
func TestPlansOfGroupsAndJobs(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	for name, c := range map[string]struct {
		sql  string
		want []string
	}{
		"members":       {sqlstore.GroupMembersQuery, []string{"SEARCH m USING PRIMARY KEY (conversation_id=? AND user_id>?)", "SEARCH u USING INTEGER PRIMARY KEY (rowid=?)"}},
		"join requests": {sqlstore.JoinRequestsQuery, []string{"SEARCH j USING COVERING INDEX join_requests_age (group_id=? AND (created_at,user_id)>(?,?))", "SEARCH u USING INTEGER PRIMARY KEY (rowid=?)"}},
		"due jobs":      {sqlstore.DueJobsQuery, []string{"SEARCH jobs USING INDEX jobs_due (due_at<?)"}},
		"dead jobs":     {sqlstore.DeadJobsQuery, []string{"SEARCH jobs USING INDEX jobs_dead (id<?)"}},
		"outbox":        {sqlstore.OutboxQuery, []string{"SEARCH outbox USING INDEX outbox_age (created_at<?)"}},
	} {
		var plan []string
		err := s.Read(t.Context(), func(q sqlstore.Conn) error {
			return q.Query("EXPLAIN QUERY PLAN "+c.sql, func(r sqlstore.Row) error {
				plan = append(plan, r.Text(3))
				return nil
			})
		})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, want := strings.Join(plan, "\n"), strings.Join(c.want, "\n"); got != want {
			t.Errorf("%s: plan\n%s\nwant\n%s", name, got, want)
		}
	}
}

// addUsers stores users with the ids from first on.
func addUsers(t testing.TB, s *Store, first int64, n int) []int64 {
	t.Helper()
	ids := make([]int64, n)
	err := s.Write(t.Context(), func(t *sqlstore.Tx) error {
		for i := range ids {
			ids[i] = first + int64(i)
			name := fmt.Sprintf("bulk%d", ids[i])
			_, err := t.Exec(`INSERT INTO users (id, username, username_key, nickname, nickname_key, avatar, email, password_hash, status, created_at, updated_at)
				VALUES (?, ?, ?, ?, ?, '', '', '', 1, 0, 0)`, ids[i], name, name, name, name)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// BenchmarkAddMembers adds 1,000 at a time to one group that grows to 100,000.
func BenchmarkAddMembers(b *testing.B) {
	const total, batch = 100_000, 1000
	for b.Loop() {
		s := openTest(b)
		users := addUsers(b, s, 1<<30, total)
		created, err := s.CreateGroup(b.Context(), &repopb.CreateGroupRequest{
			Group: &repopb.Group{Name: "g", OwnerId: users[0], MaxMembers: total, JoinPolicy: repopb.JoinPolicy_JOIN_POLICY_OPEN},
		})
		if err != nil {
			b.Fatal(err)
		}
		group := created.GetChange().GetGroup().GetId()
		start := time.Now()
		for i := 1; i < total; i += batch {
			_, err := s.AddGroupMember(b.Context(), &repopb.AddGroupMemberRequest{GroupId: group, ActorId: users[0], UserIds: users[i:min(i+batch, total)]})
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(total)/time.Since(start).Seconds(), "members/s")
		start = time.Now()
		after := int64(0)
		for pages := 0; ; pages++ {
			page, err := s.GroupMembers(b.Context(), &repopb.GetGroupMembersRequest{GroupId: group, ActorId: users[0], AfterUserId: after, Limit: 100})
			if err != nil {
				b.Fatal(err)
			}
			if !page.GetHasMore() {
				b.ReportMetric(float64(time.Since(start).Microseconds())/float64(pages+1), "us/page")
				break
			}
			after = page.GetMembers()[99].GetUserId()
		}
		start = time.Now()
		const leaves = 100
		for _, u := range users[1 : leaves+1] {
			if _, err := s.RemoveGroupMember(b.Context(), &repopb.RemoveGroupMemberRequest{GroupId: group, ActorId: u, UserId: u}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(time.Since(start).Microseconds())/leaves, "us/leave")
	}
}
