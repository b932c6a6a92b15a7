package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/gateway/internal/wire"
	"github.com/gochat-im/gochat/platform/rpc/rpctest"
	"github.com/gochat-im/gochat/repo/repopb"
)

// TestOverGRPC is what the role promises, seen from another process.
func TestOverGRPC(t *testing.T) {
	t.Parallel()
	rpctest.Again(t, map[string]string{
		"TestChurn": "it says nothing of the contract", "TestIdleConnectionIsSmall": "likewise",
	})
}

func TestDisconnect(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	a, b, c := h.connect(7, 70), h.connect(7, 71), h.connect(8, 80)
	resp, err := h.role.Disconnect(t.Context(), &gatewaypb.DisconnectRequest{UserId: 7, SessionIds: []int64{70}, Code: codeLoggedOut, Reason: "bye"})
	if err != nil || resp.GetClosed() != 1 {
		t.Fatal(resp, err)
	}
	h.deliver(message(42, 1, 7, 8)) // after the return: nothing for a
	if r, err := a.read(); err != nil || r.Type != "disconnect" || r.num("code") != codeLoggedOut || r.str("reason") != "bye" || r.fields["reconnect"] != false {
		t.Fatal(r, err)
	}
	if r, err := a.read(); err == nil {
		t.Fatalf("after the disconnect: %v", r)
	}
	b.expect("message")
	c.expect("message")
	if resp, _ := h.role.Disconnect(t.Context(), &gatewaypb.DisconnectRequest{UserId: 7, ExceptSessionId: 71, Code: codeLoggedOut}); resp.GetClosed() != 0 {
		t.Errorf("closed %d", resp.GetClosed())
	}
	b.nothing()
}

func TestDisconnectPurgesTheQueue(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	a := h.connect(7, 70)
	c := h.hub.ofUser(7)[0]
	c.mu.Lock()
	c.scheduled = true // the flusher is on its way
	c.mu.Unlock()
	h.deliver(message(42, 1, 7))
	_, _ = h.role.Disconnect(t.Context(), &gatewaypb.DisconnectRequest{UserId: 7, Code: codeLoggedOut})
	h.hub.flusher.push(c)
	if r, err := a.read(); err != nil || r.Type != "disconnect" {
		t.Fatal(r, err)
	}
}

// Who does not read gets nothing of what the system had taken for it already, once its time to close is over.
func TestDisconnectPurgesTheSendBuffer(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) {
		c.WebSocket.QueueSoftBytes, c.WebSocket.QueueBodyBytes, c.WebSocket.QueueMaxBytes = 1<<20, 1<<20, 2<<20
		c.WebSocket.WriteTimeout = patience
	})
	nc := stalled(t, h, 7)
	c := h.hub.ofUser(7)[0]
	for seq := int64(1); seq <= 50; seq++ {
		h.deliver(big(42, seq, 7))
	}
	until(t, "the system has taken everything", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return !c.scheduled
	})
	_, _ = h.role.Disconnect(t.Context(), &gatewaypb.DisconnectRequest{UserId: 7, Code: codeLoggedOut})
	until(t, "the socket is gone", func() bool { return len(h.hub.all()) == 0 })
	n, err := io.Copy(io.Discard, nc)
	if !errors.Is(err, syscall.ECONNRESET) || n > 128<<10 {
		t.Errorf("read %d bytes, then %v", n, err)
	}
}

