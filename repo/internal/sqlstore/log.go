package sqlstore

import (
	"encoding/json"
	"fmt"

	"github.com/gochat-im/gochat/repo/repopb"
)

// shownKinds are what history shows: messages and the notices that people read.
const shownKinds = "(1, 5, 6, 7, 8, 9, 11, 12)"

func shown(k repopb.EventKind) bool {
	switch k {
	case repopb.EventKind_EVENT_KIND_EDIT, repopb.EventKind_EVENT_KIND_RECALL,
		repopb.EventKind_EVENT_KIND_REACTION, repopb.EventKind_EVENT_KIND_MEMBER_MUTED:
		return false
	default:
		return true
	}
}

// movesMembers tells whether an event of that kind changes who is in a conversation.
func movesMembers(k repopb.EventKind) bool {
	switch k {
	case repopb.EventKind_EVENT_KIND_CREATED, repopb.EventKind_EVENT_KIND_MEMBER_JOINED, repopb.EventKind_EVENT_KIND_MEMBER_LEFT,
		repopb.EventKind_EVENT_KIND_MEMBER_REMOVED, repopb.EventKind_EVENT_KIND_DISSOLVED:
		return true
	default:
		return false
	}
}

// details are the fields of an event that only some kinds have.
type details struct {
	Users      []int64 `json:"users,omitempty"`
	Role       int32   `json:"role,omitempty"`
	MutedUntil int64   `json:"muted_until,omitempty"`
	Name       string  `json:"name,omitempty"`
	Avatar     string  `json:"avatar,omitempty"`
}

