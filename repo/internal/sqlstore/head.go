package sqlstore

import (
	"cmp"

	"github.com/gochat-im/gochat/repo/repopb"
)

// Conversation is a conversation's state: its row and what its last log row says.
type Conversation struct {
	ID          int64
	Kind        repopb.ConversationType
	Name        string
	Avatar      string
	CreatedAt   int64
	DissolvedAt int64
	Large       bool
	MembersSeq  int64 // seq of the last change of who is in it

	LastSeq   int64
	Total     int64 // messages
	UpdatedAt int64 // time of the last event
	ShownSeq  int64 // newest entry that history shows
	Side      [2]Side
}

// Side is one user of a one-to-one conversation, the lower id first. Empty in groups.
type Side struct {
	UserID       int64
	Sent         int64
	ReadSeq      int64
	ReadAt       int64
	DeliveredSeq int64
}

// SideOf returns the index of a user in a one-to-one, -1 for a stranger.
func (c *Conversation) SideOf(userID int64) int {
	switch userID {
	case 0:
		return -1
	case c.Side[0].UserID:
		return 0
	case c.Side[1].UserID:
		return 1
	}
	return -1
}

// peerOf returns the other user of a one-to-one, 0 in a group.
func (c *Conversation) peerOf(userID int64) int64 {
	if c.Kind != repopb.ConversationType_CONVERSATION_TYPE_SINGLE {
		return 0
	}
	if c.Side[0].UserID == userID {
		return c.Side[1].UserID
	}
	return c.Side[0].UserID
}

func (c *Conversation) setPointers(m *Member) {
	if i := c.SideOf(m.UserID); i >= 0 {
		s := &c.Side[i]
		s.ReadSeq, s.ReadAt, s.DeliveredSeq = m.ReadSeq, m.ReadAt, m.DeliveredSeq
	}
}

// MemberKey is the primary key of a member's row.
type MemberKey struct{ ConversationID, UserID int64 }

// Compare orders keys as the primary key does.
func (k MemberKey) Compare(other MemberKey) int {
	return cmp.Or(cmp.Compare(k.ConversationID, other.ConversationID), cmp.Compare(k.UserID, other.UserID))
}

// Member is one user's row in a conversation.
type Member struct {
	ConversationID, UserID int64
	Role                   repopb.Role
	MutedUntil             int64
	JoinedAt, JoinedSeq    int64
	LeftAt, LeftSeq        int64
	Sent                   int64 // groups only
	ReadSeq                int64
	ReadCount              int64 // messages up to readSeq
	ReadSent               int64 // own ones among them
	ReadAt                 int64 // when the pointer moved
	DeliveredSeq           int64
	Silent, Pinned         bool
}

// Key is the row's primary key.
func (m *Member) Key() MemberKey { return MemberKey{m.ConversationID, m.UserID} }

// active tells whether the user is in the conversation now.
func (m *Member) active() bool { return m != nil && m.LeftAt == 0 }

// sentIn is how many messages the member has sent so far.
func (m *Member) sentIn(c *Conversation) int64 {
	if i := c.SideOf(m.UserID); i >= 0 {
		return c.Side[i].Sent
	}
	return m.Sent
}

func (m *Member) unread(c *Conversation) int64 {
	return (c.Total - m.ReadCount) - (m.sentIn(c) - m.ReadSent)
}

// Entry is one of a user's conversations with the user's row in it, both of one moment. They may be shared: nobody
// changes them.
type Entry struct {
	Member       *Member
	Conversation *Conversation
}

// Place is where a conversation stands in its members' lists: the one that was active last comes first.
type Place struct{ Activity, ID int64 }

// Compare is negative when p comes before other.
func (p Place) Compare(other Place) int {
	return cmp.Or(cmp.Compare(other.Activity, p.Activity), cmp.Compare(other.ID, p.ID))
}

// Place returns where the conversation stands now.
func (c *Conversation) Place() Place { return Place{c.activity(), c.ID} }

// activity is the time of a conversation's last event, of its birth before there is one.
func (c *Conversation) activity() int64 {
	if c.LastSeq == 0 {
		return c.CreatedAt
	}
	return c.UpdatedAt
}
