package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/rpc/rpctest"
	"github.com/gochat-im/gochat/repo/repopb"
)

// logicDouble accepts tokens "<user>.<session>" and lets a test replace the rest.
type logicDouble struct {
	logicpb.UnimplementedLogicServiceServer

	mu        sync.Mutex
	validate  func(token string) (*logicpb.Identity, error)
	unchecked error // what CheckSession answers
	sync      func(*repopb.GetChangesRequest) (*repopb.GetChangesResponse, error)
	large     map[int64][]int64
	reads     []*logicpb.MarkMessageReadRequest
	typings   []*logicpb.SetTypingRequest
	got       []*repopb.DeliveredPointer
}

var errBadToken = errs.New(errs.Unauthorized, "the token is not valid").With("reason", "invalid")

func identityOf(token string) (*logicpb.Identity, error) {
	u, sess, ok := strings.Cut(token, ".")
	user, err1 := strconv.ParseInt(u, 10, 64)
	session, err2 := strconv.ParseInt(sess, 10, 64)
	if !ok || err1 != nil || err2 != nil {
		return nil, errBadToken
	}
	return &logicpb.Identity{UserId: user, SessionId: session, ExpiresAt: time.Now().Add(time.Hour).UnixMilli()}, nil
}

func (l *logicDouble) ValidateToken(_ context.Context, r *logicpb.ValidateTokenRequest) (*logicpb.Identity, error) {
	l.mu.Lock()
	validate := l.validate
	l.mu.Unlock()
	if validate != nil {
		return validate(r.GetToken())
	}
	return identityOf(r.GetToken())
}

func (l *logicDouble) CheckSession(context.Context, *logicpb.CheckSessionRequest) (*repopb.Empty, error) {
	return &repopb.Empty{}, l.unchecked
}

func (l *logicDouble) GetLargeGroups(_ context.Context, r *repopb.GetLargeGroupsRequest) (*repopb.GetLargeGroupsResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &repopb.GetLargeGroupsResponse{ConversationIds: l.large[r.GetUserId()]}, nil
}

func (l *logicDouble) Sync(_ context.Context, r *repopb.GetChangesRequest) (*repopb.GetChangesResponse, error) {
	return l.sync(r)
}

func (l *logicDouble) MarkMessageRead(_ context.Context, r *logicpb.MarkMessageReadRequest) (*repopb.Empty, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads = append(l.reads, r)
	return &repopb.Empty{}, nil
}

func (l *logicDouble) ConfirmDelivery(_ context.Context, r *repopb.MarkDeliveredRequest) (*repopb.Empty, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = append(l.got, r.GetPointers()...)
	return &repopb.Empty{}, nil
}

func (l *logicDouble) SetTyping(_ context.Context, r *logicpb.SetTypingRequest) (*repopb.Empty, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.typings = append(l.typings, r)
	return &repopb.Empty{}, nil
}

type busDouble struct {
	bus.Bus
	published chan *logicpb.Upstream
	err       error
}

func (b *busDouble) Publish(_ context.Context, topic string, records ...bus.Record) error {
	if b.err != nil {
		return b.err
	}
	for _, r := range records {
		if topic != logicpb.UpstreamTopic {
			return errors.New("unexpected topic")
		}
		b.published <- r.Message.(*logicpb.Upstream)
	}
	return nil
}

type harness struct {
	*testing.T
	hub    *Hub
	role   gatewaypb.GatewayServiceServer // the hub, or the way to it over gRPC
	server *Server
	logic  *logicDouble
	bus    *busDouble
	url    string
}

func start(t *testing.T, change func(*Config)) *harness {
	t.Helper()
	cfg := DefaultConfig()
	cfg.WebSocket.DrainWindow = 50 * time.Millisecond
	if change != nil {
		change(&cfg)
	}
	h := &harness{T: t, logic: &logicDouble{large: map[int64][]int64{}}, bus: &busDouble{published: make(chan *logicpb.Upstream, 1000)}}
	log := slog.New(slog.DiscardHandler)
	reg := prometheus.NewRegistry()
	h.hub = NewHub(cfg, log, reg)
	h.role = rpctest.Reach[gatewaypb.GatewayServiceServer](t, gatewaypb.GatewayService_ServiceDesc.ServiceName, h.hub,
		gatewaypb.RegisterGatewayServiceServer, NewRemote)
	s, err := NewServer(cfg, h.hub, h.logic, h.bus, log, reg)
	if err != nil {
		t.Fatal(err)
	}
	h.server = s
	web := httptest.NewServer(http.HandlerFunc(s.serveWS))
	h.url = "ws" + strings.TrimPrefix(web.URL, "http")
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Drain(ctx); err != nil {
			t.Errorf("drain: %v", err)
		}
		web.Close()
	})
	return h
}

