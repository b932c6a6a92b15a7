package postgres

import (
	"context"
	"math"

	"github.com/gochat-im/gochat/repo/internal/sqlstore"
)

// memberColumns is how many there are in sqlstore.MemberColumns.
const memberColumns = 16

const (
	entryColumns = sqlstore.MemberColumns + ", " + sqlstore.HeadColumns

	overviewQuery = "SELECT " + entryColumns +
		" FROM members m JOIN (" + sqlstore.HeadFrom + ") ON c.id = m.conversation_id WHERE m.user_id = ? AND m.left_at = 0"

	// pageQuery looks only at what a place needs of all of the user's conversations, and at everything of those on the page.
	pageQuery = `SELECT ` + entryColumns + ` FROM (
			SELECT k.conversation_id AS id, k.user_id, k.activity FROM (
				SELECT m.conversation_id, m.user_id, coalesce(
					(SELECT n.created_at FROM messages n WHERE n.conversation_id = m.conversation_id ORDER BY n.seq DESC LIMIT 1),
					(SELECT d.created_at FROM conversations d WHERE d.id = m.conversation_id)) AS activity
				FROM members m WHERE m.user_id = ?1 AND m.left_at = 0) AS k
			WHERE (k.activity, k.conversation_id) < (?2, ?3)
			ORDER BY k.activity DESC, k.conversation_id DESC LIMIT ?4) AS p
		JOIN members m ON m.conversation_id = p.id AND m.user_id = p.user_id
		JOIN (` + sqlstore.HeadFrom + `) ON c.id = p.id
		ORDER BY p.activity DESC, p.id DESC`
)

// Overview implements sqlstore.Engine.
func (s *Store) Overview(ctx context.Context, userID int64) ([]sqlstore.Entry, error) {
	return s.entries(ctx, overviewQuery, userID)
}

// Page implements sqlstore.Engine.
func (s *Store) Page(ctx context.Context, userID int64, behind sqlstore.Place, limit int) ([]sqlstore.Entry, bool, error) {
	if behind == (sqlstore.Place{}) {
		behind = sqlstore.Place{Activity: math.MaxInt64, ID: math.MaxInt64}
	}
	entries, err := s.entries(ctx, pageQuery, userID, behind.Activity, behind.ID, limit+1)
	n := min(limit, len(entries))
	return entries[:n], n < len(entries), err
}

// entries runs a statement that reads entryColumns.
func (s *Store) entries(ctx context.Context, sql string, args ...any) ([]sqlstore.Entry, error) {
	var entries []sqlstore.Entry
	err := s.ReadLists(ctx, func(q sqlstore.Conn) error {
		entries = nil
		return q.Query(sql, func(r sqlstore.Row) error {
			m, c := sqlstore.ScanMember(r, 0), sqlstore.ScanHead(r, memberColumns)
			entries = append(entries, sqlstore.Entry{Member: &m, Conversation: &c})
			return nil
		}, args...)
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}
