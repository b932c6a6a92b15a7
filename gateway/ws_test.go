package gateway

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

func TestConnectByEachWay(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	byQuery, _, err := h.dial("?token=7.70", nil)
	if err != nil {
		t.Fatal(err)
	}
	hello := byQuery.expect("hello")
	if hello.str("user_id") != "7" || hello.str("session_id") != "70" || hello.num("heartbeat_ms") != 30000 || hello.num("feature_level") != 1 || hello.num("max_message_bytes") != 16<<10 {
		t.Errorf("hello %s", hello.Data)
	}
	byHeader, _, err := h.dial("", http.Header{"Authorization": {"Bearer 8.80"}})
	if err != nil {
		t.Fatal(err)
	}
	byHeader.expect("hello")
	byFrame, _, err := h.dial("", nil)
	if err != nil {
		t.Fatal(err)
	}
	byFrame.send(`{"type":"message","id":"m","data":{"conversation_id":"1","content":"x","message_type":"text"}}`)
	if r := byFrame.expect("error"); r.num("code") != int(errs.Unauthorized) || r.ID != "m" {
		t.Errorf("error %s", r.Data)
	}
	byFrame.send(`{"type":"auth","data":{"token":"9.90"}}`)
	if r := byFrame.expect("hello"); r.str("user_id") != "9" {
		t.Errorf("hello %s", r.Data)
	}
	byFrame.nothing()
	st, _ := h.role.Stats(context.Background(), &gatewaypb.StatsRequest{OnlineOf: []int64{7, 8, 9, 10}})
	if st.GetConnections() != 3 || st.GetUsers() != 3 || len(st.GetOnline()) != 3 {
		t.Errorf("stats %v", st)
	}
}

func TestRefusedBeforeTheUpgrade(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	for name, tc := range map[string]struct {
		query  string
		header http.Header
		status int
	}{
		"query":        {"?token=bad", nil, 401},
		"empty":        {"?token=", nil, 401},
		"header":       {"", http.Header{"Authorization": {"Bearer bad"}}, 401},
		"other scheme": {"", http.Header{"Authorization": {"Basic abc"}}, 401},
		"origin":       {"?token=7.70", http.Header{"Origin": {"https://evil.example"}}, 403},
		"null origin":  {"?token=7.70", http.Header{"Origin": {"null"}}, 403},
	} {
		_, status, err := h.dial(tc.query, tc.header)
		if err == nil || status != tc.status {
			t.Errorf("%s: %d, %v", name, status, err)
		}
	}
	resp, err := http.Get("http" + strings.TrimPrefix(h.url, "ws") + "/ws?token=7.70") //nolint:noctx // a test
	if err != nil || resp.StatusCode < 400 {
		t.Errorf("plain GET: %v, %v", resp, err)
	}
	resp.Body.Close()
	if n := len(h.hub.all()); n != 0 {
		t.Errorf("%d connections", n)
	}
}

func TestAllowedOrigins(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) { c.WebSocket.AllowedOrigins = []string{"*.chat.example", "https://one.example"} })
	for origin, want := range map[string]bool{
		"https://web.chat.example": true, "https://one.example": true, "http://one.example": false, "https://chat.example.evil": false,
		"http" + strings.TrimPrefix(h.url, "ws"): true,
	} {
		_, _, err := h.dial("?token=7.70", http.Header{"Origin": {origin}})
		if (err == nil) != want {
			t.Errorf("%s: %v", origin, err)
		}
	}
}

func TestRevokedWhileConnecting(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	h.logic.unchecked = errs.New(errs.Unauthorized, "revoked").With("reason", "revoked")
	c, _, err := h.dial("?token=7.70", nil)
	if err != nil {
		t.Fatal(err)
	}
	first, err := c.read()
	if err != nil || first.Type != "disconnect" {
		t.Fatalf("%v, %v", first, err)
	}
	if _, err := c.read(); websocket.CloseStatus(err) != codeLoggedOut {
		t.Fatal(err)
	}
}

