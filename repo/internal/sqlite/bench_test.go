package sqlite

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gochat-im/gochat/repo/repopb"
)

// BenchmarkCreateMessages stores batches of messages of about 100 bytes over
// 100 one-to-one conversations and reports the CPU time of the process a message.
// Keys that grow with time, as our clients make them, share index pages that random ones do not.
func BenchmarkCreateMessages(b *testing.B) {
	for _, bench := range []struct {
		size int
		keys string
	}{{1, "ordered"}, {10, "ordered"}, {100, "ordered"}, {250, "ordered"}, {500, "ordered"}, {250, "random"}} {
		size := bench.size
		b.Run(fmt.Sprintf("%s/%d", bench.keys, size), func(b *testing.B) {
			s := openTest(b)
			const pairs = 100
			ids := make([]int64, pairs)
			for i := range ids {
				ids[i] = addPair(b, s, int64(i+1))
			}
			content := strings.Repeat("x", 100)
			rng := rand.New(rand.NewPCG(1, 2))
			made := 0
			batch := func() *repopb.CreateMessagesRequest {
				r := &repopb.CreateMessagesRequest{Messages: make([]*repopb.NewMessage, size), PushOutbox: false}
				for i := range r.GetMessages() {
					p := rng.IntN(pairs)
					made++
					key := fmt.Sprintf("%010d-%08x", made, rng.Uint32())
					if bench.keys == "random" {
						key = fmt.Sprintf("%016x%03d", rng.Uint64(), made%1000)
					}
					r.Messages[i] = text(ids[p], int64(2*(p+1)+rng.IntN(2)), key, content)
				}
				return r
			}
			b.ResetTimer()
			cpu, pages := cpuTime(b), s.w.c.pagesWritten()
			for range b.N {
				resp, err := s.CreateMessages(b.Context(), batch())
				if err != nil || resp.GetResults()[0].GetCode() != 0 {
					b.Fatal(resp, err)
				}
			}
			b.StopTimer()
			b.ReportMetric(float64(s.w.c.pagesWritten()-pages)/float64(b.N*size), "pages/msg")
			messages := float64(b.N * size)
			b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/messages, "cpu-µs/msg")
			b.ReportMetric(messages/b.Elapsed().Seconds(), "msg/s")
		})
	}
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkHistoryPage reads pages of 50 from anywhere in a conversation of 200,000 messages.
func BenchmarkHistoryPage(b *testing.B) {
	s := openTest(b)
	id := addPair(b, s, 1)
	const messages = 200_000
	for i := 0; i < messages; i += 500 {
		r := &repopb.CreateMessagesRequest{}
		for j := range 500 {
			r.Messages = append(r.Messages, text(id, 2, fmt.Sprintf("%08d", i+j), strings.Repeat("x", 100)))
		}
		if _, err := s.CreateMessages(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	b.ResetTimer()
	for range b.N {
		p, err := s.Messages(b.Context(), &repopb.GetMessagesRequest{ConversationId: id, UserId: 3, BeforeSeq: 51 + rng.Int64N(messages-51), Limit: 50})
		if err != nil || len(p.GetEvents()) != 50 {
			b.Fatal(p, err)
		}
	}
}

// BenchmarkConversationList reads the first page of a user with 5,000 conversations while it changes.
func BenchmarkConversationList(b *testing.B) {
	s := openTest(b)
	const me, conversations = 1, 5000
	addUser(b, s, me, "me")
	peers := addUsers(b, s, 10, conversations)
	var made errgroup.Group
	made.SetLimit(64)
	for _, peer := range peers {
		made.Go(func() error {
			_, err := s.CreateConversation(b.Context(), &repopb.CreateConversationRequest{UserId: me, PeerId: peer})
			return err
		})
	}
	if err := made.Wait(); err != nil {
		b.Fatal(err)
	}
	list := func() {
		p, err := s.Conversations(b.Context(), &repopb.GetConversationsRequest{UserId: me, Limit: 50})
		if err != nil || len(p.GetConversations()) != 50 {
			b.Fatal(p, err)
		}
	}
	start := time.Now()
	list()
	cold := time.Since(start)
	for b.Loop() {
		list()
	}
	b.ReportMetric(float64(cold.Milliseconds()), "cold-ms")
}
