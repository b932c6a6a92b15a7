package gochat

import (
	"slices"
	"time"
)

// Kinds of entries of a conversation's log. Later servers may know more.
const (
	KindMessage       = "message"
	KindEdit          = "edit"
	KindRecall        = "recall"
	KindReaction      = "reaction"
	KindCreated       = "created"
	KindMemberJoined  = "member_joined"
	KindMemberLeft    = "member_left"
	KindMemberRemoved = "member_removed"
	KindRoleChanged   = "role_changed"
	KindMemberMuted   = "member_muted"
	KindGroupUpdated  = "group_updated"
	KindDissolved     = "dissolved"
)

// Statuses of a message.
const (
	StatusSent      = "sent"
	StatusDelivered = "delivered"
	StatusRead      = "read"
	StatusRecalled  = "recalled"
)

// Entry is one entry of a conversation's log: a message, or an event that
// changed something. The seqs of a conversation are 1, 2, 3… without holes, the
// same for every member.
type Entry struct {
	Kind           string    `json:"kind"`
	ConversationID string    `json:"conversation_id"`
	Seq            int64     `json:"seq"`
	CreatedAt      time.Time `json:"created_at"`

	// Of messages. Content is empty once recalled.
	ID          string     `json:"id,omitempty"`
	FromUserID  string     `json:"from_user_id,omitempty"`
	ToUserID    string     `json:"to_user_id,omitempty"` // one-to-one only
	Content     string     `json:"content,omitempty"`    // of an edit: the message's content as it stands
	MessageType string     `json:"message_type,omitempty"`
	ClientMsgID string     `json:"client_msg_id,omitempty"`
	Status      string     `json:"status,omitempty"`
	UpdatedAt   *time.Time `json:"updated_at,omitempty"` // last edit or recall

	// Of events.
	UserID        string     `json:"user_id,omitempty"`    // who did it
	TargetSeq     int64      `json:"target_seq,omitempty"` // edit, recall, reaction: the message
	TargetUserIDs []string   `json:"target_user_ids,omitempty"`
	Role          string     `json:"role,omitempty"`
	MutedUntil    *time.Time `json:"muted_until,omitempty"`
	Name          string     `json:"name,omitempty"`
	Avatar        string     `json:"avatar,omitempty"`
}

// ends reports whether the entry ends userID's membership: nothing more of the
// conversation comes after it, and nothing of it can be read. The members of a
// dissolved group can read it still.
func (e *Entry) ends(userID string) bool {
	switch e.Kind {
	case KindMemberLeft:
		return e.UserID == userID || slices.Contains(e.TargetUserIDs, userID)
	case KindMemberRemoved:
		return slices.Contains(e.TargetUserIDs, userID)
	}
	return false
}
