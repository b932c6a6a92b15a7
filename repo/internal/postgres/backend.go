package postgres

import (
	"cmp"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/gochat-im/gochat/repo/internal/sqlstore"
)

type senderKey struct {
	userID int64
	key    string
}

// backend holds what a transaction knew at its begin and what it will write at
// its end: everything of one kind in one statement.
type backend struct {
	conn       *conn
	known      known
	remembered bool                   // nothing was read or locked yet, and is before the end
	used       map[senderKey]struct{} // keys that are stored or held back

	messages []sqlstore.MessageRow
	storedAt int64 // no message that was held back was stored with an earlier time than this
	sent     map[sqlstore.MemberKey]int64
	outbox   outboxRows
}

// Conversation implements sqlstore.Backend: of those that were locked at the begin.
func (b *backend) Conversation(id int64) (sqlstore.Conversation, bool) {
	if c := b.known.conversation(id); c != nil {
		return *c, true
	}
	return sqlstore.Conversation{}, false
}

// Member implements sqlstore.Backend.
func (b *backend) Member(key sqlstore.MemberKey) (sqlstore.Member, bool) {
	if m := b.known.member(key); m != nil {
		return *m, true
	}
	return sqlstore.Member{}, false
}

// KeepMember implements sqlstore.Backend: the transaction itself remembers.
func (*backend) KeepMember(sqlstore.Member) {}

// InsertMessage implements sqlstore.Backend. A key that another transaction
// uses meanwhile fails the commit; the transaction finds it when it runs again.
func (b *backend) InsertMessage(m sqlstore.MessageRow) (bool, error) {
	if !b.remembered { // else the index alone has the word
		key := senderKey{m.Message.GetSenderId(), m.Message.GetClientMsgId()}
		if _, ok := b.used[key]; ok {
			return false, b.flushMessages()
		}
		if b.used == nil {
			b.used = map[senderKey]struct{}{}
		}
		b.used[key] = struct{}{}
	}
	b.messages = append(b.messages, m)
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
	if len(b.messages) == 0 {
		return nil
	}
	if _, err := b.conn.Exec(insertMessages, b.insertArgs()...); err != nil {
		return err
	}
	b.messages = nil
	return nil
}

// queue adds the statements that store everything, read their results.
func (b *backend) queue(batch *pgx.Batch) {
	if len(b.messages) > 0 {
		batch.Queue(insertMessages, b.insertArgs()...)
	}
	if len(b.sent) > 0 {
		var conversations, users, counts []int64
		for key, n := range b.sent {
			conversations, users, counts = append(conversations, key.ConversationID), append(users, key.UserID), append(counts, n)
		}
		batch.Queue(saveSent, conversations, users, counts)
	}
	if len(b.outbox.ids) > 0 {
		batch.Queue(insertOutbox, b.outbox.createdAt, b.outbox.ranges, b.clock())
	}
}

// insertArgs are those of insertMessages. What was read is locked already.
func (b *backend) insertArgs() []any {
	var lock []int64
	if b.remembered {
		lock = b.known.conversations
	}
	return append([]any{lock, b.clock()}, messageRows(b.messages)...)
}

// clock is 1 when the statements that write take the time themselves: none was read at the begin.
func (b *backend) clock() int64 {
	if b.remembered {
		return 1
	}
	return 0
}

func (b *backend) read(results pgx.BatchResults) error {
	if len(b.messages) > 0 {
		if err := results.QueryRow().Scan(&b.storedAt); err != nil {
			return b.conn.fail(err)
		}
	}
	if len(b.sent) > 0 {
		if _, err := results.Exec(); err != nil {
			return b.conn.fail(err)
		}
	}
	if len(b.outbox.ids) == 0 {
		return nil
	}
	rows, err := results.Query()
	if err != nil {
		return b.conn.fail(err)
	}
	i := 0
	return b.conn.scan(rows, func(r sqlstore.Row) error {
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
		SELECT greatest(v.created_at, CASE WHEN $3::bigint <> 0 THEN ` + now + ` ELSE 0 END), v.ranges
		FROM unnest($1::bigint[], $2::text[]) WITH ORDINALITY AS v (created_at, ranges, place)
		ORDER BY v.place RETURNING id`

	// insertMessages locks the conversations $1 and stores messages with their times, or, if $2 is not 0, with the present
	// one where that is later, which it returns.
	insertMessages = `WITH locked AS MATERIALIZED (` + lockedRows + `), clock AS MATERIALIZED (
			SELECT CASE WHEN $2::bigint <> 0 AND pg_current_xact_id() IS NOT NULL THEN ` + now + ` ELSE 0 END AS now
		), stored AS (
			INSERT INTO messages
			(conversation_id, seq, kind, user_id, created_at, count_no, sent_no, message_type, content, dedupe_key, echo_key, body_hash)
			SELECT v.conversation_id, v.seq, 1, v.user_id, greatest(v.created_at, (SELECT now FROM clock)),
				v.count_no, v.sent_no, v.message_type, v.content, v.dedupe_key, v.echo_key, v.body_hash
			FROM unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[], $10::text[], $11::text[], $12::bigint[], $13::bigint[])
			AS v (conversation_id, seq, user_id, created_at, count_no, sent_no, message_type, content, dedupe_key, echo_key, body_hash)
			WHERE (SELECT count(*) FROM locked) >= 0 -- which makes it lock them before
		) SELECT now FROM clock`
)

// outboxRows are entries and where their ids go.
type outboxRows struct {
	createdAt []int64
	ranges    []string
	ids       []*int64
}

// messageRows returns messages by column, as insertMessages takes them, in the order of the primary key, in which they are
// inserted soonest.
func messageRows(rows []sqlstore.MessageRow) []any {
	sorted := make([]*sqlstore.MessageRow, len(rows))
	for i := range rows {
		sorted[i] = &rows[i]
	}
	slices.SortFunc(sorted, func(a, b *sqlstore.MessageRow) int {
		return cmp.Or(cmp.Compare(a.Message.GetConversationId(), b.Message.GetConversationId()), cmp.Compare(a.Seq, b.Seq))
	})
	numbers := func(of func(r *sqlstore.MessageRow) int64) []int64 {
		column := make([]int64, len(rows))
		for i, r := range sorted {
			column[i] = of(r)
		}
		return column
	}
	texts := func(of func(r *sqlstore.MessageRow) string) []string {
		column := make([]string, len(rows))
		for i, r := range sorted {
			column[i] = of(r)
		}
		return column
	}
	return []any{
		numbers(func(r *sqlstore.MessageRow) int64 { return r.Message.GetConversationId() }),
		numbers(func(r *sqlstore.MessageRow) int64 { return r.Seq }),
		numbers(func(r *sqlstore.MessageRow) int64 { return r.Message.GetSenderId() }),
		numbers(func(r *sqlstore.MessageRow) int64 { return r.CreatedAt }),
		numbers(func(r *sqlstore.MessageRow) int64 { return r.Count }),
		numbers(func(r *sqlstore.MessageRow) int64 { return r.Sent }),
		texts(func(r *sqlstore.MessageRow) string { return r.Message.GetMessageType() }),
		texts(func(r *sqlstore.MessageRow) string { return r.Message.GetContent() }),
		texts(func(r *sqlstore.MessageRow) string { return r.Message.GetClientMsgId() }),
		numbers(func(r *sqlstore.MessageRow) int64 {
			if r.Message.GetEchoClientMsgId() {
				return 1
			}
			return 0
		}),
		numbers(func(r *sqlstore.MessageRow) int64 { return r.Hash }),
	}
}
