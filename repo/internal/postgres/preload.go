package postgres

import (
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/gochat-im/gochat/repo/internal/sqlstore"
	"github.com/gochat-im/gochat/repo/repopb"
)

// preload is what a batch of messages needs to know, read in the round trip of
// the begin: the state of its conversations, once they are locked, the senders'
// rows in them, and which keys were used before. Hardly any was, so the first
// attempt does not look for them: the unique index ends it when one was.
type preload struct {
	conversations []int64 // ascending, the order in which every batch locks
	members       [2][]int64
	senders       []int64
	keys          []string
	attempts      int
}

// Each statement sees what was committed before it began, so those that follow
// the lock see the conversation as its last holder left it.
const (
	lockConversations = "SELECT count(*) FROM (SELECT id FROM conversations WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE) AS locked"
	readSequencers    = `SELECT c.id, c.type, c.low_id, c.high_id, c.is_large, c.dissolved_at, c.members_seq, l.seq, l.created_at, l.count_no, l.sent_no, l.user_id
		FROM conversations c LEFT JOIN LATERAL (SELECT m.seq, m.created_at, m.count_no, m.sent_no, m.user_id FROM messages m
			WHERE m.conversation_id = c.id ORDER BY m.seq DESC LIMIT 1) AS l ON true
		WHERE c.id = ANY($1::bigint[])`
	readMembers = "SELECT " + sqlstore.MemberColumns + ` FROM unnest($1::bigint[], $2::bigint[]) AS k (conversation_id, user_id)
		JOIN members m ON m.conversation_id = k.conversation_id AND m.user_id = k.user_id`
	readKeys = `SELECT m.user_id, m.dedupe_key FROM unnest($1::bigint[], $2::text[]) AS k (user_id, dedupe_key)
		JOIN messages m ON m.user_id = k.user_id AND m.dedupe_key = k.dedupe_key AND m.dedupe_key IS NOT NULL`
)

func newPreload(batch []*repopb.CreateMessagesRequest) *preload {
	p := &preload{}
	conversations := map[int64]struct{}{}
	members := map[sqlstore.MemberKey]struct{}{}
	for _, r := range batch {
		for _, m := range r.GetMessages() {
			if _, ok := conversations[m.GetConversationId()]; !ok {
				conversations[m.GetConversationId()] = struct{}{}
				p.conversations = append(p.conversations, m.GetConversationId())
			}
			key := sqlstore.MemberKey{ConversationID: m.GetConversationId(), UserID: m.GetSenderId()}
			if _, ok := members[key]; !ok {
				members[key] = struct{}{}
				p.members[0], p.members[1] = append(p.members[0], key.ConversationID), append(p.members[1], key.UserID)
			}
			p.senders, p.keys = append(p.senders, m.GetSenderId()), append(p.keys, m.GetClientMsgId())
		}
	}
	slices.Sort(p.conversations)
	return p
}

func (p *preload) queue(b *pgx.Batch) {
	p.attempts++
	b.Queue(lockConversations, p.conversations)
	b.Queue(readSequencers, p.conversations)
	b.Queue(readMembers, p.members[0], p.members[1])
	if p.attempts > 1 {
		b.Queue(readKeys, p.senders, p.keys)
	}
}

func (p *preload) read(x *transaction, results pgx.BatchResults) error {
	b := x.back
	b.conversations = make(map[int64]sqlstore.Conversation, len(p.conversations))
	b.members = make(map[sqlstore.MemberKey]sqlstore.Member, len(p.members[0]))
	b.used = make(map[senderKey]struct{}, len(p.keys))
	readers := []func(r sqlstore.Row) error{
		func(sqlstore.Row) error { return nil },
		func(r sqlstore.Row) error {
			c := sqlstore.ScanSequencer(r)
			b.conversations[c.ID] = c
			return nil
		},
		func(r sqlstore.Row) error {
			m := sqlstore.ScanMember(r, 0)
			b.members[m.Key()] = m
			return nil
		},
	}
	if p.attempts > 1 {
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
