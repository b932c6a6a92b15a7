package gateway

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/repo/repopb"
)

// fanoutHub is a hub with n members on loopback sockets whose other ends only count bytes.
func fanoutHub(b *testing.B, n int) (h *Hub, users []int64, received *atomic.Int64) {
	b.Helper()
	h = NewHub(DefaultConfig(), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	received = &atomic.Int64{}
	var readers sync.WaitGroup
	b.Cleanup(readers.Wait) // runs after the sockets are closed
	for i := range n {
		far, err := net.Dial("tcp", l.Addr().String()) //nolint:noctx // a test
		if err != nil {
			b.Fatal(err)
		}
		nc, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		readers.Go(func() {
			_, _ = io.Copy(counter{received}, struct{ io.Reader }{far})
		})
		c := &conn{id: h.nextID(), hub: h, nc: nc, wheelSlot: noSlot}
		c.raw, _ = nc.(syscall.Conn).SyscallConn()
		c.lastRead.Store(h.clock.now())
		h.add(c)
		h.register(c, int64(i+1), 1, time.Now().Add(time.Hour).UnixMilli())
		users = append(users, int64(i+1))
		b.Cleanup(func() { c.abort(); far.Close() })
	}
	return h, users, received
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkFanout delivers messages to 1,000 members with 32 on the way at a
// time; the reading ends share the processors.
func BenchmarkFanout(b *testing.B) {
	const members, ahead = 1000, 32
	h, users, received := fanoutHub(b, members)
	size := int64(len(eventFrame(event(42, 1_000_000)).wire))
	seq := int64(1_000_000)
	target := int64(0)
	cpu := cpuTime()
	b.ResetTimer()
	for b.Loop() {
		seq++
		if _, err := h.Deliver(context.Background(), &gatewaypb.DeliverRequest{Deliveries: []*gatewaypb.Delivery{message(42, seq, users...)}}); err != nil {
			b.Fatal(err)
		}
		target += size * members
		for received.Load() < target-ahead*size*members {
			time.Sleep(100 * time.Microsecond)
		}
	}
	for received.Load() < target {
		time.Sleep(100 * time.Microsecond)
	}
	b.StopTimer()
	n := float64(b.N) * members
	b.ReportMetric(n/b.Elapsed().Seconds(), "deliveries/s")
	b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/n, "cpu-ns/delivery-both-ends")
}

// BenchmarkLoneMessage is one message to 1,000 members, from Deliver to the last byte read.
func BenchmarkLoneMessage(b *testing.B) {
	const members = 1000
	h, users, received := fanoutHub(b, members)
	size := int64(len(eventFrame(event(42, 1_000_000)).wire))
	seq, target := int64(1_000_000), int64(0)
	for b.Loop() {
		seq++
		_, _ = h.Deliver(context.Background(), &gatewaypb.DeliverRequest{Deliveries: []*gatewaypb.Delivery{message(42, seq, users...)}})
		for target += size * members; received.Load() < target; {
			time.Sleep(50 * time.Microsecond)
		}
	}
}

// BenchmarkEnqueue is the cost of a delivery without the socket.
func BenchmarkEnqueue(b *testing.B) {
	h := NewHub(DefaultConfig(), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	var users []int64
	for i := range 1000 {
		c := &conn{id: h.nextID(), hub: h, wheelSlot: noSlot, scheduled: true}
		h.add(c)
		h.register(c, int64(i+1), 1, 0)
		users = append(users, int64(i+1))
	}
	all := h.all()
	for b.Loop() {
		_, _ = h.Deliver(context.Background(), &gatewaypb.DeliverRequest{Deliveries: []*gatewaypb.Delivery{message(42, 1, users...)}})
		b.StopTimer()
		for _, c := range all {
			c.dropQueue()
		}
		b.StartTimer()
	}
}

// BenchmarkSend is the gateway's part of a one-to-one send: frame in, record to
// the bus, ack to the sender, message to the peer. 100 senders keep 10
// outstanding; what stands for the rest of the path answers in batches.
func BenchmarkSend(b *testing.B) {
	const senders, outstanding = 100, 10
	cfg := DefaultConfig()
	cfg.Limits.SendRate, cfg.Limits.SendBurst, cfg.Limits.FrameRate, cfg.Limits.FrameBurst = 1e9, 1e9, 1e9, 1e9
	log, reg := slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	records := make(chan *logicpb.Upstream, senders*outstanding)
	s, err := NewServer(cfg, NewHub(cfg, log, reg), &logicDouble{}, &busDouble{published: records}, log, reg)
	if err != nil {
		b.Fatal(err)
	}
	web := httptest.NewServer(http.HandlerFunc(s.serveWS))
	defer web.Close()
	defer func() { _ = s.Drain(context.Background()) }()
	var acks atomic.Int64
	payload := `{"type":"message","id":"12","data":{"conversation_id":"387204871236485120","content":"` + strings.Repeat("x", 100) + `","message_type":"text","client_msg_id":"0123456789abcdef"}}`
	frame := append([]byte{0x81, 0xfe, byte(len(payload) >> 8), byte(len(payload)), 0, 0, 0, 0}, payload...)
	room := make([]chan struct{}, senders)
	var far []net.Conn
	for i := range senders {
		nc, err := rawConnect(strings.TrimPrefix(web.URL, "http://"), i+1)
		if err != nil {
			b.Fatal(err)
		}
		_ = nc.SetDeadline(time.Time{})
		far = append(far, nc)
		room[i] = make(chan struct{}, outstanding)
		go func() { _, _ = io.Copy(io.Discard, nc) }()
		go func() {
			for range room[i] {
				buf := append([]byte(nil), frame...)
				for len(room[i]) > 0 {
					<-room[i]
					buf = append(buf, frame...)
				}
				if _, err := nc.Write(buf); err != nil {
					return
				}
			}
		}()
	}
	stop := make(chan struct{})
	go func() {
		seq := int64(0)
		for {
			var batch []*logicpb.Upstream
			select {
			case r := <-records:
				batch = append(batch, r)
			case <-stop:
				return
			}
			for len(records) > 0 && len(batch) < 200 {
				batch = append(batch, <-records)
			}
			req := &gatewaypb.DeliverRequest{}
			for _, r := range batch {
				seq++
				e := &repopb.Event{
					ConversationId: r.GetMessage().GetConversationId(), Seq: seq, Kind: 1, UserId: r.GetMessage().GetSenderId(), CreatedAt: 1700000000000,
					Content: r.GetMessage().GetContent(), MessageType: "text", ClientMsgId: r.GetMessage().GetClientMsgId(),
				}
				peer := e.UserId%senders + 1
				req.Results = append(req.Results, &gatewaypb.Result{Origin: r.GetOrigin(), ClientMsgId: e.ClientMsgId, Event: e})
				req.Deliveries = append(req.Deliveries, &gatewaypb.Delivery{Body: &gatewaypb.Delivery_Event{Event: e}, UserIds: []int64{e.UserId, peer}, Except: r.GetOrigin()})
			}
			_, _ = s.hub.Deliver(context.Background(), req)
			for _, r := range batch {
				acks.Add(1)
				select {
				case room[r.GetMessage().GetSenderId()-1] <- struct{}{}:
				default:
				}
			}
		}
	}()
	cpu := cpuTime()
	b.ResetTimer()
	for i := range senders {
		for range outstanding {
			room[i] <- struct{}{}
		}
	}
	for acks.Load() < int64(b.N) {
		time.Sleep(100 * time.Microsecond)
	}
	b.StopTimer()
	b.ReportMetric(float64(acks.Load())/b.Elapsed().Seconds(), "sends/s")
	b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/float64(acks.Load()), "cpu-ns/send-both-ends")
	close(stop)
	for _, nc := range far {
		nc.Close()
	}
	for i := range room {
		close(room[i])
	}
}
