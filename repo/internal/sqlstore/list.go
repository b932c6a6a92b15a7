package sqlstore

import "fmt"

// ListQuery reads the memberships of a user.
const ListQuery = "SELECT " + MemberColumns + " FROM members m WHERE m.user_id = ? AND m.left_at = 0"

// ReadList returns a user's rows in the conversations that they are in now.
func ReadList(q Conn, userID int64) (list []*Member, err error) {
	err = q.Query(ListQuery, func(r Row) error {
		m := ScanMember(r, 0)
		list = append(list, &m)
		return nil
	}, userID)
	if err != nil {
		return nil, fmt.Errorf("read memberships: %w", err)
	}
	return list, nil
}
