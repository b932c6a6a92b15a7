package postgres

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/gochat-im/gochat/repo/repopb"
)

// BenchmarkCreateMessages stores batches of messages of about 100 bytes over 100 one-to-one conversations from a few
// callers at a time, beside a bare loop that sends the same rows in the same batches: the rate of the store must be
// 70 % of the loop's or more. A second loop also locks the rows of the conversations, in which writers of one
// conversation wait for each other as they must to number its messages.
func BenchmarkCreateMessages(b *testing.B) {
	for _, bench := range []struct{ size, callers int }{{1, 1}, {1, 64}, {100, 1}, {100, 2}, {100, 8}, {500, 2}} {
		b.Run(fmt.Sprintf("%dx%d", bench.size, bench.callers), func(b *testing.B) {
			s := openTest(b)
			const pairs = 100
			ids := make([]int64, pairs)
			for i := range ids {
				ids[i] = addPair(b, s, int64(i+1))
			}
			content := strings.Repeat("x", 100)
			batch := func(rng *rand.Rand, keys string, n int) []*repopb.NewMessage {
				messages := make([]*repopb.NewMessage, bench.size)
				for i := range messages {
					p := rng.IntN(pairs)
					messages[i] = text(ids[p], int64(2*(p+1)+rng.IntN(2)), fmt.Sprintf("%s-%08d-%08x", keys, n*bench.size+i, rng.Uint32()), content)
				}
				return messages
			}
			// Both do the same number of batches, one after the other, in the same database.
			run := func(each func(caller, n int, messages []*repopb.NewMessage) error, keys string) float64 {
				var wg sync.WaitGroup
				start := time.Now()
				for caller := range bench.callers {
					wg.Go(func() {
						rng := rand.New(rand.NewPCG(1, uint64(caller)))
						for n := caller; n < b.N; n += bench.callers {
							if err := each(caller, n, batch(rng, keys, n)); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				return float64(b.N*bench.size) / time.Since(start).Seconds()
			}
			b.ResetTimer()
			stored := run(func(_, _ int, messages []*repopb.NewMessage) error {
				resp, err := s.CreateMessages(b.Context(), &repopb.CreateMessagesRequest{Messages: messages})
				if err == nil && resp.GetResults()[0].GetCode() != 0 {
					err = fmt.Errorf("refused: %v", resp.GetResults()[0])
				}
				return err
			}, "store")
			b.StopTimer()
			floor := run(bareLoop(b, s, bench.callers, bench.size, 1, false), "bare")
			locked := run(bareLoop(b, s, bench.callers, bench.size, 2, true), "locked")
			b.ReportMetric(stored, "rows/s")
			b.ReportMetric(floor, "bare-rows/s")
			b.ReportMetric(locked, "locked-rows/s")
			b.ReportMetric(100*stored/floor, "%")
			b.ReportMetric(100*stored/locked, "%-of-locked")
		})
	}
}

// bareLoop returns what inserts a batch with pgx alone, in one round trip on one connection a caller: a statement that
// commits by itself, or a transaction that first locks the conversations. Each loop takes a range of seqs of its own.
func bareLoop(b *testing.B, s *Store, callers, size int, seqs int64, locks bool) func(caller, n int, messages []*repopb.NewMessage) error {
	b.Helper()
	conns := make([]*pgx.Conn, callers)
	for i := range conns {
		conns[i] = connect(b, s.opt.URL)
	}
	return func(caller, n int, messages []*repopb.NewMessage) error {
		var r messageRows
		for i, m := range messages {
			r.conversations, r.seqs = append(r.conversations, m.GetConversationId()), append(r.seqs, seqs*1_000_000_000+int64(n*size+i))
			r.users, r.times = append(r.users, m.GetSenderId()), append(r.times, 1)
			r.counts, r.sents = append(r.counts, 1), append(r.sents, 1)
			r.types, r.contents, r.keys = append(r.types, m.GetMessageType()), append(r.contents, m.GetContent()), append(r.keys, m.GetClientMsgId())
			r.echoes, r.hashes = append(r.echoes, 0), append(r.hashes, 1)
		}
		if !locks {
			_, err := conns[caller].Exec(b.Context(), insertMessages, r.args()...)
			return err
		}
		var p pgx.Batch
		p.Queue("BEGIN")
		p.Queue(lockConversations, r.conversations)
		p.Queue(insertMessages, r.args()...)
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