func TestDetachAndAttach(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	a, b := h.connect(7, 70), h.connect(8, 80)
	c := h.hub.ofUser(7)[0]
	c.mu.Lock()
	c.scheduled = true // so that what follows stays in the queue
	c.mu.Unlock()
	h.deliver(message(42, 1, 7, 8), message(43, 1, 7, 8))
	removal := message(42, 2, 7, 8)
	removal.DetachUserIds = []int64{7}
	h.deliver(removal)
	h.hub.flusher.push(c)
	if r := a.expect("message"); r.str("conversation_id") != "43" {
		t.Errorf("a queued message of a conversation that was left came: %s", r.Data)
	}
	if r := a.expect("message"); r.str("conversation_id") != "42" || r.num("seq") != 2 {
		t.Errorf("the removal itself: %s", r.Data)
	}
	h.deliver(message(42, 3, 7, 8))
	a.nothing()
	again := h.connect(7, 71) // a new connection of who has left gets nothing either
	h.deliver(message(42, 4, 7, 8))
	again.nothing()
	back := message(42, 5, 7, 8)
	back.AttachUserIds = []int64{7}
	h.deliver(back, message(42, 6, 7, 8))
	for _, seq := range []int{5, 6} {
		if r := again.expect("message"); r.num("seq") != seq {
			t.Errorf("seq %d", r.num("seq"))
		}
	}
	for seq := 1; seq <= 6; seq++ {
		if r := b.expect("message"); r.str("conversation_id") == "43" {
			seq--
		} else if r.num("seq") != seq {
			t.Errorf("seq %d, want %d", r.num("seq"), seq)
		}
	}
}

func TestLargeGroups(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	h.logic.large[7] = []int64{42}
	a, b := h.connect(7, 70), h.connect(8, 80)
	interested := func(seq int64) *gatewaypb.Delivery {
		d := message(42, seq)
		d.Interested = true
		return d
	}
	h.deliver(interested(1))
	a.expect("message")
	b.nothing()
	join := interested(2)
	join.AttachUserIds, join.Index = []int64{8}, true
	h.deliver(join)
	a.expect("message")
	b.expect("message")
	leave := interested(3)
	leave.DetachUserIds = []int64{7}
	h.deliver(leave, interested(4))
	if r := a.expect("message"); r.num("seq") != 3 {
		t.Errorf("%s", r.Data)
	}
	a.nothing()
	b.expect("message")
	b.expect("message")
	again := h.connect(7, 71) // logic's list was read before the leave
	h.deliver(interested(5))
	again.nothing()
	_ = a.ws.CloseNow()
	_ = b.ws.CloseNow()
	_ = again.ws.CloseNow()
	until(t, "the index is empty", func() bool {
		s := &h.hub.index[shardOf(42)]
		s.mu.RLock()
		defer s.mu.RUnlock()
		return len(s.audience) == 0
	})
}

func TestOfflineIsReported(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	c := h.connect(7, 70)
	resp, err := h.role.Deliver(t.Context(), &gatewaypb.DeliverRequest{
		ReportOffline: true, Deliveries: []*gatewaypb.Delivery{message(1, 1, 7, 8), message(1, 2, 9)},
	})
	if err != nil || len(resp.GetOffline()) != 2 || fmt.Sprint(resp.GetOffline()[0].GetUserIds(), resp.GetOffline()[1].GetUserIds()) != "[8] [9]" {
		t.Fatal(resp, err)
	}
	c.expect("message")
	c.nothing()
}

func TestEveryBody(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	c := h.connect(7, 70)
	h.deliver(
		&gatewaypb.Delivery{Body: &gatewaypb.Delivery_Read{Read: &repopb.ReadPointer{ConversationId: 1, UserId: 2, Seq: 3}}, UserIds: []int64{7}},
		&gatewaypb.Delivery{Body: &gatewaypb.Delivery_Hidden{Hidden: &repopb.Hidden{ConversationId: 1, Seq: 3}}, UserIds: []int64{7}},
		&gatewaypb.Delivery{Body: &gatewaypb.Delivery_Event{Event: &repopb.Event{ConversationId: 1, Seq: 4, Kind: repopb.EventKind_EVENT_KIND_EDIT, TargetSeq: 3, Content: "new"}}, UserIds: []int64{7}},
		&gatewaypb.Delivery{UserIds: []int64{7}},
	)
	if r := c.expect("read"); r.num("seq") != 3 || r.str("user_id") != "2" {
		t.Errorf("%s", r.Data)
	}
	if r := c.expect("event"); r.str("kind") != "hidden" || r.num("target_seq") != 3 {
		t.Errorf("%s", r.Data)
	}
	if r := c.expect("event"); r.str("kind") != "edit" || r.str("content") != "new" || r.num("target_seq") != 3 {
		t.Errorf("%s", r.Data)
	}
	c.nothing()
	for kind, want := range map[string]float64{"hello": 1, "read": 1, "event": 2, "pong": 1, "message": 0} {
		for typ, counter := range h.hub.metrics.written {
			if got := testutil.ToFloat64(counter); wire.SentType(typ).String() == kind && got != want {
				t.Errorf("%v frames of type %s were counted, want %v", got, kind, want)
			}
		}
	}
}