func TestMessageAndItsAnswer(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	c, other := h.connect(7, 70), h.connect(7, 71)
	c.send(`{"type":"message","id":"f1","data":{"conversation_id":"42","content":"hi","message_type":"text","client_msg_id":"c1"}}`)
	up := <-h.bus.published
	o, m := up.GetOrigin(), up.GetMessage()
	if m.GetSenderId() != 7 || m.GetConversationId() != 42 || m.GetContent() != "hi" || m.GetClientMsgId() != "c1" || !m.GetEchoClientMsgId() {
		t.Errorf("message %v", m)
	}
	if o.GetFrameId() != "f1" || o.GetSessionId() != 70 || o.GetReceivedAt() == 0 || o.GetRequestId() == "" {
		t.Errorf("origin %v", o)
	}
	d := message(42, 5, 7)
	d.Except = o
	result := &gatewaypb.Result{Origin: o, ClientMsgId: "c1", Event: event(42, 5), Duplicate: true}
	if _, err := h.role.Deliver(t.Context(), &gatewaypb.DeliverRequest{Results: []*gatewaypb.Result{result}, Deliveries: []*gatewaypb.Delivery{d}}); err != nil {
		t.Fatal(err)
	}
	ack := c.expect("ack")
	if ack.ID != "f1" || ack.str("message_id") != "42-5" || ack.num("seq") != 5 || ack.str("client_msg_id") != "c1" || ack.fields["duplicate"] != true {
		t.Errorf("ack %s", ack.Data)
	}
	c.nothing()
	if r := other.expect("message"); r.str("content") != "hello" {
		t.Errorf("message %s", r.Data)
	}

	c.send(`{"type":"message","data":{"conversation_id":"42","content":"hi","message_type":"text"}}`)
	up = <-h.bus.published
	if up.GetMessage().GetClientMsgId() == "" || up.GetMessage().GetEchoClientMsgId() {
		t.Errorf("message %v", up.GetMessage())
	}
	_, _ = h.role.Deliver(t.Context(), &gatewaypb.DeliverRequest{Results: []*gatewaypb.Result{{
		Origin: up.GetOrigin(), ClientMsgId: up.GetMessage().GetClientMsgId(), Code: int32(errs.Forbidden), Error: "muted", Details: map[string]string{"a": "b"},
	}}})
	if r := c.expect("error"); r.num("code") != int(errs.Forbidden) || r.str("message") != "muted" || r.fields["client_msg_id"] != nil {
		t.Errorf("error %s", r.Data)
	}
	// A result for another gateway, or a connection that is gone, is nobody's.
	_, _ = h.role.Deliver(t.Context(), &gatewaypb.DeliverRequest{Results: []*gatewaypb.Result{
		{Origin: &gatewaypb.Origin{GatewayId: "x", ConnectionId: up.GetOrigin().GetConnectionId()}, Event: event(1, 1)},
		{Origin: &gatewaypb.Origin{GatewayId: h.hub.id, ConnectionId: 1}, Event: event(1, 1)},
	}})
	c.nothing()
}

func TestBusWithoutRoom(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	h.bus.err = errs.New(errs.Unavailable, "busy")
	c := h.connect(7, 70)
	c.send(`{"type":"message","id":"f1","data":{"conversation_id":"42","content":"hi","message_type":"text","client_msg_id":"c1"}}`)
	if r := c.expect("error"); r.num("code") != int(errs.Unavailable) || r.str("client_msg_id") != "c1" || r.ID != "f1" {
		t.Errorf("error %s", r.Data)
	}
}

func TestReadTypingOpen(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	c := h.connect(7, 70)
	c.send(`{"type":"read","id":"r","data":{"conversation_id":"42","seq":3}}`)
	if r := c.expect("ok"); r.ID != "r" {
		t.Error(r)
	}
	c.send(`{"type":"typing","id":"t","data":{"conversation_id":"42"}}`)
	c.expect("ok")
	h.logic.mu.Lock()
	if len(h.logic.reads) != 1 || h.logic.reads[0].GetSeq() != 3 || len(h.logic.typings) != 1 || h.logic.typings[0].GetUserId() != 7 {
		t.Error("not passed on")
	}
	h.logic.mu.Unlock()
	typing := &gatewaypb.Delivery{Body: &gatewaypb.Delivery_Typing{Typing: &gatewaypb.Typing{ConversationId: 42, UserId: 8}}, UserIds: []int64{7}}
	h.deliver(typing)
	c.nothing()
	c.send(`{"type":"open","data":{"conversation_id":"42"}}`)
	c.nothing()
	h.deliver(typing)
	if r := c.expect("typing"); r.str("user_id") != "8" || r.str("conversation_id") != "42" {
		t.Error(r)
	}
	c.send(`{"type":"close","data":{"conversation_id":"42"}}`)
	c.nothing()
	h.deliver(typing)
	c.nothing()
	for i := range maxOpen + 1 {
		c.send(`{"type":"open","data":{"conversation_id":"` + strconv.Itoa(100+i) + `"}}`)
	}
	if r := c.expect("error"); r.num("code") != int(errs.Invalid) {
		t.Error(r)
	}
}

