package postgres

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/gochat-im/gochat/platform/memory"
	"github.com/gochat-im/gochat/repo/internal/sqlstore"
	"github.com/gochat-im/gochat/repo/repopb"
)

// BenchmarkCreateMessages stores batches of messages of about 100 bytes over 100 one-to-one conversations from a few
// callers at a time, beside a bare loop that sends the same rows in the same batches: the rate of the store must be
// 70 % of the loop's or more. A second loop also locks the rows of the conversations, in which writers of one
// conversation wait for each other as they must to number its messages.
func BenchmarkCreateMessages(b *testing.B) {
	defer memory.Watch().Stop() // as a server does
	for _, bench := range []struct{ size, callers int }{{1, 1}, {1, 64}, {100, 1}, {100, 2}, {100, 8}, {200, 1}, {500, 1}, {500, 2}} {
		b.Run(fmt.Sprintf("%dx%d", bench.size, bench.callers), func(b *testing.B) {
			s := openTest(b)
			ways := []struct {
				store func(caller int, messages []*repopb.NewMessage) error
				took  time.Duration
			}{
				{store: func(_ int, messages []*repopb.NewMessage) error {
					resp, err := s.CreateMessages(b.Context(), &repopb.CreateMessagesRequest{Messages: messages})
					if err == nil && resp.GetResults()[0].GetCode() != 0 {
						err = fmt.Errorf("refused: %v", resp.GetResults()[0])
					}
					return err
				}},
				{store: bareLoop(b, s, bench.callers, false)},
				{store: bareLoop(b, s, bench.callers, true)},
			}
			const pairs = 100 // of each way
			ids := make([]int64, pairs*len(ways))
			for i := range ids {
				ids[i] = addPair(b, s, int64(i+1))
			}
			content := strings.Repeat("x", 100)
			batch := func(rng *rand.Rand, way, n int) []*repopb.NewMessage {
				messages := make([]*repopb.NewMessage, bench.size)
				for i := range messages {
					p := way*pairs + rng.IntN(pairs)
					messages[i] = text(ids[p], int64(2*(p+1)+rng.IntN(2)), fmt.Sprintf("%08d-%08x", n*bench.size+i, rng.Uint32()), content)
				}
				return messages
			}
			// All do the same number of batches, by turns, in the same database.
			run := func(way, from, to int) time.Duration {
				var wg sync.WaitGroup
				start := time.Now()
				for caller := range bench.callers {
					wg.Go(func() {
						rng := rand.New(rand.NewPCG(uint64(from), uint64(caller)))
						for n := from + caller; n < to; n += bench.callers {
							if err := ways[way].store(caller, batch(rng, way, n)); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				return time.Since(start)
			}
			const turns = 10
			b.ResetTimer()
			for turn := range turns {
				for way := range ways {
					ways[way].took += run(way, turn*b.N/turns, (turn+1)*b.N/turns)
				}
			}
			rate := func(way int) float64 { return float64(b.N*bench.size) / ways[way].took.Seconds() }
			b.ReportMetric(rate(0), "rows/s")
			b.ReportMetric(rate(1), "bare-rows/s")
			b.ReportMetric(rate(2), "locked-rows/s")
			b.ReportMetric(100*rate(0)/rate(1), "%")
			b.ReportMetric(100*rate(0)/rate(2), "%-of-locked")
		})
	}
}

// bareInsert is the one statement of the bare loop.
const bareInsert = `INSERT INTO messages
	(conversation_id, seq, kind, user_id, created_at, count_no, sent_no, message_type, content, dedupe_key, echo_key, body_hash)
	SELECT v.conversation_id, v.seq, 1, v.user_id, v.created_at, v.count_no, v.sent_no, v.message_type, v.content, v.dedupe_key, v.echo_key, v.body_hash
	FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::text[], $9::text[], $10::bigint[], $11::bigint[])
	AS v (conversation_id, seq, user_id, created_at, count_no, sent_no, message_type, content, dedupe_key, echo_key, body_hash)`

// bareLoop returns what inserts a batch with pgx alone, in one round trip on one connection a caller: a statement that
// commits by itself, or a transaction that first locks the conversations.
func bareLoop(b *testing.B, s *Store, callers int, locks bool) func(caller int, messages []*repopb.NewMessage) error {
	b.Helper()
	conns := make([]*pgx.Conn, callers)
	for i := range conns {
		conns[i] = connect(b, s.opt.URL)
	}
	var seq atomic.Int64
	return func(caller int, messages []*repopb.NewMessage) error {
		rows, conversations := make([]sqlstore.MessageRow, len(messages)), make([]int64, len(messages))
		for i, m := range messages {
			rows[i] = sqlstore.MessageRow{Message: m, Seq: seq.Add(1), CreatedAt: 1, Count: 1, Sent: 1, Hash: 1}
			conversations[i] = m.GetConversationId()
		}
		bareArgs := messageRows(rows)
		if !locks {
			_, err := conns[caller].Exec(b.Context(), bareInsert, bareArgs...)
			return err
		}
		var p pgx.Batch
		p.Queue("BEGIN")
		p.Queue(lockConversations, conversations)
		p.Queue(bareInsert, bareArgs...)
		p.Queue("COMMIT")
		return conns[caller].SendBatch(b.Context(), &p).Close()
	}
}

// BenchmarkHistoryPage reads pages of 50 from anywhere in conversations of 10,000,000 messages in all.
func BenchmarkHistoryPage(b *testing.B) {
	const messages, conversations = 10_000_000, 1000
	s := openTest(b)
	first := fillMessages(b, s, messages, conversations)
	rng := rand.New(rand.NewPCG(1, 2))
	page := func() {
		id, before := first+rng.Int64N(conversations), 51+rng.Int64N(messages/conversations-50)
		p, err := s.Messages(b.Context(), &repopb.GetMessagesRequest{ConversationId: id, UserId: 2, BeforeSeq: before, Limit: 50})
		if err != nil || len(p.GetEvents()) != 50 || p.GetEvents()[49].GetSeq() != before-1 {
			b.Fatal(p, err)
		}
	}
	for b.Loop() {
		page()
	}
}

// fillMessages loads messages as their conversations would have got them, side by side, and returns the first of the
// conversations, whose ids follow each other. Their members are the users 2 and 3.
func fillMessages(b *testing.B, s *Store, messages, conversations int) int64 {
	b.Helper()
	const first = 1 << 40
	c := connect(b, s.opt.URL)
	for _, sql := range []string{
		fmt.Sprintf("INSERT INTO conversations (id, type, low_id, high_id, created_at) SELECT %d + n, 1, 2, 3 + n, 1 FROM generate_series(0, %d) n", first, conversations-1),
		fmt.Sprintf("INSERT INTO members (conversation_id, user_id, role, joined_at) SELECT %d + n, 2, 1, 1 FROM generate_series(0, %d) n", first, conversations-1),
		fmt.Sprintf(`INSERT INTO messages (conversation_id, seq, kind, user_id, created_at, count_no, sent_no, message_type, content, dedupe_key)
			SELECT %d + n %% %d, n / %d + 1, 1, 2, n, n / %d + 1, n / %d + 1, 'text', repeat('x', 100), n::text FROM generate_series(0, %d) n`,
			first, conversations, conversations, conversations, conversations, messages-1),
		"ANALYZE",
	} {
		if _, err := c.Exec(b.Context(), sql); err != nil {
			b.Fatal(err)
		}
	}
	return first
}

// BenchmarkConversationList reads the first page of the list of a user with 5,000 conversations.
func BenchmarkConversationList(b *testing.B) {
	s := openTest(b)
	const me, conversations = int64(2), 5000
	addPair(b, s, 1)
	var made errgroup.Group
	made.SetLimit(8)
	for n := range int64(conversations) {
		made.Go(func() error {
			peer := 10 + n
			_, err := s.CreateUser(b.Context(), &repopb.CreateUserRequest{User: &repopb.User{
				Id: peer, Username: fmt.Sprint("peer", n), Nickname: "n", Status: repopb.UserStatus_USER_STATUS_ACTIVE,
			}})
			if err != nil {
				return err
			}
			c, err := s.CreateConversation(b.Context(), &repopb.CreateConversationRequest{UserId: me, PeerId: peer})
			if err != nil {
				return err
			}
			message := text(c.GetConversation().GetConversation().GetId(), me, fmt.Sprint(n), "hello")
			_, err = s.CreateMessages(b.Context(), &repopb.CreateMessagesRequest{Messages: []*repopb.NewMessage{message}})
			return err
		})
	}
	if err := made.Wait(); err != nil {
		b.Fatal(err)
	}
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		r, err := s.Conversations(b.Context(), &repopb.GetConversationsRequest{UserId: me, Limit: 50})
		if err != nil || len(r.GetConversations()) != 50 || !r.GetHasMore() {
			b.Fatal(r, err)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}
