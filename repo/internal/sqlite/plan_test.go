package sqlite

import (
	"strings"
	"testing"
)

// TestPlansOfHotQueries wants every query of a hot path to find its rows by a key and to need no sorting.
func TestPlansOfHotQueries(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	for name, c := range map[string]struct {
		sql   string
		index string // that the first step must search
		sorts bool
	}{
		"history down":      {sql: shownBefore, index: "m USING PRIMARY KEY (conversation_id=? AND seq<?)"},
		"history up":        {sql: shownAfter, index: "m USING PRIMARY KEY (conversation_id=? AND seq>?)"},
		"log down":          {sql: logBefore, index: "m USING PRIMARY KEY (conversation_id=? AND seq<?)"},
		"log up":            {sql: logAfter, index: "m USING PRIMARY KEY (conversation_id=? AND seq>?)"},
		"a user's list":     {sql: listQuery, index: "members USING INDEX members_user (user_id=? AND left_at=?)"},
		"left since":        {sql: leftSinceQuery, index: "members USING INDEX members_user (user_id=? AND left_at>?)"},
		"route":             {sql: routeQuery, index: "members USING PRIMARY KEY (conversation_id=?)"},
		"live sessions":     {sql: liveSessionsQuery, index: "sessions USING INDEX sessions_live (user_id=?)"},
		"first result":      {sql: "SELECT conversation_id, seq, body_hash FROM messages WHERE user_id = ? AND dedupe_key = ?", index: "messages USING INDEX messages_dedupe (user_id=? AND dedupe_key=?)"},
		"what is new":       {sql: "SELECT seq FROM messages WHERE conversation_id = ? AND created_at <= ? ORDER BY seq DESC LIMIT 1", index: "messages USING PRIMARY KEY (conversation_id=?)"},
		"own messages":      {sql: "SELECT count(*) FROM messages WHERE conversation_id = ? AND seq > ? AND seq <= ? AND user_id = ? AND kind = 1", index: "messages USING PRIMARY KEY (conversation_id=? AND seq>? AND seq<?)"},
		"hidden since":      {sql: "SELECT conversation_id, seq FROM hidden WHERE user_id = ? AND hidden_at > ? ORDER BY hidden_at LIMIT ?", index: "hidden USING COVERING INDEX hidden_since (user_id=? AND hidden_at>?)"},
		"pair":              {sql: "SELECT id FROM conversations WHERE type = 1 AND low_id = ? AND high_id = ?", index: "conversations USING COVERING INDEX conversations_pair (low_id=? AND high_id=?)"},
		"search, both arms": {sql: searchUsersQuery, index: "users USING INDEX users_username (username_key>? AND username_key<?)", sorts: true},
	} {
		var plan []string
		err := s.read(t.Context(), func(q *conn) error {
			return q.query("EXPLAIN QUERY PLAN "+c.sql, func(r *stmt) error {
				plan = append(plan, r.text(3))
				return nil
			})
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := strings.Join(plan, "\n")
		if !strings.Contains(got, "SEARCH "+c.index) {
			t.Errorf("%s: no search of %s in\n%s", name, c.index, got)
		}
		for _, step := range plan {
			if strings.HasPrefix(step, "SCAN") && !c.sorts || strings.Contains(step, "TEMP B-TREE") && !c.sorts {
				t.Errorf("%s: %s", name, step)
			}
			if strings.HasPrefix(step, "SCAN users") {
				t.Errorf("%s: %s", name, step)
			}
		}
	}
}
