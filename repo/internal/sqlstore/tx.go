package sqlstore

import (
	"fmt"

	"github.com/gochat-im/gochat/repo/repopb"
)

// Tx is what a write sees: the database inside the transaction, and the state
// of the conversations and members that it touches. One goroutine uses it.
type Tx struct {
	c    Conn
	back Backend
	opt  TxOptions
	now  int64 // the time of everything that this transaction does

	writes   int
	messages int

	convs   map[int64]*Conversation
	members map[MemberKey]*Member
	changed []*Member
}

// TxOptions are what the rules inside a transaction need to know.
type TxOptions struct {
	LargeGroupThreshold int  // groups with more members are large
	Locks               bool // transactions run side by side: rows that a rule depends on are locked first
}

// Backend is what an engine does its own way inside a transaction.
type Backend interface {
	// Conversation and Member return state that the engine keeps in memory, as
	// of the last commit: all of it, or in a transaction that only stores
	// messages what ScanSequencer reads.
	Conversation(id int64) (Conversation, bool)
	Member(key MemberKey) (Member, bool)
	// KeepMember offers a row that was read from the database, for Member.
	KeepMember(m Member)
	// InsertMessage stores a message, at the latest before the commit; false
	// when its sender used the key before, which then can be found.
	InsertMessage(m MessageRow) (bool, error)
	// SaveSent stores how many messages a group's members have sent, at the latest before the commit.
	SaveSent(members []*Member) error
	// AddOutbox stores an entry and fills its id, at the latest before the commit.
	AddOutbox(createdAt int64, ranges string, id *int64) error
}

// NewTx begins the shared state of a transaction that was begun on c. now, in
// unix milliseconds, is the time of everything that it does.
func NewTx(c Conn, b Backend, now int64, opt TxOptions) *Tx {
	return &Tx{c: c, back: b, opt: opt, now: now, convs: map[int64]*Conversation{}, members: map[MemberKey]*Member{}}
}

// Now is the time of the transaction in unix milliseconds.
func (t *Tx) Now() int64 { return t.now }

// Writes counts the statements so far that wrote.
func (t *Tx) Writes() int { return t.writes }

// Messages counts the messages that were stored.
func (t *Tx) Messages() int { return t.messages }

// Spoil makes the transaction count as written to: whatever it did must not be committed as it is.
func (t *Tx) Spoil() { t.writes++ }

// Changes returns what a commit makes true: the state of the conversations
// that were looked at, and the members' rows that were saved.
func (t *Tx) Changes() (map[int64]*Conversation, []*Member) { return t.convs, t.changed }

// Exec runs a statement that writes and reports how many rows it changed.
func (t *Tx) Exec(sql string, args ...any) (int64, error) {
	t.writes++
	return t.c.Exec(sql, args...)
}

// Query calls each for every row of a statement that reads.
func (t *Tx) Query(sql string, each func(r Row) error, args ...any) error {
	return t.c.Query(sql, each, args...)
}

// ExecEach runs a statement that writes for each set of arguments.
func (t *Tx) ExecEach(sql string, sets [][]any) error {
	if len(sets) > 0 {
		t.writes++
	}
	return t.c.ExecEach(sql, sets)
}

// QueryEach runs a statement that reads for each set of arguments.
func (t *Tx) QueryEach(sql string, sets [][]any, each func(i int, r Row) error) error {
	return t.c.QueryEach(sql, sets, each)
}

// QueryInt returns the first column of the first row.
func (t *Tx) QueryInt(sql string, args ...any) (int64, bool, error) {
	return t.c.QueryInt(sql, args...)
}

// forUpdate ends a statement that reads what the transaction then changes.
func (t *Tx) forUpdate() string {
	if t.opt.Locks {
		return " FOR UPDATE"
	}
	return ""
}

// skipLocked is forUpdate that leaves out what another transaction has locked.
func (t *Tx) skipLocked() string {
	if t.opt.Locks {
		return " FOR UPDATE SKIP LOCKED"
	}
	return ""
}

