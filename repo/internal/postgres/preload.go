package postgres

import (
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gochat-im/gochat/repo/internal/sqlstore"
)

// preload is what a batch of messages needs to know: the state of its
// conversations, once they are locked, the senders' rows in them, and which keys
// were used before. At first it is what this process remembers, then it is read
// in the round trip of the begin. Hardly any key was used, so they are looked
// for only after the unique index has ended an attempt.
type preload struct {
	batch         []*batchRequest
	messages      int
	conversations []int64              // ascending, the order in which every batch locks
	members       []sqlstore.MemberKey // ascending
	tried         bool                 // to rely on what is remembered
	keyUsed       bool
}

// known is the state of conversations and members, side by side with their ascending keys; nil: there is no such row.
type known struct {
	conversations []int64
	states        []*sqlstore.Conversation // nobody changes them
	members       []sqlstore.MemberKey
	rows          []*sqlstore.Member // nor them
}

// Each statement sees what was committed before it began, so those that follow
// the lock see the conversation as its last holder left it.
const (
	lockedRows        = "SELECT id FROM conversations WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE"
	lockConversations = "SELECT count(*) FROM (" + lockedRows + ") AS locked"
	readSequencers    = `SELECT c.id, c.type, c.low_id, c.high_id, c.is_large, c.dissolved_at, c.members_seq, l.seq, l.created_at, l.count_no, l.sent_no, l.user_id
		FROM conversations c LEFT JOIN LATERAL (SELECT m.seq, m.created_at, m.count_no, m.sent_no, m.user_id FROM messages m
			WHERE m.conversation_id = c.id ORDER BY m.seq DESC LIMIT 1) AS l ON true
		WHERE c.id = ANY($1::bigint[])`
	readMembers = "SELECT " + sqlstore.MemberColumns + ` FROM unnest($1::bigint[], $2::bigint[]) AS k (conversation_id, user_id)
		JOIN members m ON m.conversation_id = k.conversation_id AND m.user_id = k.user_id`
	readKeys = `SELECT m.user_id, m.dedupe_key FROM unnest($1::bigint[], $2::text[]) AS k (user_id, dedupe_key)
		JOIN messages m ON m.user_id = k.user_id AND m.dedupe_key = k.dedupe_key AND m.dedupe_key IS NOT NULL`
)

func newPreload(batch []*batchRequest) *preload {
	p := &preload{batch: batch}
	for _, q := range batch {
		p.messages += len(q.r.GetMessages())
	}
	p.conversations, p.members = make([]int64, 0, p.messages), make([]sqlstore.MemberKey, 0, p.messages)
	for _, q := range batch {
		for _, m := range q.r.GetMessages() {
			p.conversations = append(p.conversations, m.GetConversationId())
			p.members = append(p.members, sqlstore.MemberKey{ConversationID: m.GetConversationId(), UserID: m.GetSenderId()})
		}
	}
	slices.Sort(p.conversations)
	slices.SortFunc(p.members, sqlstore.MemberKey.Compare)
	p.conversations, p.members = slices.Compact(p.conversations), slices.Compact(p.members)
	return p
}

func (p *preload) nothingKnown() known {
	return known{
		p.conversations, make([]*sqlstore.Conversation, len(p.conversations)), p.members, make([]*sqlstore.Member, len(p.members)),
	}
}

func (k *known) conversation(id int64) *sqlstore.Conversation {
	if i, ok := slices.BinarySearch(k.conversations, id); ok {
		return k.states[i]
	}
	return nil
}

func (k *known) member(key sqlstore.MemberKey) *sqlstore.Member {
	if i, ok := slices.BinarySearchFunc(k.members, key, sqlstore.MemberKey.Compare); ok {
		return k.rows[i]
	}
	return nil
}

// recall fills b from what is remembered, once.
func (p *preload) recall(h *heads, b *backend) bool {
	if p.tried {
		return false
	}
	p.tried = true
	b.known = p.nothingKnown()
	b.remembered = h.recall(&b.known)
	return b.remembered
}

// learn takes from the error of an attempt what the next one has to look at.
// What was remembered in vain is read then, and remembered as it is.
func (p *preload) learn(err error, remembered bool) error {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || e.Code != uniqueViolation {
		return err
	}
	p.keyUsed = p.keyUsed || e.ConstraintName == "messages_dedupe"
	if remembered {
		return errNotRemembered
	}
	return err
}

func (p *preload) queue(b *pgx.Batch) {
	b.Queue(lockConversations, p.conversations)
	b.Queue(readSequencers, p.conversations)
	conversations, users := make([]int64, len(p.members)), make([]int64, len(p.members))
	for i, key := range p.members {
		conversations[i], users[i] = key.ConversationID, key.UserID
	}
	b.Queue(readMembers, conversations, users)
	if !p.keyUsed {
		return
	}
	var senders []int64
	var keys []string
	for _, q := range p.batch {
		for _, m := range q.r.GetMessages() {
			senders, keys = append(senders, m.GetSenderId()), append(keys, m.GetClientMsgId())
		}
	}
	b.Queue(readKeys, senders, keys)
}

func (p *preload) read(x *transaction, results pgx.BatchResults) error {
	b := x.back
	b.known, b.used = p.nothingKnown(), make(map[senderKey]struct{}, p.messages)
	readers := []func(r sqlstore.Row) error{
		func(sqlstore.Row) error { return nil },
		func(r sqlstore.Row) error {
			c := sqlstore.ScanSequencer(r)
			i, _ := slices.BinarySearch(p.conversations, c.ID)
			b.known.states[i] = &c
			return nil
		},
		func(r sqlstore.Row) error {
			m := sqlstore.ScanMember(r, 0)
			i, _ := slices.BinarySearchFunc(p.members, m.Key(), sqlstore.MemberKey.Compare)
			b.known.rows[i] = &m
			return nil
		},
	}
	if p.keyUsed {
		readers = append(readers, func(r sqlstore.Row) error {
			b.used[senderKey{r.Int64(0), r.Text(1)}] = struct{}{}
			return nil
		})
	}
	for _, each := range readers {
		rows, err := results.Query()
		if err != nil {
			return x.fail(err)
		}
		if err := x.scan(rows, each); err != nil {
			return err
		}
	}
	return nil
}
