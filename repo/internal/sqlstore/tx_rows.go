package sqlstore

import "fmt"

// loadConversations reads what conversation then returns; one that is not there is left out.
func (t *Tx) loadConversations(ids ...int64) error {
	var missing [][]any
	for _, id := range ids {
		if _, ok := t.convs[id]; ok {
			continue
		}
		if c, ok := t.back.Conversation(id); ok {
			t.keepConversation(&c)
		} else {
			missing = append(missing, []any{id})
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if t.opt.Locks {
		err := t.QueryEach("SELECT 1 FROM conversations WHERE id = ? FOR UPDATE", missing, func(int, Row) error { return nil })
		if err != nil {
			return fmt.Errorf("lock conversations: %w", err)
		}
	}
	err := t.QueryEach(HeadQuery, missing, func(_ int, r Row) error {
		c := ScanHead(r, 0)
		t.keepConversation(&c)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read conversations: %w", err)
	}
	return nil
}

func (t *Tx) keepConversation(c *Conversation) {
	t.now = max(t.now, c.UpdatedAt) // another process's clock may have been ahead
	t.convs[c.ID] = c
}

// loadMembers reads what member then returns. The conversations must have been asked for before.
func (t *Tx) loadMembers(keys ...MemberKey) error {
	var missing [][]any
	for _, key := range keys {
		if _, ok := t.members[key]; ok {
			continue
		}
		if m, ok := t.back.Member(key); ok {
			t.members[key] = &m
		} else {
			missing = append(missing, []any{key.ConversationID, key.UserID})
		}
	}
	if len(missing) == 0 {
		return nil
	}
	err := t.QueryEach(memberQuery, missing, func(_ int, r Row) error {
		m := ScanMember(r, 0)
		t.back.KeepMember(m) // committed: a transaction's own rows are in t.members
		t.members[m.Key()] = &m
		return nil
	})
	if err != nil {
		return fmt.Errorf("read members: %w", err)
	}
	return nil
}

// saveMembers inserts or replaces members' rows. The conversations must have
// been asked for before, so that their pointers follow.
func (t *Tx) saveMembers(members ...*Member) error {
	rows := make([][]any, len(members))
	for i, m := range members {
		rows[i] = []any{
			m.ConversationID, m.UserID, int64(m.Role), m.MutedUntil, m.JoinedAt, m.JoinedSeq, m.LeftAt, m.LeftSeq, m.Sent,
			m.ReadSeq, m.ReadCount, m.ReadSent, m.ReadAt, m.DeliveredSeq, m.Silent, m.Pinned,
		}
	}
	err := t.ExecEach(`INSERT INTO members (conversation_id, user_id, role, muted_until, joined_at, joined_seq, left_at, left_seq, sent,
			read_seq, read_count, read_sent, read_at, delivered_seq, silent, pinned)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (conversation_id, user_id) DO UPDATE SET role = excluded.Role, muted_until = excluded.muted_until,
			joined_at = excluded.joined_at, joined_seq = excluded.joined_seq, left_at = excluded.left_at, left_seq = excluded.left_seq,
			sent = excluded.Sent, read_seq = excluded.read_seq, read_count = excluded.read_count, read_sent = excluded.read_sent,
			read_at = excluded.read_at, delivered_seq = excluded.delivered_seq, silent = excluded.Silent, pinned = excluded.Pinned`, rows)
	if err != nil {
		return fmt.Errorf("save members: %w", err)
	}
	for _, m := range members {
		t.members[m.Key()] = m
		t.changed = append(t.changed, m)
		if c, ok := t.convs[m.ConversationID]; ok {
			c.setPointers(m)
		}
	}
	return nil
}