type client struct {
	t  *testing.T
	ws *websocket.Conn
}

type received struct {
	Type string          `json:"type"`
	ID   string          `json:"id"`
	Data json.RawMessage `json:"data"`

	fields map[string]any
}

func (r received) num(name string) int { v, _ := r.fields[name].(float64); return int(v) }
func (r received) str(name string) string {
	v, _ := r.fields[name].(string)
	return v
}

// dial connects; status is that of a refusal before the upgrade.
func (h *harness) dial(query string, header http.Header) (c *client, status int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ws, resp, err := websocket.Dial(ctx, h.url+"/ws"+query, &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		if resp != nil {
			status = resp.StatusCode
			_ = resp.Body.Close()
		}
		return nil, status, err
	}
	ws.SetReadLimit(-1)
	h.Cleanup(func() { _ = ws.CloseNow() })
	return &client{h.T, ws}, 0, nil
}

// connect returns a client that has been greeted.
func (h *harness) connect(user, session int) *client {
	h.Helper()
	c, _, err := h.dial("?token="+strconv.Itoa(user)+"."+strconv.Itoa(session), nil)
	if err != nil {
		h.Fatal(err)
	}
	c.expect("hello")
	return c
}

func (c *client) send(frame string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.ws.Write(ctx, websocket.MessageText, []byte(frame)); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

func (c *client) read() (received, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, b, err := c.ws.Read(ctx)
	if err != nil {
		return received{}, err
	}
	var r received
	if err := json.Unmarshal(b, &r); err != nil {
		c.t.Errorf("not JSON: %s", b)
		return r, err
	}
	_ = json.Unmarshal(r.Data, &r.fields)
	return r, nil
}

func (c *client) expect(kind string) received {
	c.t.Helper()
	r, err := c.read()
	if err != nil {
		c.t.Fatalf("expected %s: %v", kind, err)
	}
	if r.Type != kind {
		c.t.Fatalf("expected %s, got %s %s", kind, r.Type, r.Data)
	}
	return r
}

// expectClose reads up to the close frame and checks the codes of both last frames.
func (c *client) expectClose(code int) (disconnect received) {
	c.t.Helper()
	for {
		r, err := c.read()
		if err != nil {
			if got := int(websocket.CloseStatus(err)); got != code {
				c.t.Fatalf("closed with %d (%v), want %d", got, err, code)
			}
			if disconnect.num("code") != code {
				c.t.Fatalf("disconnect frame %s, want code %d", disconnect.Data, code)
			}
			return disconnect
		}
		if r.Type == "disconnect" {
			disconnect = r
		}
	}
}

// settled makes sure that all that was sent to the client before is read: it must be nothing.
func (c *client) nothing() {
	c.t.Helper()
	c.send(`{"type":"ping","id":"nothing"}`)
	if r := c.expect("pong"); r.ID != "nothing" {
		c.t.Fatalf("pong %q", r.ID)
	}
}

func (h *harness) deliver(deliveries ...*gatewaypb.Delivery) {
	h.Helper()
	if _, err := h.role.Deliver(context.Background(), &gatewaypb.DeliverRequest{Deliveries: deliveries}); err != nil {
		h.Fatal(err)
	}
}

func message(conversation, seq int64, users ...int64) *gatewaypb.Delivery {
	return &gatewaypb.Delivery{Body: &gatewaypb.Delivery_Event{Event: event(conversation, seq)}, UserIds: users}
}

func event(conversation, seq int64) *repopb.Event {
	return &repopb.Event{
		ConversationId: conversation, Seq: seq, Kind: repopb.EventKind_EVENT_KIND_MESSAGE, UserId: 99,
		Content: "hello", MessageType: "text", CreatedAt: 1700000000000 + seq,
	}
}

// patience is how long a test waits for what has to come: longer than any load lasts.
const patience = time.Minute

// until waits for a condition that another goroutine brings about.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
