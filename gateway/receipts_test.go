package gateway

import (
	"fmt"
	"testing"
	"time"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/repo/repopb"
)

// direct is a one-to-one message to user.
func direct(conversation, seq, user int64) *gatewaypb.Delivery {
	d := message(conversation, seq, user, 99)
	d.GetEvent().PeerId = user
	return d
}

func (l *logicDouble) confirmed() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := ""
	for _, p := range l.got {
		s += fmt.Sprintf("%d to %d: %d, ", p.GetConversationId(), p.GetUserId(), p.GetSeq())
	}
	return s
}

func TestReceiptsOfDevices(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) { c.Receipts.Every = 10 * time.Millisecond })
	h.logic.sync = func(*repopb.GetChangesRequest) (*repopb.GetChangesResponse, error) {
		return &repopb.GetChangesResponse{Events: []*repopb.Event{direct(43, 4, 7).GetEvent()}, Cursor: 1}, nil
	}
	receiver, sender := h.connect(7, 70), h.connect(99, 990)
	h.deliver(direct(42, 1, 7), direct(42, 2, 7))
	conn := h.hub.ofUser(7)[0]
	until(t, "the device is asked", func() bool {
		conn.mu.Lock()
		defer conn.mu.Unlock()
		return conn.unconfirmed != nil && conn.unconfirmed.asked != nil
	})
	if got := h.logic.confirmed(); got != "" {
		t.Fatalf("confirmed before the device read anything: %s", got)
	}
	// The library answers the ping while it reads for the pong that nothing expects.
	receiver.expect("message")
	receiver.expect("message")
	receiver.nothing()
	until(t, "the messages are confirmed", func() bool { return h.logic.confirmed() == "42 to 7: 2, " })

	h.deliver(&gatewaypb.Delivery{Body: &gatewaypb.Delivery_Delivered{Delivered: &repopb.DeliveredPointer{ConversationId: 42, UserId: 7, Seq: 2}}, UserIds: []int64{99}})
	sender.expect("message")
	sender.expect("message")
	if r := sender.expect("delivered"); r.num("seq") != 2 || r.str("user_id") != "7" || r.str("conversation_id") != "42" {
		t.Errorf("%s", r.Data)
	}

	receiver.send(`{"type":"sync","data":{"conversations":{"43":0}}}`)
	receiver.expect("message")
	receiver.expect("sync")
	until(t, "the device is asked again", func() bool {
		conn.mu.Lock()
		defer conn.mu.Unlock()
		return conn.unconfirmed != nil && conn.unconfirmed.asked != nil
	})
	receiver.nothing()
	until(t, "the synced message is confirmed", func() bool { return h.logic.confirmed() == "42 to 7: 2, 43 to 7: 4, " })
	conn.mu.Lock()
	defer conn.mu.Unlock()
	if conn.unconfirmed != nil {
		t.Error("the connection keeps what is confirmed")
	}
}

func TestReceiptsAreBounded(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) { c.Receipts.Every = 10 * time.Millisecond })
	h.connect(7, 70) // it never reads again, so it never answers
	conn := h.hub.ofUser(7)[0]
	for c := range int64(3 * maxUnconfirmed) {
		h.deliver(direct(c+1, 1, 7))
	}
	until(t, "the device is asked", func() bool {
		conn.mu.Lock()
		defer conn.mu.Unlock()
		return conn.unconfirmed.asked != nil
	})
	for c := range int64(3 * maxUnconfirmed) {
		h.deliver(direct(c+1, 2, 7))
	}
	conn.mu.Lock()
	defer conn.mu.Unlock()
	if u := conn.unconfirmed; len(u.sent) > maxUnconfirmed || len(u.asked) > maxUnconfirmed || u.listed {
		t.Errorf("%d and %d conversations, listed %v", len(u.sent), len(u.asked), u.listed)
	}
}

func TestReceiptsOff(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) { c.Receipts.Every = 0 })
	h.connect(7, 70)
	h.deliver(direct(42, 1, 7))
	if u := h.hub.ofUser(7)[0].unconfirmed; u != nil {
		t.Errorf("%v", u)
	}
}
