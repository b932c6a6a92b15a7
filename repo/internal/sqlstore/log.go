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
		CASE WHEN m.echo_key <> 0 THEN m.dedupe_key END, m.updated_at, m.recalled, m.target_seq, m.details,
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