func TestMalformedFrames(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) { c.WebSocket.MaxMalformed = 3 })
	c := h.connect(7, 70)
	c.send(`{"type":"nope","id":"x"}`)
	c.expect("error")
	if err := c.ws.Write(t.Context(), websocket.MessageBinary, []byte(`{"type":"ping"}`)); err != nil {
		t.Fatal(err)
	}
	c.expect("error")
	c.nothing()
	c.send(`[`)
	if d := c.expectClose(codeTooManyMalformed); d.fields["reconnect"] != false {
		t.Errorf("%s", d.Data)
	}
}

func TestFrameTooLarge(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	c := h.connect(7, 70)
	c.send(`{"type":"message","data":{"conversation_id":"1","message_type":"text","content":"` + strings.Repeat("x", 17<<10) + `"}}`)
	if r := c.expect("error"); r.num("code") != int(errs.TooLarge) {
		t.Error(r)
	}
	_ = c.ws.Write(t.Context(), websocket.MessageText, []byte(strings.Repeat("x", 1<<20)))
	c.expectClose(codeProtocol)

	stranger, _, err := h.dial("", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = stranger.ws.Write(t.Context(), websocket.MessageText, []byte(strings.Repeat("x", strangerFrameBytes+1)))
	stranger.expectClose(codeProtocol)
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) {
		c.WebSocket.AuthTimeout = 300 * time.Millisecond
		c.WebSocket.Heartbeat = 400 * time.Millisecond
	})
	stranger, _, err := h.dial("", nil)
	if err != nil {
		t.Fatal(err)
	}
	silent := h.connect(7, 70)
	silent.expect("ping")
	silent.send(`{"type":"pong"}`)
	silent.expect("ping")
	silent.expectClose(codePingTimeout)
	stranger.expectClose(codeAuthTimeout)
}

func TestTokenExpiresAndIsRefreshed(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	h.logic.validate = func(token string) (*logicpb.Identity, error) {
		who, err := identityOf(strings.TrimPrefix(token, "short-"))
		if err == nil && strings.HasPrefix(token, "short-") {
			who.ExpiresAt = time.Now().Add(500 * time.Millisecond).UnixMilli()
		}
		return who, err
	}
	expiring, _, err := h.dial("?token=short-7.70", nil)
	if err != nil {
		t.Fatal(err)
	}
	refreshed, _, err := h.dial("?token=short-8.80", nil)
	if err != nil {
		t.Fatal(err)
	}
	refreshed.expect("hello")
	for _, foreign := range []string{"9.90", "8.81"} { // another user's, the user's own of another session
		refreshed.send(`{"type":"auth","id":"a","data":{"token":"` + foreign + `"}}`)
		if r := refreshed.expect("error"); r.num("code") != int(errs.Unauthorized) {
			t.Error(foreign, r)
		}
	}
	refreshed.send(`{"type":"auth","id":"a","data":{"token":"8.80"}}`)
	refreshed.expect("ok")
	expiring.expectClose(codeTokenExpired)
	time.Sleep(300 * time.Millisecond) // past its first expiry as well
	refreshed.nothing()
}

