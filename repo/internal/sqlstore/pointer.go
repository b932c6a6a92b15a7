package sqlstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/gochat-im/gochat/repo/repopb"
)

// moveRead moves a member's read pointer forward. What is read is delivered.
func (s *Store) moveRead(ctx context.Context, r *repopb.UpdateMessageStatusRequest) (*repopb.UpdateMessageStatusResponse, error) {
	own, err := s.countOwn(ctx, r)
	if err != nil {
		return nil, err
	}
	var resp *repopb.UpdateMessageStatusResponse
	err = s.engine.Write(ctx, func(t *Tx) error {
		c, err := t.conversation(r.GetConversationId())
		if err != nil {
			return fmt.Errorf("read conversation: %w", err)
		}
		if c == nil {
			return errNoConversation
		}
		m, err := t.member(c.ID, r.GetActorId())
		if err != nil {
			return fmt.Errorf("read member: %w", err)
		}
		if !m.active() {
			return errNoConversation
		}
		seq := min(r.GetSeq(), c.LastSeq)
		resp = &repopb.UpdateMessageStatusResponse{Type: c.Kind, PeerId: c.peerOf(r.GetActorId())}
		if seq > m.ReadSeq {
			if err := t.markRead(c, m, seq, own); err != nil {
				return err
			}
			resp.Moved = true
		}
		if resp.Seq = m.ReadSeq; !resp.GetMoved() {
			return nil
		}
		return t.saveMembers(m)
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// MarkDelivered implements repo.Store.
func (s *Store) MarkDelivered(ctx context.Context, r *repopb.MarkDeliveredRequest) (*repopb.MarkDeliveredResponse, error) {
	pointers := slices.SortedFunc(slices.Values(r.GetPointers()), func(a, b *repopb.DeliveredPointer) int { // one order of locks
		return cmp.Compare(a.GetConversationId(), b.GetConversationId())
	})
	var resp *repopb.MarkDeliveredResponse
	err := s.engine.Write(ctx, func(t *Tx) error {
		moved, err := t.markDelivered(pointers)
		resp = &repopb.MarkDeliveredResponse{Moved: moved}
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// markDelivered moves pointers of one-to-ones and returns those that moved.
func (t *Tx) markDelivered(pointers []*repopb.DeliveredPointer) (out []*repopb.DeliveredPointer, err error) {
	ids, keys := make([]int64, len(pointers)), make([]MemberKey, len(pointers))
	for i, p := range pointers {
		ids[i], keys[i] = p.GetConversationId(), MemberKey{p.GetConversationId(), p.GetUserId()}
	}
	if err := t.loadConversations(ids...); err != nil {
		return nil, err
	}
	if err := t.loadMembers(keys...); err != nil {
		return nil, err
	}
	var moved []*Member
	for i, p := range pointers {
		c, m := t.convs[ids[i]], t.members[keys[i]]
		if c == nil || c.Kind != repopb.ConversationType_CONVERSATION_TYPE_SINGLE || !m.active() {
			continue
		}
		if seq := min(p.GetSeq(), c.LastSeq); seq > m.DeliveredSeq {
			m.DeliveredSeq = seq
			moved = append(moved, m)
			out = append(out, &repopb.DeliveredPointer{ConversationId: c.ID, UserId: m.UserID, Seq: seq, PeerId: c.peerOf(m.UserID)})
		}
	}
	return out, t.saveMembers(moved...)
}

// markRead notes how many messages lie up to seq, in all and of the member itself.
func (t *Tx) markRead(c *Conversation, m *Member, seq int64, counted ownCount) error {
	count, sent := c.Total, m.sentIn(c)
	if seq < c.LastSeq {
		at, err := readPlace(t, c, m, seq)
		if err != nil {
			return err
		}
		count = at.count
		switch {
		case at.known:
			sent = at.own
		case counted.seq == seq:
			sent = counted.own
		default:
			if sent, err = ownUpTo(t, c, m, seq); err != nil {
				return err
			}
		}
	}
	m.ReadSeq, m.ReadCount, m.ReadSent, m.ReadAt = seq, count, sent, t.now
	m.DeliveredSeq = max(m.DeliveredSeq, seq)
	return nil
}

// place is what a log row says of the messages up to it.
type place struct {
	count int64 // in all
	own   int64 // the member's, when known
	known bool
}

// readPlace reads one row: it knows the member's messages in a one-to-one, when it is the member's own message, and
// when the member has sent none after what they have read.
func readPlace(q Conn, c *Conversation, m *Member, seq int64) (at place, err error) {
	err = q.Query("SELECT count_no, sent_no, user_id, kind FROM messages WHERE conversation_id = ? AND seq = ?", func(r Row) error {
		sent, author := r.Int64(1), r.Int64(2)
		at.count = r.Int64(0)
		switch own := author == m.UserID; {
		case c.SideOf(m.UserID) >= 0 && c.SideOf(author) >= 0:
			at.own, at.known = sent, true
			if !own {
				at.own = at.count - sent
			}
		case own && repopb.EventKind(r.Int64(3)) == repopb.EventKind_EVENT_KIND_MESSAGE:
			at.own, at.known = sent, true
		case m.Sent == m.ReadSent && seq >= m.ReadSeq:
			at.own, at.known = m.ReadSent, true
		}
		return nil
	}, c.ID, seq)
	if err != nil {
		return place{}, fmt.Errorf("count messages: %w", err)
	}
	return at, nil
}

// ownCount is how many messages a member has sent up to a seq. It stays true: a log only grows.
type ownCount struct{ seq, own int64 }

// countOwn counts before the transaction what markRead would have to walk a part of the log for, so that no other write
// waits for it. Between the count and the transaction the log grows little, so what markRead counts itself is short.
func (s *Store) countOwn(ctx context.Context, r *repopb.UpdateMessageStatusRequest) (own ownCount, err error) {
	if r.GetStatus() != repopb.MessageStatus_MESSAGE_STATUS_READ {
		return own, nil
	}
	if c, ok := s.engine.Head(r.GetConversationId()); ok && (r.GetSeq() >= c.LastSeq || c.Kind == repopb.ConversationType_CONVERSATION_TYPE_SINGLE) {
		return own, nil
	}
	err = s.engine.Read(ctx, func(q Conn) error {
		own = ownCount{}
		c, found, err := LoadConversation(q, r.GetConversationId())
		if err != nil || !found || r.GetSeq() >= c.LastSeq {
			return err
		}
		m, found, err := LoadMember(q, c.ID, r.GetActorId())
		if err != nil || !found || !m.active() || r.GetSeq() <= m.ReadSeq {
			return err
		}
		at, err := readPlace(q, &c, &m, r.GetSeq())
		if err != nil || at.known {
			return err
		}
		sent, err := ownUpTo(q, &c, &m, r.GetSeq())
		own = ownCount{seq: r.GetSeq(), own: sent}
		return err
	})
	return own, err
}

// OwnBeforeQuery and OwnAfterQuery find the message of a user that lies nearest to a place in a part of a log. Its row
// says how many the user had sent, so the part between is all that is read.
const (
	OwnBeforeQuery = `SELECT sent_no FROM messages WHERE conversation_id = ? AND seq > ? AND seq <= ? AND user_id = ? AND kind = 1
		ORDER BY seq DESC LIMIT 1`
	OwnAfterQuery = `SELECT sent_no FROM messages WHERE conversation_id = ? AND seq > ? AND seq <= ? AND user_id = ? AND kind = 1
		ORDER BY seq LIMIT 1`
)

// ownUpTo counts a member's messages by the nearest one between the read pointer and seq, or between seq and the end,
// whichever part of the log is shorter. Who reads on halves what is left to look at, so a member costs a log's length once.
func ownUpTo(q Conn, c *Conversation, m *Member, seq int64) (int64, error) {
	query, from, to, nearest, none := OwnBeforeQuery, m.ReadSeq, seq, int64(0), m.ReadSent
	if c.LastSeq-seq < seq-m.ReadSeq {
		query, from, to, nearest, none = OwnAfterQuery, seq, c.LastSeq, -1, m.sentIn(c)
	}
	sent, found, err := q.QueryInt(query, c.ID, from, to, m.UserID)
	if err != nil {
		return 0, fmt.Errorf("count own messages: %w", err)
	}
	if !found {
		return none, nil
	}
	return sent + nearest, nil
}
