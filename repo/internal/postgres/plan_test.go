package postgres

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gochat-im/gochat/repo/internal/sqlstore"
)

// TestPlansOfHotQueries wants every query of a hot path to find its rows by a key, whatever its arguments and whatever
// the tables held when it was planned.
func TestPlansOfHotQueries(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	c, err := s.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	const key = "Index Cond: ((conversation_id = $1) AND (seq "
	for name, q := range map[string]struct {
		sql  string
		want []string
	}{
		"history down":    {sqlstore.ShownBefore, []string{"Limit", "Index Scan Backward using messages_pkey on messages m", key + "< $2))"}},
		"history up":      {sqlstore.ShownAfter, []string{"Limit", "Index Scan using messages_pkey on messages m", key + "> $2))"}},
		"log down":        {sqlstore.LogBefore, []string{"Limit", "Index Scan Backward using messages_pkey on messages m", key + "< $2))"}},
		"log up":          {sqlstore.LogAfter, []string{"Limit", "Index Scan using messages_pkey on messages m", key + "> $2))"}},
		"own before":      {sqlstore.OwnBeforeQuery, []string{"Limit", "Index Scan Backward using messages_pkey on messages", key + "> $2) AND (seq <= $3))"}},
		"own after":       {sqlstore.OwnAfterQuery, []string{"Limit", "Index Scan using messages_pkey on messages", key + "> $2) AND (seq <= $3))"}},
		"head":            {sqlstore.HeadQuery, []string{"conversations_pkey", "messages_pkey", "members_pkey"}},
		"heads of batch":  {readSequencers, []string{"conversations_pkey", "messages_pkey"}},
		"lock":            {lockConversations, []string{"LockRows", "conversations_pkey"}},
		"members":         {readMembers, []string{"members_pkey"}},
		"keys":            {readKeys, []string{"messages_dedupe"}},
		"first result":    {sqlstore.FirstResultQuery, []string{"messages_dedupe"}},
		"overview":        {overviewQuery, []string{"members_user", "messages_pkey"}},
		"page of list":    {pageQuery, []string{"Limit", "members_user", "messages_pkey", "conversations_pkey"}},
		"routes":          {routesQuery, []string{"conversations_pkey", "members_pkey"}},
		"senders":         {sendersQuery, []string{"members_pkey", "conversations_pkey"}},
		"left since":      {sqlstore.LeftSinceQuery, []string{"members_user"}},
		"live sessions":   {sqlstore.LiveSessionsQuery, []string{"sessions_live"}},
		"group's members": {sqlstore.GroupMembersQuery, []string{"members_pkey", "users_pkey"}},
		"join requests":   {sqlstore.JoinRequestsQuery, []string{"join_requests_age"}},
		"due jobs":        {sqlstore.DueJobsQuery, []string{"jobs_due"}},
		"dead jobs":       {sqlstore.DeadJobsQuery, []string{"jobs_dead"}},
		"outbox":          {sqlstore.OutboxQuery, []string{"outbox_age"}},
		"search":          {sqlstore.SearchUsersQuery, []string{"users_username", "users_nickname"}},
	} {
		plan := explain(t, c, translate(q.sql))
		for _, want := range q.want {
			if !strings.Contains(plan, want) {
				t.Errorf("%s: no %q in\n%s", name, want, plan)
			}
		}
		if strings.Contains(plan, "Seq Scan") {
			t.Errorf("%s: scans a table:\n%s", name, plan)
		}
		if strings.HasPrefix(name, "history") || strings.HasPrefix(name, "log") {
			if strings.Contains(plan, "Sort") {
				t.Errorf("%s: sorts:\n%s", name, plan)
			}
		}
	}
}

// explain returns the plan that the store's connections make for any arguments.
func explain(t *testing.T, c *pgxpool.Conn, sql string) string {
	t.Helper()
	described, err := c.Conn().Prepare(t.Context(), "explained", sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	nulls := strings.TrimSuffix(strings.Repeat("NULL, ", len(described.ParamOIDs)), ", ")
	rows, err := c.Query(t.Context(), fmt.Sprintf("EXPLAIN EXECUTE explained(%s)", nulls))
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	var plan strings.Builder
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(line + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	if err := c.Conn().Deallocate(t.Context(), "explained"); err != nil {
		t.Fatal(err)
	}
	return plan.String()
}
