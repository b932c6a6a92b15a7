package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/registry"
	"github.com/gochat-im/gochat/platform/rpc"
)

const routerSecret = "a-secret-of-tests-0123456789-abcdefgh"

// gate is a gateway with a port, behind which a test may break things.
type gate struct {
	*orderFixture
	router *Router
	broken atomic.Bool // the port answers Unavailable
	calls  atomic.Int64
}

func (g *gate) Deliver(ctx context.Context, r *gatewaypb.DeliverRequest) (*gatewaypb.DeliverResponse, error) {
	g.calls.Add(1)
	if g.broken.Load() {
		return nil, errs.New(errs.Unavailable, "broken by a test")
	}
	return g.hub.Deliver(ctx, r)
}

func (g *gate) Disconnect(ctx context.Context, r *gatewaypb.DisconnectRequest) (*gatewaypb.DisconnectResponse, error) {
	if g.broken.Load() {
		return nil, errs.New(errs.Unavailable, "broken by a test")
	}
	return g.hub.Disconnect(ctx, r)
}

func (g *gate) Stats(ctx context.Context, r *gatewaypb.StatsRequest) (*gatewaypb.StatsResponse, error) {
	return g.hub.Stats(ctx, r)
}

// gates are two gateways and a router of a process that has none.
type gates struct {
	*testing.T
	registry registry.Registry
	a, b     *gate
	task     *Router
}

func newGates(t *testing.T) *gates {
	t.Helper()
	return newGatesOn(t, registry.NewEmbedded())
}

func newGatesOn(t *testing.T, reg registry.Registry) *gates {
	t.Helper()
	f := &gates{T: t, registry: reg}
	cred, err := rpc.Config{Secret: routerSecret}.Credentials()
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	router := func(hub *Hub) *Router {
		d := rpc.NewDialer(cred, log, nil)
		r := NewRouter(f.registry, hub, d, log, nil)
		t.Cleanup(func() { r.Close(); d.Close() })
		return r
	}
	join := func() *gate {
		g := &gate{orderFixture: newOrderFixture(t, nil)}
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := rpc.Serve(l, cred, log, nil, nil, func(s grpc.ServiceRegistrar) { gatewaypb.RegisterGatewayServiceServer(s, g) })
		t.Cleanup(func() { _ = server.Stop(context.WithoutCancel(t.Context())) })
		g.router = router(g.hub)
		if err := g.router.Join(t.Context(), l.Addr().String()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = g.router.Leave(context.WithoutCancel(t.Context())) })
		return g
	}
	f.a, f.b = join(), join()
	f.task = router(nil)
	return f
}

// user connects a user, as welcome does.
func (g *gate) user(id int64, groups ...int64) *conn {
	c := g.connect(id)
	g.hub.addToIndex(c, groups...)
	g.hub.announce.Load().settle(g.Context())
	return c
}

func (f *gates) route(r *Router, req *gatewaypb.DeliverRequest) *gatewaypb.DeliverResponse {
	f.Helper()
	answer, err := r.Deliver(f.Context(), req)
	if err != nil {
		f.Fatal(err)
	}
	return answer
}

func wantSeqs(t *testing.T, who string, c *conn, conversation int64, want ...int64) {
	t.Helper()
	if got := c.queuedSeqs(conversation); !slices.Equal(got, want) {
		t.Errorf("%s got %v, want %v", who, got, want)
	}
}

func TestRouterFindsEveryDevice(t *testing.T) {
	t.Parallel()
	f := newGates(t)
	onA, onB, other := f.a.user(1), f.b.user(1), f.b.user(2)
	for n, r := range []*Router{f.task, f.a.router, f.b.router} {
		answer := f.route(r, &gatewaypb.DeliverRequest{Deliveries: []*gatewaypb.Delivery{message(9, int64(n)+1, 1, 2, 3)}, ReportOffline: true})
		if got := answer.GetOffline(); len(got) != 1 || !slices.Equal(got[0].GetUserIds(), []int64{3}) {
			t.Errorf("offline: %v", got)
		}
	}
	wantSeqs(t, "1 on a", onA, 9, 1, 2, 3)
	wantSeqs(t, "1 on b", onB, 9, 1, 2, 3)
	wantSeqs(t, "2 on b", other, 9, 1, 2, 3)
	// Nobody of it is on a.
	calls := f.a.calls.Load()
	f.route(f.task, &gatewaypb.DeliverRequest{Deliveries: []*gatewaypb.Delivery{message(8, 1, 2)}})
	if f.a.calls.Load() != calls {
		t.Error("a gateway was called that serves nobody of the conversation")
	}
	stats, err := f.task.Stats(t.Context(), &gatewaypb.StatsRequest{OnlineOf: []int64{3, 2, 1}})
	if err != nil || !slices.Equal(stats.GetOnline(), []int64{2, 1}) {
		t.Errorf("online: %v, %v", stats, err)
	}
	if stats, err = f.task.Stats(t.Context(), &gatewaypb.StatsRequest{}); err != nil || stats.GetConnections() != 5 { // one each is the fixture's
		t.Errorf("all: %v, %v", stats, err)
	}
}

