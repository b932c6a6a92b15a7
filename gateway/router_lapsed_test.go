package gateway

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/platform/registry"
)

// forgetful is a registry that does not name an instance any more: its lease has ended.
type forgetful struct {
	registry.Registry
	mu   sync.Mutex // guards lost
	lost string
}

func (f *forgetful) lose(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lost = id
}

func (f *forgetful) without(list []registry.Instance) []registry.Instance {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(list), func(i registry.Instance) bool { return i.ID == f.lost })
}

func (f *forgetful) Instances(ctx context.Context, kind string) []registry.Instance {
	return f.without(f.Registry.Instances(ctx, kind))
}

func (f *forgetful) Lookup(ctx context.Context, kind, space string, keys []int64) registry.Found {
	found := f.Registry.Lookup(ctx, kind, space, keys)
	for i, list := range found.Instances {
		found.Instances[i] = f.without(list)
	}
	return found
}

// A gateway whose lease ended while it can be reached serves its sockets, and a disconnect closes them.
func TestRouterKeepsALapsedGateway(t *testing.T) {
	t.Parallel()
	reg := &forgetful{Registry: registry.NewEmbedded()}
	f := newGatesOn(t, reg)
	here, there := f.a.user(1), f.b.user(1)
	f.route(f.task, &gatewaypb.DeliverRequest{Deliveries: []*gatewaypb.Delivery{message(5, 1, 1)}})
	reg.lose(f.b.hub.id)
	newcomer := f.b.user(2)
	f.b.hub.addToIndex(newcomer, 6)
	large := message(6, 1)
	large.Interested = true
	f.route(f.task, &gatewaypb.DeliverRequest{Deliveries: []*gatewaypb.Delivery{message(5, 2, 1, 2), large}})
	wantSeqs(t, "on a", here, 5, 1, 2)
	wantSeqs(t, "on the lapsed one", there, 5, 1, 2)
	wantSeqs(t, "a newcomer on the lapsed one", newcomer, 5, 2)
	wantSeqs(t, "a newcomer on the lapsed one", newcomer, 6, 1)
	stats, err := f.task.Stats(t.Context(), &gatewaypb.StatsRequest{OnlineOf: []int64{2}})
	if err != nil || !slices.Equal(stats.GetOnline(), []int64{2}) {
		t.Errorf("online: %v, %v", stats, err)
	}
	closed, err := f.task.Disconnect(t.Context(), &gatewaypb.DisconnectRequest{UserId: 1})
	if err != nil || closed.GetClosed() != 2 {
		t.Errorf("disconnected %v, %v; want both sockets", closed, err)
	}
	// One that does not answer either is dead, and nobody waits for it.
	f.b.broken.Store(true)
	if _, err := f.task.Disconnect(t.Context(), &gatewaypb.DisconnectRequest{UserId: 2}); err != nil {
		t.Error(err)
	}
	f.b.broken.Store(false)
	if closed, err = f.task.Disconnect(t.Context(), &gatewaypb.DisconnectRequest{UserId: 2}); err != nil || closed.GetClosed() != 0 {
		t.Errorf("a dead gateway was asked: %v, %v", closed, err)
	}
	reg.lose("") // it renewed its lease
	if closed, err = f.task.Disconnect(t.Context(), &gatewaypb.DisconnectRequest{UserId: 2}); err != nil || closed.GetClosed() != 1 {
		t.Errorf("after it is back: %v, %v", closed, err)
	}
}
