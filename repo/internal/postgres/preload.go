package postgres

import (
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/gochat-im/gochat/repo/internal/sqlstore"
	"github.com/gochat-im/gochat/repo/repopb"
)

// preload is what a batch of messages needs to know, read in the round trip of
// the begin: the state of its conversations, once they are locked, the senders'
// rows in them, and which keys were used before.
type preload struct {
	conversations []int64 // ascending, the order in which every batch locks
	members       [2][]int64
	senders       []int64
	keys          []string
}

// Each statement sees what was committed before it began, so those that follow
// the lock see the conversation as its last holder left it.
const (
	lockConversations = "SELECT 1 FROM (SELECT id FROM conversations WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE) AS locked"
	readHeads         = "SELECT " + sqlstore.HeadColumns + " FROM " + sqlstore.HeadFrom + " WHERE c.id = ANY($1::bigint[])"
	readMembers       = "SELECT " + sqlstore.MemberColumns + ` FROM unnest($1::bigint[], $2::bigint[]) AS k (conversation_id, user_id)
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
	b.Queue(lockConversations, p.conversations)
	b.Queue(readHeads, p.conversations)
	b.Queue(readMembers, p.members[0], p.members[1])
	b.Queue(readKeys, p.senders, p.keys)
}

func (p *preload) read(x *transaction, results pgx.BatchResults) error {
	b := x.back
	b.conversations = make(map[int64]sqlstore.Conversation, len(p.conversations))
	b.members = make(map[sqlstore.MemberKey]sqlstore.Member, len(p.members[0]))
	b.used = make(map[senderKey]struct{}, len(p.keys))
	for _, each := range []func(r sqlstore.Row) error{
		func(sqlstore.Row) error { return nil },
		func(r sqlstore.Row) error {
			c := sqlstore.ScanHead(r, 0)
			b.conversations[c.ID] = c
			return nil
		},
		func(r sqlstore.Row) error {
			m := sqlstore.ScanMember(r, 0)
			b.members[m.Key()] = m
			return nil
		},
		func(r sqlstore.Row) error {
			b.used[senderKey{r.Int64(0), r.Text(1)}] = struct{}{}
			return nil
		},
	} {
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