// stalled is a client that greets and then reads nothing, with a small window.
func stalled(t *testing.T, h *harness, user int) net.Conn {
	t.Helper()
	nc, err := rawConnect(strings.TrimPrefix(h.url, "ws://"), user)
	if err != nil {
		t.Fatal(err)
	}
	_ = nc.SetDeadline(time.Now().Add(patience))
	_ = nc.(*net.TCPConn).SetReadBuffer(4096)
	t.Cleanup(func() { nc.Close() })
	return nc
}

func big(conversation, seq int64, users ...int64) *gatewaypb.Delivery {
	d := message(conversation, seq, users...)
	d.GetEvent().Content = strings.Repeat("x", 8<<10)
	return d
}

func TestSlowConsumerStepByStep(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) {
		c.WebSocket.QueueSoftBytes, c.WebSocket.QueueBodyBytes, c.WebSocket.QueueMaxBytes = 16<<10, 64<<10, 128<<10
		c.WebSocket.WriteTimeout = patience
	})
	nc := stalled(t, h, 7)
	c := h.hub.ofUser(7)[0]
	fast := h.connect(8, 80)
	const last = 120
	for seq := int64(1); seq <= last; seq++ {
		begin := time.Now()
		h.deliver(big(42, seq, 7, 8))
		if d := time.Since(begin); d > patience/2 { // who waits for it waits for the write timeout
			t.Fatalf("a slow socket delayed Deliver by %s", d)
		}
		if r := fast.expect("message"); r.num("seq") != int(seq) {
			t.Fatalf("the fast one got %d, want %d", r.num("seq"), seq)
		}
	}
	c.mu.Lock()
	queued := c.queued
	c.mu.Unlock()
	if queued > 64<<10 {
		t.Fatalf("%d bytes queued", queued)
	}
	if err := c.look(42); err != nil {
		t.Fatal(err)
	}
	h.deliver(&gatewaypb.Delivery{Body: &gatewaypb.Delivery_Typing{Typing: &gatewaypb.Typing{ConversationId: 42, UserId: 8}}, UserIds: []int64{7}})
	// It reads again: an unbroken run of messages, then where the conversation stands. More such runs follow where the
	// kernel made room once more in between.
	all := &rawReader{nc: nc}
	spared := 0
	for next := 1; next <= last; next++ {
		r := all.next(t)
		switch {
		case r.Type == "message" && r.num("seq") == next:
		case r.Type == "event" && r.str("kind") == "behind" && r.str("conversation_id") == "42" && r.num("seq") >= next:
			spared += r.num("seq") - next + 1
			next = r.num("seq")
		default:
			t.Fatalf("got %s %s after seq %d", r.Type, r.Data, next-1)
		}
	}
	if spared < last/2 {
		t.Errorf("%d bodies of %d were left out", spared, last)
	}
	h.deliver(message(42, last+1, 7))
	if r := all.next(t); r.Type != "message" || r.num("seq") != last+1 {
		t.Fatalf("got %s %s", r.Type, r.Data)
	}
}

func TestSlowConsumerIsClosed(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Config){
		"full":  func(c *Config) { c.WebSocket.QueueMaxBytes = c.WebSocket.QueueBodyBytes },
		"stall": func(c *Config) { c.WebSocket.WriteTimeout = 300 * time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t, change)
			stalled(t, h, 7)
			c := h.hub.ofUser(7)[0]
			until(t, "the socket is closed", func() bool {
				h.deliver(big(42, 1, 7))
				h.deliver(&gatewaypb.Delivery{Body: &gatewaypb.Delivery_Read{Read: &repopb.ReadPointer{ConversationId: 1, UserId: 2, Seq: 3}}, UserIds: []int64{7}})
				return len(h.hub.all()) == 0
			})
			if c.closeCode != codeSlowConsumer {
				t.Errorf("code %d", c.closeCode)
			}
		})
	}
}

