package sqlite

import (
	"strings"
	"testing"

	"github.com/gochat-im/gochat/repo/internal/sqlstore"
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
		"history down":       {sql: sqlstore.ShownBefore, index: "m USING PRIMARY KEY (conversation_id=? AND seq<?)"},
		"history up":         {sql: sqlstore.ShownAfter, index: "m USING PRIMARY KEY (conversation_id=? AND seq>?)"},
		"log down":           {sql: sqlstore.LogBefore, index: "m USING PRIMARY KEY (conversation_id=? AND seq<?)"},
		"log up":             {sql: sqlstore.LogAfter, index: "m USING PRIMARY KEY (conversation_id=? AND seq>?)"},
		"a user's list":      {sql: sqlstore.ListQuery, index: "m USING INDEX members_user (user_id=? AND left_at=?)"},
		"left since":         {sql: sqlstore.LeftSinceQuery, index: "members USING INDEX members_user (user_id=? AND left_at>?)"},
		"route":              {sql: sqlstore.RouteQuery, index: "members USING PRIMARY KEY (conversation_id=?)"},
		"live sessions":      {sql: sqlstore.LiveSessionsQuery, index: "sessions USING INDEX sessions_live (user_id=?)"},
		"first result":       {sql: sqlstore.FirstResultQuery, index: "messages USING INDEX messages_dedupe (user_id=? AND dedupe_key=?)"},
		"what is new":        {sql: "SELECT seq FROM messages WHERE conversation_id = ? AND created_at <= ? ORDER BY seq DESC LIMIT 1", index: "messages USING PRIMARY KEY (conversation_id=?)"},
		"own message before": {sql: sqlstore.OwnBeforeQuery, index: "messages USING PRIMARY KEY (conversation_id=? AND seq>? AND seq<?)"},
		"own message after":  {sql: sqlstore.OwnAfterQuery, index: "messages USING PRIMARY KEY (conversation_id=? AND seq>? AND seq<?)"},
		"hidden since":       {sql: "SELECT conversation_id, seq FROM hidden WHERE user_id = ? AND hidden_at > ? ORDER BY hidden_at LIMIT ?", index: "hidden USING COVERING INDEX hidden_since (user_id=? AND hidden_at>?)"},
		"pair":               {sql: "SELECT id FROM conversations WHERE type = 1 AND low_id = ? AND high_id = ?", index: "conversations USING COVERING INDEX conversations_pair (low_id=? AND high_id=?)"},
		"search, both arms":  {sql: sqlstore.SearchUsersQuery, index: "users USING INDEX users_username (username_key>? AND username_key<?)", sorts: true},
	} {
		var plan []string
		err := s.Read(t.Context(), func(q sqlstore.Conn) error {
			return q.Query("EXPLAIN QUERY PLAN "+c.sql, func(r sqlstore.Row) error {
				plan = append(plan, r.Text(3))
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