// lockRow keeps other transactions from what they lock the same row for.
func (t *Tx) lockRow(table string, id int64) error {
	if !t.opt.Locks {
		return nil
	}
	if _, _, err := t.QueryInt("SELECT 1 FROM "+table+" WHERE id = ? FOR UPDATE", id); err != nil {
		return fmt.Errorf("lock a row of %s: %w", table, err)
	}
	return nil
}

// peek is conversation for who changes nothing: it takes no lock, and has
// all of the state where Backend keeps what CreateMessages needs.
func (t *Tx) peek(id int64) (*Conversation, error) {
	if !t.opt.Locks {
		return t.conversation(id)
	}
	c, found, err := LoadConversation(t.c, id)
	if err != nil || !found {
		return nil, err
	}
	return &c, nil
}

// conversation returns the state of a conversation, nil when there is none.
// The caller may change it, saving it with saveConversation. Its row is the
// sequencer of its log and guards its members: whoever has it has the lock.
func (t *Tx) conversation(id int64) (*Conversation, error) {
	if c, ok := t.convs[id]; ok {
		return c, nil
	}
	if err := t.loadConversations(id); err != nil {
		return nil, err
	}
	return t.convs[id], nil
}

// insertConversation stores a new conversation.
func (t *Tx) insertConversation(c *Conversation) error {
	_, err := t.Exec(`INSERT INTO conversations (id, type, name, avatar, low_id, high_id, is_large, created_at, dissolved_at, members_seq)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		c.ID, int64(c.Kind), c.Name, c.Avatar, c.Side[0].UserID, c.Side[1].UserID, c.Large, c.CreatedAt, c.DissolvedAt, c.MembersSeq)
	if err != nil {
		return fmt.Errorf("insert conversation: %w", err)
	}
	t.convs[c.ID] = c
	return nil
}

// saveConversation stores name, avatar, large, dissolved_at and members_seq.
func (t *Tx) saveConversation(c *Conversation) error {
	_, err := t.Exec("UPDATE conversations SET name = ?, avatar = ?, is_large = ?, dissolved_at = ?, members_seq = ? WHERE id = ?",
		c.Name, c.Avatar, c.Large, c.DissolvedAt, c.MembersSeq, c.ID)
	if err != nil {
		return fmt.Errorf("save conversation: %w", err)
	}
	return nil
}

// member returns a user's row in a conversation, also of one who left; nil for
// who never was in it. The caller may change it, saving it with saveMembers.
func (t *Tx) member(conversationID, userID int64) (*Member, error) {
	key := MemberKey{conversationID, userID}
	if m, ok := t.members[key]; ok {
		return m, nil
	}
	if err := t.loadMembers(key); err != nil {
		return nil, err
	}
	return t.members[key], nil
}

// join makes users members who have read everything up to now; append the
// event that tells of it first. It also serves who comes back.
func (t *Tx) join(c *Conversation, users []int64, role func(userID int64) repopb.Role) error {
	keys := make([]MemberKey, len(users))
	for i, u := range users {
		keys[i] = MemberKey{c.ID, u}
	}
	if err := t.loadMembers(keys...); err != nil {
		return err
	}
	members := make([]*Member, len(users))
	for i, key := range keys {
		m := t.members[key]
		if m == nil {
			m = &Member{ConversationID: c.ID, UserID: key.UserID}
		}
		m.Role, m.JoinedAt, m.JoinedSeq = role(m.UserID), t.now, c.LastSeq
		m.LeftAt, m.LeftSeq = 0, 0 // a mute stays: leaving and coming back does not lift it
		m.ReadSeq, m.ReadCount, m.ReadSent, m.ReadAt = c.LastSeq, c.Total, m.Sent, t.now
		m.DeliveredSeq = c.LastSeq
		members[i] = m
	}
	return t.saveMembers(members...)
}

func asMember(int64) repopb.Role { return repopb.Role_ROLE_MEMBER }

// leave ends a membership; append the event that tells of it first.
func (t *Tx) leave(c *Conversation, m *Member) error {
	m.LeftAt, m.LeftSeq = t.now, c.LastSeq
	return t.saveMembers(m)
}
