package postgres

import (
	"github.com/jackc/pgx/v5"

	"github.com/gochat-im/gochat/repo/internal/sqlstore"
)

type senderKey struct {
	userID int64
	key    string
}

// backend holds what a transaction read at its begin and what it will write at
// its end: everything of one kind in one statement.
type backend struct {
	x             *transaction
	conversations map[int64]sqlstore.Conversation
	members       map[sqlstore.MemberKey]sqlstore.Member
	used          map[senderKey]struct{} // keys that are stored or held back

	messages messageRows
	sent     map[sqlstore.MemberKey]int64
	outbox   outboxRows
}

func newBackend() *backend { return &backend{} }

// Conversation implements sqlstore.Backend: of those that were locked at the begin.
func (b *backend) Conversation(id int64) (sqlstore.Conversation, bool) {
	c, ok := b.conversations[id]
	return c, ok
}

// Member implements sqlstore.Backend.
func (b *backend) Member(key sqlstore.MemberKey) (sqlstore.Member, bool) {
	m, ok := b.members[key]
	return m, ok
}

// KeepMember implements sqlstore.Backend: the transaction itself remembers.
func (*backend) KeepMember(sqlstore.Member) {}

// InsertMessage implements sqlstore.Backend. A key that another transaction
// uses meanwhile fails the commit; the transaction finds it when it runs again.
func (b *backend) InsertMessage(m sqlstore.MessageRow) (bool, error) {
	key := senderKey{m.Message.GetSenderId(), m.Message.GetClientMsgId()}
	if _, ok := b.used[key]; ok {
		return false, b.flushMessages()
	}
	if b.used == nil {
		b.used = map[senderKey]struct{}{}
	}
	b.used[key] = struct{}{}
	b.messages.add(m)
	return true, nil
}

// SaveSent implements sqlstore.Backend.
func (b *backend) SaveSent(members []*sqlstore.Member) error {
	if b.sent == nil {
		b.sent = make(map[sqlstore.MemberKey]int64, len(members))
	}
	for _, m := range members {
		b.sent[m.Key()] = m.Sent
	}
	return nil
}

// AddOutbox implements sqlstore.Backend.
func (b *backend) AddOutbox(createdAt int64, ranges string, id *int64) error {
	b.outbox.createdAt = append(b.outbox.createdAt, createdAt)
	b.outbox.ranges = append(b.outbox.ranges, ranges)
	b.outbox.ids = append(b.outbox.ids, id)
	return nil
}

// flushMessages stores what is held back, so that it can be found.
func (b *backend) flushMessages() error {
	if b.messages.len() == 0 {
		return nil
	}
	if _, err := b.x.Exec(insertMessages, b.messages.args()...); err != nil {
		return err
	}
	b.messages = messageRows{}
	return nil
}

// queue adds the statements that store everything, read their results.
func (b *backend) queue(batch *pgx.Batch) {
	if b.messages.len() > 0 {
		batch.Queue(insertMessages, b.messages.args()...)
	}
	if len(b.sent) > 0 {
		var conversations, users, counts []int64
		for key, n := range b.sent {
			conversations, users, counts = append(conversations, key.ConversationID), append(users, key.UserID), append(counts, n)
		}
		batch.Queue(saveSent, conversations, users, counts)
	}
	if len(b.outbox.ids) > 0 {
		batch.Queue(insertOutbox, b.outbox.createdAt, b.outbox.ranges)
	}
}

func (b *backend) read(results pgx.BatchResults) error {
	if b.messages.len() > 0 {
		if _, err := results.Exec(); err != nil {
			return b.x.fail(err)
		}
	}
	if len(b.sent) > 0 {
		if _, err := results.Exec(); err != nil {
			return b.x.fail(err)
		}
	}
	if len(b.outbox.ids) == 0 {
		return nil
	}
	rows, err := results.Query()
	if err != nil {
		return b.x.fail(err)
	}
	i := 0
	return b.x.scan(rows, func(r sqlstore.Row) error {
		*b.outbox.ids[i] = r.Int64(0)
		i++
		return nil
	})
}

const (
	saveSent = `UPDATE members m SET sent = v.sent
		FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS v (conversation_id, user_id, sent)
		WHERE m.conversation_id = v.conversation_id AND m.user_id = v.user_id`

	insertOutbox = `INSERT INTO outbox (created_at, ranges)
		SELECT v.created_at, v.ranges FROM unnest($1::bigint[], $2::text[]) WITH ORDINALITY AS v (created_at, ranges, place)
		ORDER BY v.place RETURNING id`

	insertMessages = `INSERT INTO messages
		(conversation_id, seq, kind, user_id, created_at, count_no, sent_no, message_type, content, dedupe_key, echo_key, body_hash)
		SELECT v.conversation_id, v.seq, 1, v.user_id, v.created_at, v.count_no, v.sent_no, v.message_type, v.content, v.dedupe_key, v.echo_key, v.body_hash
		FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::text[], $9::text[], $10::bigint[], $11::bigint[])
		AS v (conversation_id, seq, user_id, created_at, count_no, sent_no, message_type, content, dedupe_key, echo_key, body_hash)`
)

// outboxRows are entries and where their ids go.
type outboxRows struct {
	createdAt []int64
	ranges    []string
	ids       []*int64
}

// messageRows are messages by column, as insertMessages takes them.
type messageRows struct {
	conversations, seqs, users, times, counts, sents, echoes, hashes []int64
	types, contents, keys                                            []string
}

func (r *messageRows) len() int { return len(r.seqs) }

func (r *messageRows) add(m sqlstore.MessageRow) {
	echo := int64(0)
	if m.Message.GetEchoClientMsgId() {
		echo = 1
	}
	r.conversations = append(r.conversations, m.Message.GetConversationId())
	r.seqs = append(r.seqs, m.Seq)
	r.users = append(r.users, m.Message.GetSenderId())
	r.times = append(r.times, m.CreatedAt)
	r.counts = append(r.counts, m.Count)
	r.sents = append(r.sents, m.Sent)
	r.types = append(r.types, m.Message.GetMessageType())
	r.contents = append(r.contents, m.Message.GetContent())
	r.keys = append(r.keys, m.Message.GetClientMsgId())
	r.echoes = append(r.echoes, echo)
	r.hashes = append(r.hashes, m.Hash)
}

func (r *messageRows) args() []any {
	return []any{r.conversations, r.seqs, r.users, r.times, r.counts, r.sents, r.types, r.contents, r.keys, r.echoes, r.hashes}
}
