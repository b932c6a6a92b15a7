package sqlite

import (
	"fmt"

	"github.com/gochat-im/gochat/repo/repopb"
)

// tx is what a write sees: the database inside the transaction, and the state
// of the conversations and members that it touches. Only the writer's
// goroutine uses it.
type tx struct {
	w        *writer
	c        *conn
	now      int64 // the time of everything that this transaction does
	writes   int
	messages int

	convs   map[int64]*conversation
	members map[memberKey]*member
	changed []*member // saved ones, to be published
}

func newTx(w *writer, now int64) *tx {
	return &tx{w: w, c: w.c, now: now, convs: map[int64]*conversation{}, members: map[memberKey]*member{}}
}

// exec runs a statement that writes and reports how many rows it changed.
func (t *tx) exec(sql string, args ...any) (int64, error) {
	t.writes++
	return t.c.exec(sql, args...)
}

func (t *tx) query(sql string, each func(r *stmt) error, args ...any) error {
	return t.c.query(sql, each, args...)
}

func (t *tx) queryInt(sql string, args ...any) (int64, bool, error) {
	return t.c.queryInt(sql, args...)
}

// commit makes everything durable, then visible to the readers of the state.
func (t *tx) commit() error {
	if t.writes > 0 {
		if _, err := t.c.exec("UPDATE clock SET now = ? WHERE id = 1", t.now); err != nil {
			return fmt.Errorf("set the clock: %w", err)
		}
	}
	if _, err := t.c.exec("COMMIT"); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if t.writes > 0 {
		t.publish()
	}
	return nil
}

func (t *tx) publish() {
	w := t.w
	if len(w.members) > w.s.opt.MaxCachedHeads {
		clear(w.members)
	}
	for _, m := range t.changed {
		w.members[m.key()] = *m
	}
	w.s.state.publish(t.convs, t.changed)
}

// conversation returns the state of a conversation, nil when there is none.
// The caller may change it, saving it with saveConversation.
func (t *tx) conversation(id int64) (*conversation, error) {
	if c, ok := t.convs[id]; ok {
		return c, nil
	}
	v, ok := t.w.s.state.conversation(id)
	if !ok {
		var err error
		if v, ok, err = loadConversation(t.c, id); err != nil || !ok {
			return nil, err
		}
	}
	t.convs[id] = &v
	return &v, nil
}

// insertConversation stores a new conversation; its log is empty.
func (t *tx) insertConversation(c *conversation) error {
	_, err := t.exec(`INSERT INTO conversations (id, type, name, avatar, low_id, high_id, is_large, created_at, dissolved_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		c.id, int64(c.kind), c.name, c.avatar, c.side[0].userID, c.side[1].userID, c.large, c.createdAt, c.dissolvedAt)
	if err != nil {
		return fmt.Errorf("insert conversation: %w", err)
	}
	t.convs[c.id] = c
	return nil
}

// saveConversation stores name, avatar, large and dissolved_at.
func (t *tx) saveConversation(c *conversation) error {
	_, err := t.exec("UPDATE conversations SET name = ?, avatar = ?, is_large = ?, dissolved_at = ? WHERE id = ?",
		c.name, c.avatar, c.large, c.dissolvedAt, c.id)
	if err != nil {
		return fmt.Errorf("save conversation: %w", err)
	}
	return nil
}

// member returns a user's row in a conversation, also of one who left; nil for
// who never was in it. The caller may change it, saving it with saveMember.
func (t *tx) member(conversationID, userID int64) (*member, error) {
	key := memberKey{conversationID, userID}
	if m, ok := t.members[key]; ok {
		return m, nil
	}
	v, ok := t.w.members[key]
	if !ok {
		var err error
		if v, ok, err = loadMember(t.c, conversationID, userID); err != nil || !ok {
			return nil, err
		}
		t.w.members[key] = v // committed: a transaction's own rows are in t.members
	}
	t.members[key] = &v
	return &v, nil
}

// saveMember inserts or replaces a member's row. The conversation must have
// been asked for before, so that its pointers follow.
func (t *tx) saveMember(m *member) error {
	_, err := t.exec(`INSERT INTO members (conversation_id, user_id, role, muted_until, joined_at, joined_seq, left_at, left_seq, sent,
			read_seq, read_count, read_sent, read_at, delivered_seq, silent, pinned)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (conversation_id, user_id) DO UPDATE SET role = excluded.role, muted_until = excluded.muted_until,
			joined_at = excluded.joined_at, joined_seq = excluded.joined_seq, left_at = excluded.left_at, left_seq = excluded.left_seq,
			sent = excluded.sent, read_seq = excluded.read_seq, read_count = excluded.read_count, read_sent = excluded.read_sent,
			read_at = excluded.read_at, delivered_seq = excluded.delivered_seq, silent = excluded.silent, pinned = excluded.pinned`,
		m.conversationID, m.userID, int64(m.role), m.mutedUntil, m.joinedAt, m.joinedSeq, m.leftAt, m.leftSeq, m.sent,
		m.readSeq, m.readCount, m.readSent, m.readAt, m.deliveredSeq, m.silent, m.pinned)
	if err != nil {
		return fmt.Errorf("save member: %w", err)
	}
	t.members[m.key()] = m
	t.changed = append(t.changed, m)
	if c, ok := t.convs[m.conversationID]; ok {
		c.setPointers(m)
	}
	return nil
}

// join makes a user a member who has read everything up to now; append the
// event that tells of it first. It also serves who comes back.
func (t *tx) join(c *conversation, userID int64, role repopb.Role) error {
	m, err := t.member(c.id, userID)
	if err != nil {
		return err
	}
	if m == nil {
		m = &member{conversationID: c.id, userID: userID}
	}
	m.role, m.joinedAt, m.joinedSeq = role, t.now, c.lastSeq
	m.leftAt, m.leftSeq = 0, 0 // a mute stays: leaving and coming back does not lift it
	m.readSeq, m.readCount, m.readSent, m.readAt = c.lastSeq, c.total, m.sent, t.now
	m.deliveredSeq = c.lastSeq
	return t.saveMember(m)
}

// leave ends a membership; append the event that tells of it first.
func (t *tx) leave(c *conversation, m *member) error {
	m.leftAt, m.leftSeq = t.now, c.lastSeq
	return t.saveMember(m)
}