func TestManyConversationsBehind(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	stalled(t, h, 7)
	c := h.hub.ofUser(7)[0]
	conversation := int64(0)
	until(t, "the socket is closed", func() bool {
		for range 500 {
			conversation++
			h.deliver(big(conversation, 1, 7))
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.behind) > maxBehind {
			t.Fatalf("%d conversations", len(c.behind))
		}
		return c.closing
	})
}

func TestTombstonesAreBounded(t *testing.T) {
	t.Parallel()
	var s tombstones
	now := time.Now()
	s.leave(1, 2, 1, now)
	if !s.has(1, 2, now) || s.has(2, 1, now) || s.has(1, 2, now.Add(tombstoneFor)) {
		t.Error("has")
	}
	s.leave(1, 2, 1, now.Add(time.Second)) // renewed
	s.leave(3, 4, 1, now.Add(tombstoneFor))
	if !s.has(1, 2, now.Add(tombstoneFor)) {
		t.Error("the renewed one is gone")
	}
	s.leave(5, 6, 1, now.Add(2*tombstoneFor))
	if len(s.known) != 1 || len(s.order) != 1 || s.left.Load() != 1 {
		t.Errorf("%d, %d and %d are left", len(s.known), len(s.order), s.left.Load())
	}
	s.join(5, 6, 2, now.Add(2*tombstoneFor))
	if s.has(5, 6, now) || s.left.Load() != 0 {
		t.Error("who joined again has left")
	}
}

// A change that was under way while a later one arrived does not undo it.
func TestTheLaterOfJoinAndLeaveCounts(t *testing.T) {
	t.Parallel()
	var s tombstones
	now := time.Now()
	if !s.leave(1, 2, 6, now) || s.join(1, 2, 5, now) || !s.has(1, 2, now) {
		t.Error("a late join at 5 undid the leave at 6")
	}
	if !s.join(1, 2, 9, now) || s.leave(1, 2, 6, now) || s.has(1, 2, now) {
		t.Error("a late leave at 6 undid the join at 9")
	}
}

func TestChurn(t *testing.T) {
	h := start(t, nil)
	address := strings.TrimPrefix(h.url, "ws://")
	const chunk = 500
	rounds := 40
	if raceEnabled {
		rounds = 5 // it says nothing of the memory, and takes long
	}
	goroutines, heap := runtime.NumGoroutine(), heapInUse()
	errs := make(chan error, chunk)
	for range rounds {
		conns := make([]net.Conn, chunk)
		const dialers = 16
		for d := range dialers {
			go func() {
				var err error
				for i := d; i < chunk && err == nil; i += dialers {
					conns[i], err = rawConnect(address, i+1)
				}
				errs <- err
			}()
		}
		for range dialers {
			if err := <-errs; err != nil {
				t.Fatal(err)
			}
		}
		for _, nc := range conns {
			nc.Close()
		}
	}
	until(t, "all are gone", func() bool { return len(h.hub.all()) == 0 })
	until(t, "the goroutines have ended", func() bool { return runtime.NumGoroutine() <= goroutines+2 })
	if now := heapInUse(); now > heap+(8<<20) && !raceEnabled {
		t.Errorf("%d bytes of heap, %d before", now, heap)
	}
	st, _ := h.role.Stats(context.Background(), &gatewaypb.StatsRequest{})
	h.hub.wheel.mu.Lock()
	defer h.hub.wheel.mu.Unlock()
	if st.GetUsers() != 0 || h.hub.wheel.conns != 0 {
		t.Errorf("left: %v, %d on the wheel", st, h.hub.wheel.conns)
	}
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
