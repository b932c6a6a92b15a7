package sqlite

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

// details are the fields of an event that only some kinds have.
type details struct {
	Users      []int64 `json:"users,omitempty"`
	Role       int32   `json:"role,omitempty"`
	MutedUntil int64   `json:"muted_until,omitempty"`
	Name       string  `json:"name,omitempty"`
	Avatar     string  `json:"avatar,omitempty"`
}

// append adds an event other than a message to a conversation's log and fills
// in its seq, time and conversation.
func (t *tx) append(c *conversation, ev *repopb.Event) error {
	ev.ConversationId, ev.ConversationType = c.id, c.kind
	ev.Seq, ev.CreatedAt = c.lastSeq+1, t.now
	var extra any
	d := details{Users: ev.GetTargetUserIds(), Role: int32(ev.GetRole()), MutedUntil: ev.GetMutedUntil(), Name: ev.GetName(), Avatar: ev.GetAvatar()}
	if b, err := json.Marshal(d); err != nil {
		return fmt.Errorf("encode event: %w", err)
	} else if string(b) != "{}" {
		extra = string(b)
	}
	sent := int64(0)
	if i := c.sideOf(ev.GetUserId()); i >= 0 {
		sent = c.side[i].sent
	}
	_, err := t.exec(`INSERT INTO messages (conversation_id, seq, kind, user_id, created_at, count_no, sent_no, target_seq, details)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		c.id, ev.GetSeq(), int64(ev.GetKind()), ev.GetUserId(), t.now, c.total, sent, ev.GetTargetSeq(), extra)
	if err != nil {
		return fmt.Errorf("append event: %w", err)
	}
	c.lastSeq, c.updatedAt = ev.GetSeq(), t.now
	if shown(ev.GetKind()) {
		c.shownSeq = c.lastSeq
	}
	return nil
}

// eventColumns are what scanEvent reads from messages m joined by eventFrom.
const (
	eventColumns = `m.conversation_id, m.seq, m.kind, m.user_id, m.created_at, m.message_type, m.content,
		CASE WHEN m.echo_key THEN m.dedupe_key END, m.updated_at, m.recalled, m.target_seq, m.details,
		CASE WHEN m.kind = 2 THEN (SELECT t.content FROM messages t WHERE t.conversation_id = m.conversation_id AND t.seq = m.target_seq) END`
)

// scanEvent reads a row of eventColumns of conversation c.
func scanEvent(r *stmt, c *conversation) (*repopb.Event, error) {
	ev := &repopb.Event{
		ConversationId:   r.int64(0),
		Seq:              r.int64(1),
		Kind:             repopb.EventKind(r.int64(2)),
		UserId:           r.int64(3),
		CreatedAt:        r.int64(4),
		ConversationType: c.kind,
		UpdatedAt:        r.int64(8),
		TargetSeq:        r.int64(10),
	}
	switch ev.GetKind() {
	case repopb.EventKind_EVENT_KIND_MESSAGE:
		ev.MessageType, ev.Content, ev.ClientMsgId = r.text(5), r.text(6), r.text(7)
		ev.Status = c.statusOf(ev.GetUserId(), ev.GetSeq())
		if r.bool(9) {
			ev.Status = repopb.MessageStatus_MESSAGE_STATUS_RECALLED
		}
		ev.PeerId = c.peerOf(ev.GetUserId())
	case repopb.EventKind_EVENT_KIND_EDIT:
		ev.Content = r.text(12)
	default:
	}
	if s := r.text(11); s != "" {
		var d details
		if err := json.Unmarshal([]byte(s), &d); err != nil {
			return nil, fmt.Errorf("decode event: %w", err)
		}
		ev.TargetUserIds, ev.Role, ev.MutedUntil, ev.Name, ev.Avatar = d.Users, repopb.Role(d.Role), d.MutedUntil, d.Name, d.Avatar
	}
	return ev, nil
}

// statusOf is how far a message has come: in a one-to-one as far as the peer has, in a group sent.
func (c *conversation) statusOf(sender, seq int64) repopb.MessageStatus {
	i := c.sideOf(sender)
	if i < 0 {
		return repopb.MessageStatus_MESSAGE_STATUS_SENT
	}
	switch peer := &c.side[1-i]; {
	case peer.readSeq >= seq:
		return repopb.MessageStatus_MESSAGE_STATUS_READ
	case peer.deliveredSeq >= seq:
		return repopb.MessageStatus_MESSAGE_STATUS_DELIVERED
	}
	return repopb.MessageStatus_MESSAGE_STATUS_SENT
}

// loadConversation reads a conversation's state.
func loadConversation(q *conn, id int64) (c conversation, found bool, err error) {
	err = q.query(`SELECT type, name, avatar, low_id, high_id, is_large, created_at, dissolved_at FROM conversations WHERE id = ?`,
		func(r *stmt) error {
			found = true
			c = conversation{
				id: id, kind: repopb.ConversationType(r.int64(0)), name: r.text(1), avatar: r.text(2), large: r.bool(5),
				createdAt: r.int64(6), dissolvedAt: r.int64(7),
			}
			c.side[0].userID, c.side[1].userID = r.int64(3), r.int64(4)
			return nil
		}, id)
	if err != nil || !found {
		return c, false, err
	}
	err = q.query(`SELECT seq, created_at, count_no, sent_no, user_id FROM messages WHERE conversation_id = ? ORDER BY seq DESC LIMIT 1`,
		func(r *stmt) error {
			c.lastSeq, c.updatedAt, c.total = r.int64(0), r.int64(1), r.int64(2)
			if i := c.sideOf(r.int64(4)); i >= 0 {
				c.side[i].sent = r.int64(3)
				c.side[1-i].sent = c.total - r.int64(3)
			}
			return nil
		}, id)
	if err != nil {
		return c, false, err
	}
	c.shownSeq, _, err = q.queryInt(`SELECT seq FROM messages WHERE conversation_id = ? AND kind IN `+shownKinds+` ORDER BY seq DESC LIMIT 1`, id)
	if err != nil || c.side[0].userID == 0 {
		return c, err == nil, err
	}
	err = q.query("SELECT user_id, read_seq, read_at, delivered_seq FROM members WHERE conversation_id = ?", func(r *stmt) error {
		if i := c.sideOf(r.int64(0)); i >= 0 {
			s := &c.side[i]
			s.readSeq, s.readAt, s.deliveredSeq = r.int64(1), r.int64(2), r.int64(3)
		}
		return nil
	}, id)
	return c, err == nil, err
}

// memberColumns are what scanMember reads.
const memberColumns = `conversation_id, user_id, role, muted_until, joined_at, joined_seq, left_at, left_seq, sent,
	read_seq, read_count, read_sent, read_at, delivered_seq, silent, pinned`

func scanMember(r *stmt) member {
	return member{
		conversationID: r.int64(0), userID: r.int64(1), role: repopb.Role(r.int64(2)), mutedUntil: r.int64(3),
		joinedAt: r.int64(4), joinedSeq: r.int64(5), leftAt: r.int64(6), leftSeq: r.int64(7), sent: r.int64(8),
		readSeq: r.int64(9), readCount: r.int64(10), readSent: r.int64(11), readAt: r.int64(12), deliveredSeq: r.int64(13),
		silent: r.bool(14), pinned: r.bool(15),
	}
}

func loadMember(q *conn, conversationID, userID int64) (m member, found bool, err error) {
	err = q.query("SELECT "+memberColumns+" FROM members WHERE conversation_id = ? AND user_id = ?", func(r *stmt) error {
		m, found = scanMember(r), true
		return nil
	}, conversationID, userID)
	return m, found, err
}