func TestLimits(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) {
		c.Limits.ExemptAddresses = nil
		c.Limits.ConnectionsPerUser = 2
		c.Limits.UnauthenticatedPerAddress = 2
		c.Limits.ConnectRate, c.Limits.ConnectBurst = 0.001, 6
		c.Limits.SendRate, c.Limits.SendBurst = 0.001, 1
		c.Limits.FrameRate, c.Limits.FrameBurst = 0.001, 10
	})
	a := h.connect(7, 70)
	h.connect(7, 71)
	third, _, err := h.dial("?token=7.72", nil)
	if err != nil {
		t.Fatal(err)
	}
	third.expectClose(codeTooManySockets)

	const msg = `{"type":"message","data":{"conversation_id":"1","message_type":"text","content":"x","client_msg_id":"c"}}`
	a.send(msg)
	<-h.bus.published
	a.send(msg)
	if r := a.expect("error"); r.num("code") != int(errs.RateLimited) || r.str("client_msg_id") != "c" {
		t.Errorf("%s", r.Data)
	}
	for range 8 + 1 {
		a.send(`{"type":"pong"}`)
	}
	if r := a.expect("error"); r.num("code") != int(errs.RateLimited) {
		t.Errorf("%s", r.Data)
	}
	for range maxRefused - 1 { // the answers to these may be dropped by the closing
		a.send(`{"type":"pong"}`)
	}
	if d := a.expectClose(codeRateLimited); d.num("retry_after_ms") == 0 {
		t.Errorf("%s", d.Data)
	}

	for range 2 {
		if _, _, err := h.dial("", nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, status, err := h.dial("", nil); err == nil || status != http.StatusTooManyRequests {
		t.Error("a third stranger was let in")
	}
	if _, status, err := h.dial("?token=8.80", nil); err == nil || status != http.StatusTooManyRequests {
		t.Error("the connect rate was exceeded")
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	clients := []*client{h.connect(7, 70), h.connect(8, 80), h.connect(9, 90)}
	done := make(chan error, 1)
	go func() { done <- h.server.Drain(context.Background()) }()
	for _, c := range clients {
		if d := c.expectClose(codeDrain); d.fields["reconnect"] != true {
			t.Errorf("%s", d.Data)
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, status, err := h.dial("?token=7.70", nil); err == nil || status != http.StatusServiceUnavailable {
		t.Error("let in while draining")
	}
}

func TestDrainWithStuckClients(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	h.connect(7, 70) // never reads again
	begin := time.Now()
	if err := h.server.Drain(context.Background()); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(begin); d > patience/2 {
		t.Errorf("took %s", d)
	}
}

func TestAwait(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	r, err := h.hub.Await(t.Context(), "req", func(o *gatewaypb.Origin) error {
		go func() {
			for range 2 { // a repeated answer harms nobody
				_, _ = h.role.Deliver(context.Background(), &gatewaypb.DeliverRequest{Results: []*gatewaypb.Result{{Origin: o, Code: 3}}})
			}
		}()
		return nil
	})
	if err != nil || r.GetCode() != 3 || r.GetOrigin().GetRequestId() != "req" {
		t.Fatal(r, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := h.hub.Await(ctx, "req", func(*gatewaypb.Origin) error { return nil }); errs.CodeOf(err) != errs.Timeout {
		t.Fatal(err)
	}
	if _, err := h.hub.Await(ctx, "req", func(*gatewaypb.Origin) error { return errBadToken }); errs.CodeOf(err) != errs.Unauthorized {
		t.Fatal(err)
	}
	if len(h.hub.waiters) != 0 {
		t.Error("a waiter is left")
	}
}

func TestPanicEndsOneSocketOnly(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	h.logic.sync = func(*repopb.GetChangesRequest) (*repopb.GetChangesResponse, error) { panic("out of order") }
	other, c := h.connect(1, 1), h.connect(2, 2)
	c.send(`{"type":"sync","data":{"conversations":{}}}`)
	c.expectClose(codeServerError)
	other.nothing()
}

// Who connects to a server that cannot keep up is told when to come again.
func TestOverloadedConnect(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	h.logic.unchecked = errs.New(errs.Unavailable, "too many wait")
	c, _, err := h.dial("?token=7.70", nil)
	if err != nil {
		t.Fatal(err)
	}
	if r := c.expectClose(codeOverloaded); r.fields["reconnect"] != true || r.num("retry_after_ms") < 1000 {
		t.Errorf("%s", r.Data)
	}
}