func TestRouterAnswersOrigins(t *testing.T) {
	t.Parallel()
	f := newGates(t)
	result, err := f.b.hub.Await(t.Context(), "r-1", func(o *gatewaypb.Origin) error {
		f.route(f.task, &gatewaypb.DeliverRequest{Results: []*gatewaypb.Result{
			{Origin: &gatewaypb.Origin{GatewayId: "dead", ConnectionId: 1}}, {Origin: o, ClientMsgId: "m"},
		}})
		return nil
	})
	if err != nil || result.GetClientMsgId() != "m" {
		t.Errorf("%v, %v", result, err)
	}
}

func TestRouterInterest(t *testing.T) {
	t.Parallel()
	f := newGates(t)
	member, stranger := f.a.user(1, 5), f.b.user(2)
	large := func(seq int64) *gatewaypb.Delivery {
		d := message(5, seq)
		d.Interested = true
		return d
	}
	calls := f.b.calls.Load()
	f.route(f.task, &gatewaypb.DeliverRequest{Deliveries: []*gatewaypb.Delivery{large(1)}})
	if f.b.calls.Load() != calls {
		t.Error("a gateway without a member was called")
	}
	joined := large(2)
	joined.AttachUserIds, joined.Index = []int64{2}, true
	f.route(f.task, &gatewaypb.DeliverRequest{Deliveries: []*gatewaypb.Delivery{joined}})
	f.route(f.task, &gatewaypb.DeliverRequest{Deliveries: []*gatewaypb.Delivery{large(3)}})
	wantSeqs(t, "the member", member, 5, 1, 2, 3)
	wantSeqs(t, "who joined", stranger, 5, 2, 3)

	// A message that overtakes the change that makes its receiver's gateway interested.
	newcomer, next := f.b.user(3), large(2)
	next.Everywhere = true
	next.GetEvent().ConversationId = 6
	joined = large(1)
	joined.GetEvent().ConversationId, joined.AttachUserIds, joined.Index = 6, []int64{3}, true
	f.route(f.task, &gatewaypb.DeliverRequest{Deliveries: []*gatewaypb.Delivery{joined}})
	f.route(f.a.router, &gatewaypb.DeliverRequest{Deliveries: []*gatewaypb.Delivery{next}})
	wantSeqs(t, "a newcomer", newcomer, 6, 1, 2)
	joined, next = large(3), large(4)
	joined.GetEvent().ConversationId, joined.AttachUserIds, joined.Index = 6, []int64{1}, true
	next.GetEvent().ConversationId, next.Everywhere = 6, true
	f.route(f.a.router, &gatewaypb.DeliverRequest{Deliveries: []*gatewaypb.Delivery{next}})
	f.route(f.task, &gatewaypb.DeliverRequest{Deliveries: []*gatewaypb.Delivery{joined}})
	wantSeqs(t, "a newcomer", newcomer, 6, 1, 2, 3, 4)
}

// A removal holds on every gateway when the call returns, wherever the user connects next.
func TestRouterDetachesEverywhere(t *testing.T) {
	t.Parallel()
	f := newGates(t)
	f.a.user(1)
	left := message(5, 7, 1)
	left.DetachUserIds, left.Private = []int64{1}, true
	f.route(f.task, &gatewaypb.DeliverRequest{Deliveries: []*gatewaypb.Delivery{left}})
	late := f.b.user(1)
	f.route(f.task, &gatewaypb.DeliverRequest{Deliveries: []*gatewaypb.Delivery{message(5, 8, 1)}})
	wantSeqs(t, "who left", late, 5)

	f.b.broken.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := f.task.Deliver(ctx, &gatewaypb.DeliverRequest{Deliveries: []*gatewaypb.Delivery{left}}); errs.CodeOf(err) != errs.Unavailable {
		t.Errorf("a removal that did not reach a live gateway: %v", err)
	}
	if _, err := f.task.Disconnect(ctx, &gatewaypb.DisconnectRequest{UserId: 1}); errs.CodeOf(err) != errs.Unavailable {
		t.Errorf("a disconnect that did not reach a live gateway: %v", err)
	}
	if err := f.b.router.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.route(f.task, &gatewaypb.DeliverRequest{Deliveries: []*gatewaypb.Delivery{left}})
}

