package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

var errNoConversation = errs.New(errs.NotFound, "no such conversation")

// CreateMessages implements repo.Store. A message that may not be stored leaves its error in its result; the others are
// stored all the same, without a hole.
func (s *Store) CreateMessages(ctx context.Context, r *repopb.CreateMessagesRequest) (*repopb.CreateMessagesResponse, error) {
	var resp *repopb.CreateMessagesResponse
	err := s.engine.Write(ctx, func(t *Tx) (err error) {
		resp, err = t.CreateMessages(r)
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// CreateMessages stores a batch. Its answer is complete when the transaction is committed.
func (t *Tx) CreateMessages(r *repopb.CreateMessagesRequest) (*repopb.CreateMessagesResponse, error) {
	resp := &repopb.CreateMessagesResponse{Results: make([]*repopb.CreateMessageResult, len(r.GetMessages()))}
	results := make([]repopb.CreateMessageResult, len(r.GetMessages()))
	events := make([]repopb.Event, len(r.GetMessages()))
	senders := make(map[*Member]struct{})
	for i, m := range r.GetMessages() {
		result := &results[i]
		resp.Results[i] = result
		err := t.createMessage(m, result, &events[i], senders)
		if err == nil {
			continue
		}
		refused, ok := err.(*errs.Error) //nolint:errorlint // only what createMessage itself answers is the message's
		if !ok {
			return nil, err
		}
		result.Code, result.Error = int32(refused.Code), refused.Message
	}
	if len(senders) > 0 {
		saved := slices.Collect(maps.Keys(senders))
		t.writes++
		t.changed = append(t.changed, saved...)
		if err := t.back.SaveSent(saved); err != nil {
			return nil, fmt.Errorf("save the count of sent messages: %w", err)
		}
	}
	if !r.GetPushOutbox() {
		return resp, nil
	}
	return resp, t.addOutbox(resp)
}

// MessageRow is a message with its place in the log.
type MessageRow struct {
	Message   *repopb.NewMessage
	Seq       int64
	CreatedAt int64
	Count     int64 // messages of the conversation up to and including it
	Sent      int64 // those of its sender
	Hash      int64 // of the body
}

// createMessage stores one message and fills its result. Its *errs.Error is the message's, any other the batch's.
func (t *Tx) createMessage(m *repopb.NewMessage, result *repopb.CreateMessageResult, ev *repopb.Event, senders map[*Member]struct{}) error {
	c, err := t.conversation(m.GetConversationId())
	if err != nil {
		return fmt.Errorf("read conversation: %w", err)
	}
	hash := bodyHash(m)
	sender, refusal, err := t.mayWrite(c, m.GetSenderId())
	if err != nil {
		return err
	}
	if refusal != nil {
		// Who may write no more still gets the answer to what they wrote before.
		if found, err := t.firstResult(m, hash, result); err != nil || found {
			return err
		}
		return refusal
	}
	seq, sent := c.LastSeq+1, sender.sentIn(c)+1
	t.writes++
	inserted, err := t.back.InsertMessage(MessageRow{Message: m, Seq: seq, CreatedAt: t.now, Count: c.Total + 1, Sent: sent, Hash: hash})
	if err != nil {
		return err
	}
	if !inserted {
		found, err := t.firstResult(m, hash, result)
		if err == nil && !found {
			err = fmt.Errorf("message of %d is a duplicate of nothing", m.GetSenderId())
		}
		return err
	}
	c.LastSeq, c.ShownSeq, c.UpdatedAt = seq, seq, t.now
	c.Total++
	if i := c.SideOf(sender.UserID); i >= 0 {
		c.Side[i].Sent = sent
	} else {
		sender.Sent = sent
		senders[sender] = struct{}{}
	}
	t.messages++
	ev.ConversationId, ev.Seq, ev.Kind, ev.UserId, ev.CreatedAt = c.ID, seq, repopb.EventKind_EVENT_KIND_MESSAGE, m.GetSenderId(), t.now
	ev.Content, ev.MessageType, ev.Status = m.GetContent(), m.GetMessageType(), repopb.MessageStatus_MESSAGE_STATUS_SENT
	if m.GetEchoClientMsgId() {
		ev.ClientMsgId = m.GetClientMsgId()
	}
	ev.ConversationType, ev.PeerId, ev.MembersSeq = c.Kind, c.peerOf(m.GetSenderId()), c.MembersSeq
	result.Event = ev
	return nil
}

// mayWrite is the final word on who may write: refusal says why not.
func (t *Tx) mayWrite(c *Conversation, userID int64) (sender *Member, refusal *errs.Error, err error) {
	if c == nil {
		return nil, errNoConversation, nil
	}
	sender, err = t.member(c.ID, userID)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("read member: %w", err)
	case !sender.active():
		return nil, errNoConversation, nil
	case c.DissolvedAt != 0:
		return nil, errs.New(errs.Conflict, "the group is dissolved"), nil
	case sender.MutedUntil > t.now:
		return nil, errs.New(errs.Forbidden, "you are muted in this group").With("muted_until", strconv.FormatInt(sender.MutedUntil, 10)), nil
	}
	return sender, nil, nil
}

// FirstResultQuery finds what a sender's key was used for.
const FirstResultQuery = "SELECT conversation_id, seq, body_hash, recalled FROM messages WHERE user_id = ? AND dedupe_key = ?"

// firstResult answers a retry with what its first try stored: the message as it stands. The same key with another body
// is a Conflict, but for what was recalled: nothing is known of its body any more.
func (t *Tx) firstResult(m *repopb.NewMessage, hash int64, result *repopb.CreateMessageResult) (found bool, err error) {
	var conversationID, seq, firstHash int64
	recalled := false
	err = t.Query(FirstResultQuery, func(r Row) error {
		conversationID, seq, firstHash, recalled, found = r.Int64(0), r.Int64(1), r.Int64(2), r.Bool(3), true
		return nil
	}, m.GetSenderId(), m.GetClientMsgId())
	if err != nil || !found {
		return false, err
	}
	same := firstHash == hash
	if recalled { // its hash went with its content
		same = conversationID == m.GetConversationId()
	}
	if !same {
		return false, errs.New(errs.Conflict, "client_msg_id: was used for another message").With("field", "client_msg_id")
	}
	c, err := t.peek(conversationID)
	if err != nil || c == nil {
		return false, err
	}
	result.Duplicate = true
	result.Event, err = readEvent(t.c, c, seq)
	return true, err
}

// readEvent reads one log entry, nil when there is none.
func readEvent(q Conn, c *Conversation, seq int64) (ev *repopb.Event, err error) {
	err = q.Query("SELECT "+eventColumns+" FROM messages m WHERE m.conversation_id = ? AND m.seq = ?", func(r Row) (err error) {
		ev, err = scanEvent(r, c)
		return err
	}, c.ID, seq)
	if err != nil {
		return nil, fmt.Errorf("read event: %w", err)
	}
	return ev, nil
}

// addOutbox records which log entries a batch added, so that a crash before the push decision is noticed.
func (t *Tx) addOutbox(resp *repopb.CreateMessagesResponse) error {
	var ranges [][3]int64
	at := map[int64]int{}
	for _, r := range resp.GetResults() {
		if r.GetEvent() == nil || r.GetDuplicate() {
			continue
		}
		id, seq := r.GetEvent().GetConversationId(), r.GetEvent().GetSeq()
		if i, ok := at[id]; ok {
			ranges[i][2] = seq
			continue
		}
		at[id] = len(ranges)
		ranges = append(ranges, [3]int64{id, seq, seq})
	}
	if len(ranges) == 0 {
		return nil
	}
	b, err := json.Marshal(ranges)
	if err != nil {
		return fmt.Errorf("encode outbox: %w", err)
	}
	t.writes++
	if err := t.back.AddOutbox(t.now, string(b), &resp.OutboxId); err != nil {
		return fmt.Errorf("insert outbox: %w", err)
	}
	return nil
}

// bodyHash is FNV-1a (64 bits) over conversation, type and content: what makes two messages the same.
func bodyHash(m *repopb.NewMessage) int64 {
	const prime = 1099511628211
	h := uint64(14695981039346656037)
	for shift := 0; shift < 64; shift += 8 {
		h = (h ^ uint64(m.GetConversationId())>>shift&0xff) * prime
	}
	for _, part := range []string{m.GetMessageType(), "\x00", m.GetContent()} {
		for i := range len(part) {
			h = (h ^ uint64(part[i])) * prime
		}
	}
	return int64(h)
}
