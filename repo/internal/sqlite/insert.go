package sqlite

import (
	"fmt"

	"github.com/gochat-im/gochat/repo/internal/sqlstore"
)

// Conversation implements sqlstore.Backend.
func (w *writer) Conversation(id int64) (sqlstore.Conversation, bool) {
	return w.s.state.conversation(id)
}

// Member implements sqlstore.Backend.
func (w *writer) Member(key sqlstore.MemberKey) (sqlstore.Member, bool) {
	m, ok := w.members[key]
	return m, ok
}

// KeepMember implements sqlstore.Backend.
func (w *writer) KeepMember(m sqlstore.Member) { w.members[m.Key()] = m }

// insertMessage is ignored when the key was used: a cheaper check than ON CONFLICT.
const insertMessage = `INSERT OR IGNORE INTO messages
	(conversation_id, seq, kind, user_id, created_at, count_no, sent_no, message_type, content, dedupe_key, echo_key, body_hash)
	VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// InsertMessage implements sqlstore.Backend.
func (w *writer) InsertMessage(row sqlstore.MessageRow) (bool, error) {
	s, err := w.c.prepare(insertMessage)
	if err != nil {
		return false, err
	}
	m := row.Message
	mark, mem := s.begin(len(m.GetMessageType()) + len(m.GetContent()) + len(m.GetClientMsgId()))
	defer s.end(mark)
	s.bindInt(1, m.GetConversationId())
	s.bindInt(2, row.Seq)
	s.bindInt(3, m.GetSenderId())
	s.bindInt(4, row.CreatedAt)
	s.bindInt(5, row.Count)
	s.bindInt(6, row.Sent)
	mem = s.bindText(7, mem, m.GetMessageType())
	mem = s.bindText(8, mem, m.GetContent())
	s.bindText(9, mem, m.GetClientMsgId())
	s.bindInt(10, boolInt(m.GetEchoClientMsgId()))
	s.bindInt(11, row.Hash)
	if _, err := s.step(); err != nil {
		return false, fmt.Errorf("insert message: %w", err)
	}
	return w.c.changes() == 1, nil
}

// SaveSent implements sqlstore.Backend.
func (w *writer) SaveSent(members []*sqlstore.Member) error {
	for _, m := range members {
		_, err := w.c.Exec("UPDATE members SET sent = ? WHERE conversation_id = ? AND user_id = ?", m.Sent, m.ConversationID, m.UserID)
		if err != nil {
			return err
		}
	}
	return nil
}

// AddOutbox implements sqlstore.Backend.
func (w *writer) AddOutbox(createdAt int64, ranges string, id *int64) (err error) {
	*id, _, err = w.c.QueryInt("INSERT INTO outbox (created_at, ranges) VALUES (?, ?) RETURNING id", createdAt, ranges)
	return err
}
