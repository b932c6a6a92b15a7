package sqlstore

import (
	"fmt"

	"github.com/gochat-im/gochat/repo/repopb"
)

// HeadColumns are what ScanHead reads from HeadFrom: a conversation's row, its
// last log row, and the pointers of a one-to-one's members.
const (
	HeadColumns = `c.id, c.type, c.name, c.avatar, c.low_id, c.high_id, c.is_large, c.created_at, c.dissolved_at, c.members_seq,
	l.seq, l.created_at, l.count_no, l.sent_no, l.user_id,
	(SELECT s.seq FROM messages s WHERE s.conversation_id = c.id AND s.kind IN ` + shownKinds + ` ORDER BY s.seq DESC LIMIT 1),
	a.read_seq, a.read_at, a.delivered_seq, b.read_seq, b.read_at, b.delivered_seq`
	HeadFrom = `conversations c
	LEFT JOIN messages l ON l.conversation_id = c.id AND l.seq = (SELECT n.seq FROM messages n WHERE n.conversation_id = c.id ORDER BY n.seq DESC LIMIT 1)
	LEFT JOIN members a ON a.conversation_id = c.id AND a.user_id = c.low_id
	LEFT JOIN members b ON b.conversation_id = c.id AND b.user_id = c.high_id`

	// HeadQuery reads one conversation's state.
	HeadQuery = "SELECT " + HeadColumns + " FROM " + HeadFrom + " WHERE c.id = ?"
)

// ScanSequencer reads what a new log row depends on, a conversation without name, avatar, time of birth and pointers:
// its id, type, low_id, high_id, is_large, dissolved_at and members_seq, and its last log row's seq, created_at,
// count_no, sent_no and user_id.
func ScanSequencer(r Row) Conversation {
	c := Conversation{
		ID: r.Int64(0), Kind: repopb.ConversationType(r.Int64(1)), Large: r.Bool(4), DissolvedAt: r.Int64(5), MembersSeq: r.Int64(6),
		LastSeq: r.Int64(7), UpdatedAt: r.Int64(8), Total: r.Int64(9),
	}
	c.Side[0].UserID, c.Side[1].UserID = r.Int64(2), r.Int64(3)
	c.setSent(r.Int64(11), r.Int64(10))
	return c
}

// setSent takes the counts of a one-to-one from its last log row.
func (c *Conversation) setSent(author, sent int64) {
	if i := c.SideOf(author); i >= 0 {
		c.Side[i].Sent, c.Side[1-i].Sent = sent, c.Total-sent
	}
}

// ScanHead reads HeadColumns, the first of which is column i.
func ScanHead(r Row, i int) Conversation {
	c := Conversation{
		ID: r.Int64(i), Kind: repopb.ConversationType(r.Int64(i + 1)), Name: r.Text(i + 2), Avatar: r.Text(i + 3), Large: r.Bool(i + 6),
		CreatedAt: r.Int64(i + 7), DissolvedAt: r.Int64(i + 8), MembersSeq: r.Int64(i + 9),
		LastSeq: r.Int64(i + 10), UpdatedAt: r.Int64(i + 11), Total: r.Int64(i + 12), ShownSeq: r.Int64(i + 15),
	}
	c.Side[0] = Side{UserID: r.Int64(i + 4), ReadSeq: r.Int64(i + 16), ReadAt: r.Int64(i + 17), DeliveredSeq: r.Int64(i + 18)}
	c.Side[1] = Side{UserID: r.Int64(i + 5), ReadSeq: r.Int64(i + 19), ReadAt: r.Int64(i + 20), DeliveredSeq: r.Int64(i + 21)}
	c.setSent(r.Int64(i+14), r.Int64(i+13))
	return c
}

// LoadConversation reads a conversation's state.
func LoadConversation(q Conn, id int64) (c Conversation, found bool, err error) {
	err = q.Query(HeadQuery, func(r Row) error {
		c, found = ScanHead(r, 0), true
		return nil
	}, id)
	if err != nil {
		return c, false, fmt.Errorf("read conversation: %w", err)
	}
	return c, found, nil
}

// MemberColumns are what ScanMember reads.
const MemberColumns = `m.conversation_id, m.user_id, m.role, m.muted_until, m.joined_at, m.joined_seq, m.left_at, m.left_seq, m.sent,
	m.read_seq, m.read_count, m.read_sent, m.read_at, m.delivered_seq, m.silent, m.pinned`

// ScanMember reads MemberColumns, the first of which is column i.
func ScanMember(r Row, i int) Member {
	return Member{
		ConversationID: r.Int64(i), UserID: r.Int64(i + 1), Role: repopb.Role(r.Int64(i + 2)), MutedUntil: r.Int64(i + 3),
		JoinedAt: r.Int64(i + 4), JoinedSeq: r.Int64(i + 5), LeftAt: r.Int64(i + 6), LeftSeq: r.Int64(i + 7), Sent: r.Int64(i + 8),
		ReadSeq: r.Int64(i + 9), ReadCount: r.Int64(i + 10), ReadSent: r.Int64(i + 11), ReadAt: r.Int64(i + 12), DeliveredSeq: r.Int64(i + 13),
		Silent: r.Bool(i + 14), Pinned: r.Bool(i + 15),
	}
}

const memberQuery = "SELECT " + MemberColumns + " FROM members m WHERE m.conversation_id = ? AND m.user_id = ?"

// LoadMember reads a user's row in a conversation.
func LoadMember(q Conn, conversationID, userID int64) (m Member, found bool, err error) {
	err = q.Query(memberQuery, func(r Row) error {
		m, found = ScanMember(r, 0), true
		return nil
	}, conversationID, userID)
	if err != nil {
		return m, false, fmt.Errorf("read member: %w", err)
	}
	return m, found, nil
}