// A gateway that does not answer costs nobody else anything, and gets what it missed once it answers.
func TestRouterCatchesUp(t *testing.T) {
	t.Parallel()
	f := newGates(t)
	well, cut := f.a.user(1), f.b.user(2)
	f.route(f.task, &gatewaypb.DeliverRequest{Deliveries: []*gatewaypb.Delivery{message(5, 1, 1, 2)}})
	f.b.broken.Store(true)
	answer := f.route(f.task, &gatewaypb.DeliverRequest{Deliveries: []*gatewaypb.Delivery{message(5, 2, 1, 2)}, ReportOffline: true})
	if got := answer.GetOffline()[0].GetUserIds(); !slices.Equal(got, []int64{2}) {
		t.Errorf("offline: %v", got)
	}
	for seq := int64(3); seq < 6; seq++ {
		start := time.Now()
		f.route(f.task, &gatewaypb.DeliverRequest{Deliveries: []*gatewaypb.Delivery{message(5, seq, 1, 2)}})
		if took := time.Since(start); took > routeTimeout/2 {
			t.Errorf("others waited %v", took)
		}
	}
	wantSeqs(t, "on the gateway that answers", well, 5, 1, 2, 3, 4, 5)
	wantSeqs(t, "on the gateway that does not", cut, 5, 1)
	f.b.broken.Store(false)
	within(t, "what waited is delivered", func() bool { return slices.Equal(cut.queuedSeqs(5), []int64{1, 2, 3, 4, 5}) })

	f.b.broken.Store(true)
	for seq := int64(6); seq < maxWaiting+10; seq++ {
		f.route(f.task, &gatewaypb.DeliverRequest{Deliveries: []*gatewaypb.Delivery{message(5, seq, 2)}})
	}
	f.b.broken.Store(false)
	within(t, "a gateway that missed too much has its clients resume", func() bool {
		cut.mu.Lock()
		defer cut.mu.Unlock()
		return cut.resumeAt != 0
	})
}

func TestRouterJoinsOnlyWhereItCanBeReached(t *testing.T) {
	t.Parallel()
	reg := registry.NewEmbedded()
	log := slog.New(slog.DiscardHandler)
	router := func() *Router {
		r := NewRouter(reg, newOrderFixture(t, nil).hub, nil, log, nil)
		t.Cleanup(r.Close)
		return r
	}
	alone, second := router(), router()
	if err := alone.Join(t.Context(), Unreachable("a")); err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{Unreachable("b"), "127.0.0.1:1"} {
		if err := second.Join(t.Context(), address); errs.CodeOf(err) != errs.Unavailable {
			t.Errorf("joining at %q beside one that cannot be reached: %v", address, err)
		}
	}
	again := router() // alone was killed, and its successor need not wait for the lease
	if err := again.Join(t.Context(), Unreachable("a")); err != nil {
		t.Error(err)
	}
	if err := again.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := second.Join(t.Context(), "127.0.0.1:1"); err != nil {
		t.Error(err)
	}
	if err := errors.Join(second.Leave(t.Context()), second.Leave(t.Context()), alone.Leave(t.Context())); err != nil {
		t.Error(err)
	}
}

// What a delivery says to some of its users it says to each gateway, fields that come later included.
func TestNarrowedDeliveryKeepsEverything(t *testing.T) {
	t.Parallel()
	whole := &gatewaypb.Delivery{}
	fields := whole.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		d := fields.Get(i)
		switch {
		case d.ContainingOneof() != nil || d.Name() == "user_ids" || d.Name() == "attach_user_ids" || d.Name() == "detach_user_ids":
		case d.Name() == "interested": // has no users to choose from
		case d.Kind() == protoreflect.BoolKind:
			whole.ProtoReflect().Set(d, protoreflect.ValueOfBool(true))
		case d.Kind() == protoreflect.MessageKind:
			whole.ProtoReflect().Set(d, protoreflect.ValueOfMessage(whole.ProtoReflect().NewField(d).Message()))
		default:
			t.Errorf("say what narrowed does with %s", d.Name())
		}
	}
	whole.Body, whole.UserIds = message(1, 2).GetBody(), []int64{3}
	if got := narrowed(whole, []int64{3}); !proto.Equal(got, whole) {
		t.Errorf("narrowed to %v, want %v", got, whole)
	}
}

func within(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !condition(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// deaf is the registration at a registry that cannot be reached any more.
type deaf struct{ registry.Registration }

func (deaf) Leave(context.Context) error { return errs.New(errs.Unavailable, "the registry is lost") }

// A gateway that stops while the registry is lost stops in order.
func TestLeavingALostRegistry(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	r := NewRouter(registry.NewEmbedded(), newOrderFixture(t, nil).hub, nil, log, nil)
	defer r.Close()
	r.local.announce.Store(newAnnouncer(deaf{}, log))
	if err := r.Leave(t.Context()); err != nil {
		t.Errorf("Leave: %v", err)
	}
}