// append adds an event other than a message to a conversation's log and fills
// in its seq, time and conversation. One that changes who is in the
// conversation also needs saveConversation.
func (t *Tx) append(c *Conversation, ev *repopb.Event) error {
	ev.ConversationId, ev.ConversationType = c.ID, c.Kind
	ev.Seq, ev.CreatedAt = c.LastSeq+1, t.now
	var extra any
	d := details{Users: ev.GetTargetUserIds(), Role: int32(ev.GetRole()), MutedUntil: ev.GetMutedUntil(), Name: ev.GetName(), Avatar: ev.GetAvatar()}
	if b, err := json.Marshal(d); err != nil {
		return fmt.Errorf("encode event: %w", err)
	} else if string(b) != "{}" {
		extra = string(b)
	}
	sent := int64(0)
	if i := c.SideOf(ev.GetUserId()); i >= 0 {
		sent = c.Side[i].Sent
	}
	_, err := t.Exec(`INSERT INTO messages (conversation_id, seq, kind, user_id, created_at, count_no, sent_no, target_seq, details)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		c.ID, ev.GetSeq(), int64(ev.GetKind()), ev.GetUserId(), t.now, c.Total, sent, ev.GetTargetSeq(), extra)
	if err != nil {
		return fmt.Errorf("append event: %w", err)
	}
	c.LastSeq, c.UpdatedAt = ev.GetSeq(), t.now
	if shown(ev.GetKind()) {
		c.ShownSeq = c.LastSeq
	}
	if movesMembers(ev.GetKind()) {
		c.MembersSeq = c.LastSeq
	}
	ev.MembersSeq = c.MembersSeq
	return nil
}

// eventColumns are what scanEvent reads from messages m joined by eventFrom.
const (
	eventColumns = `m.conversation_id, m.seq, m.Kind, m.user_id, m.created_at, m.message_type, m.content,
		CASE WHEN m.echo_key THEN m.dedupe_key END, m.updated_at, m.recalled, m.target_seq, m.details,
		CASE WHEN m.Kind = 2 THEN (SELECT t.content FROM messages t WHERE t.conversation_id = m.conversation_id AND t.seq = m.target_seq) END`
)

// scanEvent reads a row of eventColumns of conversation c.
func scanEvent(r Row, c *Conversation) (*repopb.Event, error) {
	ev := &repopb.Event{
		ConversationId:   r.Int64(0),
		Seq:              r.Int64(1),
		Kind:             repopb.EventKind(r.Int64(2)),
		UserId:           r.Int64(3),
		CreatedAt:        r.Int64(4),
		ConversationType: c.Kind,
		UpdatedAt:        r.Int64(8),
		TargetSeq:        r.Int64(10),
	}
	switch ev.GetKind() {
	case repopb.EventKind_EVENT_KIND_MESSAGE:
		ev.MessageType, ev.Content, ev.ClientMsgId = r.Text(5), r.Text(6), r.Text(7)
		ev.Status = c.statusOf(ev.GetUserId(), ev.GetSeq())
		if r.Bool(9) {
			ev.Status = repopb.MessageStatus_MESSAGE_STATUS_RECALLED
		}
		ev.PeerId = c.peerOf(ev.GetUserId())
	case repopb.EventKind_EVENT_KIND_EDIT:
		ev.Content = r.Text(12)
	default:
	}
	if s := r.Text(11); s != "" {
		var d details
		if err := json.Unmarshal([]byte(s), &d); err != nil {
			return nil, fmt.Errorf("decode event: %w", err)
		}
		ev.TargetUserIds, ev.Role, ev.MutedUntil, ev.Name, ev.Avatar = d.Users, repopb.Role(d.Role), d.MutedUntil, d.Name, d.Avatar
	}
	return ev, nil
}

// statusOf is how far a message has come: in a one-to-one as far as the peer has, in a group sent.
func (c *Conversation) statusOf(sender, seq int64) repopb.MessageStatus {
	i := c.SideOf(sender)
	if i < 0 {
		return repopb.MessageStatus_MESSAGE_STATUS_SENT
	}
	switch peer := &c.Side[1-i]; {
	case peer.ReadSeq >= seq:
		return repopb.MessageStatus_MESSAGE_STATUS_READ
	case peer.DeliveredSeq >= seq:
		return repopb.MessageStatus_MESSAGE_STATUS_DELIVERED
	}
	return repopb.MessageStatus_MESSAGE_STATUS_SENT
}

// LoadConversation reads a conversation's state.
func LoadConversation(q Conn, id int64) (c Conversation, found bool, err error) {
	err = q.Query(`SELECT type, name, avatar, low_id, high_id, is_large, created_at, dissolved_at, members_seq FROM conversations WHERE id = ?`,
		func(r Row) error {
			found = true
			c = Conversation{
				ID: id, Kind: repopb.ConversationType(r.Int64(0)), Name: r.Text(1), Avatar: r.Text(2), Large: r.Bool(5),
				CreatedAt: r.Int64(6), DissolvedAt: r.Int64(7), MembersSeq: r.Int64(8),
			}
			c.Side[0].UserID, c.Side[1].UserID = r.Int64(3), r.Int64(4)
			return nil
		}, id)
	if err != nil || !found {
		return c, false, err
	}
	err = q.Query(`SELECT seq, created_at, count_no, sent_no, user_id FROM messages WHERE conversation_id = ? ORDER BY seq DESC LIMIT 1`,
		func(r Row) error {
			c.LastSeq, c.UpdatedAt, c.Total = r.Int64(0), r.Int64(1), r.Int64(2)
			if i := c.SideOf(r.Int64(4)); i >= 0 {
				c.Side[i].Sent = r.Int64(3)
				c.Side[1-i].Sent = c.Total - r.Int64(3)
			}
			return nil
		}, id)
	if err != nil {
		return c, false, err
	}
	c.ShownSeq, _, err = q.QueryInt(`SELECT seq FROM messages WHERE conversation_id = ? AND kind IN `+shownKinds+` ORDER BY seq DESC LIMIT 1`, id)
	if err != nil || c.Side[0].UserID == 0 {
		return c, err == nil, err
	}
	err = q.Query("SELECT user_id, read_seq, read_at, delivered_seq FROM members WHERE conversation_id = ?", func(r Row) error {
		if i := c.SideOf(r.Int64(0)); i >= 0 {
			s := &c.Side[i]
			s.ReadSeq, s.ReadAt, s.DeliveredSeq = r.Int64(1), r.Int64(2), r.Int64(3)
		}
		return nil
	}, id)
	return c, err == nil, err
}

// memberColumns are what scanMember reads.
const memberColumns = `conversation_id, user_id, role, muted_until, joined_at, joined_seq, left_at, left_seq, sent,
	read_seq, read_count, read_sent, read_at, delivered_seq, silent, pinned`

func scanMember(r Row) Member {
	return Member{
		ConversationID: r.Int64(0), UserID: r.Int64(1), Role: repopb.Role(r.Int64(2)), MutedUntil: r.Int64(3),
		JoinedAt: r.Int64(4), JoinedSeq: r.Int64(5), LeftAt: r.Int64(6), LeftSeq: r.Int64(7), Sent: r.Int64(8),
		ReadSeq: r.Int64(9), ReadCount: r.Int64(10), ReadSent: r.Int64(11), ReadAt: r.Int64(12), DeliveredSeq: r.Int64(13),
		Silent: r.Bool(14), Pinned: r.Bool(15),
	}
}

func LoadMember(q Conn, conversationID, userID int64) (m Member, found bool, err error) {
	err = q.Query("SELECT "+memberColumns+" FROM members WHERE conversation_id = ? AND user_id = ?", func(r Row) error {
		m, found = scanMember(r), true
		return nil
	}, conversationID, userID)
	return m, found, err
}
