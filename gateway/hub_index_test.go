package gateway

import (
	"testing"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
)

// In a large group, as in a small one, the sending socket has its ack only, and typing is for who has the group open.
func TestLargeGroupDeliversToWhomItConcerns(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	h.logic.large[7], h.logic.large[8] = []int64{42}, []int64{42}
	sending, other, peer := h.connect(7, 70), h.connect(7, 71), h.connect(8, 80)
	var origin *gatewaypb.Origin
	for _, c := range h.hub.ofUser(7) {
		if _, session := c.identity(); session == 70 {
			origin = &gatewaypb.Origin{GatewayId: h.hub.id, ConnectionId: c.id}
		}
	}
	m := message(42, 1)
	m.Interested, m.Except = true, origin
	h.deliver(m)
	other.expect("message")
	peer.expect("message")
	sending.nothing()

	peer.send(`{"type":"open","id":"o","data":{"conversation_id":"42"}}`)
	peer.expect("ok")
	sending.send(`{"type":"open","id":"o","data":{"conversation_id":"42"}}`)
	sending.expect("ok")
	h.deliver(&gatewaypb.Delivery{
		Body:       &gatewaypb.Delivery_Typing{Typing: &gatewaypb.Typing{ConversationId: 42, UserId: 7}},
		Interested: true, Except: origin,
	})
	peer.expect("typing")
	other.nothing()
	sending.nothing()
}
