package gateway

import (
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
)

// orderFixture is a hub with one connection of user 7 that nobody writes out.
type orderFixture struct {
	*testing.T
	hub *Hub
	c   *conn
}

func newOrderFixture(t *testing.T, change func(*OrderConfig)) *orderFixture {
	t.Helper()
	cfg := DefaultConfig()
	cfg.WebSocket.QueueBodyBytes, cfg.WebSocket.QueueMaxBytes = 1<<30, 1<<30
	if change != nil {
		change(&cfg.Order)
	}
	f := &orderFixture{T: t, hub: NewHub(cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry())}
	f.c = f.connect(7)
	return f
}

func (f *orderFixture) connect(user int64) *conn {
	c := &conn{id: f.hub.nextID(), hub: f.hub, wheelSlot: noSlot, scheduled: true}
	f.hub.add(c)
	f.hub.register(c, user, 1, 0)
	return c
}

func (f *orderFixture) deliver(deliveries ...*gatewaypb.Delivery) {
	f.Helper()
	if _, err := f.hub.Deliver(f.Context(), &gatewaypb.DeliverRequest{Deliveries: deliveries}); err != nil {
		f.Fatal(err)
	}
}

// seqs delivers a conversation's events to user 7.
func (f *orderFixture) seqs(conversation int64, seqs ...int64) {
	f.Helper()
	for _, seq := range seqs {
		f.deliver(message(conversation, seq, 7))
	}
}

func (c *conn) queuedSeqs(conversation int64) (seqs []int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.queue == nil {
		return nil
	}
	for _, f := range c.queue.frames {
		if f.conversation == conversation {
			seqs = append(seqs, f.seq)
		}
	}
	return seqs
}

func (f *orderFixture) want(conversation int64, want ...int64) {
	f.Helper()
	if got := f.c.queuedSeqs(conversation); !slices.Equal(got, want) {
		f.Fatalf("delivered %v, want %v", got, want)
	}
}

func (f *orderFixture) counted(what string, c prometheus.Counter, want float64) {
	f.Helper()
	if got := testutil.ToFloat64(c); got != want {
		f.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestOrderHoldsWhatComesAboveAGap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newOrderFixture(t, nil)
		f.seqs(42, 5, 8, 7, 7, 9)
		f.want(42, 5)
		f.seqs(43, 1) // another conversation waits for nothing
		f.want(43, 1)
		time.Sleep(100 * time.Millisecond)
		f.seqs(42, 6)
		f.want(42, 5, 6, 7, 8, 9)
		time.Sleep(time.Second) // the timer finds nothing left
		f.seqs(42, 10)
		f.want(42, 5, 6, 7, 8, 9, 10)
		f.counted("held", f.hub.order.metrics.held, 3)
		f.counted("repeated", f.hub.order.metrics.repeated, 1)
		f.counted("gaps", f.hub.order.metrics.gaps, 0)
		if f.hub.order.bytes != 0 || f.hub.order.first != nil || f.hub.order.last != nil {
			t.Errorf("%d bytes are left", f.hub.order.bytes)
		}
	})
}

func TestOrderWaitsForAGapOnlyAMoment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newOrderFixture(t, nil)
		f.seqs(42, 1, 3)
		time.Sleep(200 * time.Millisecond)
		f.seqs(42, 4, 6)
		time.Sleep(99 * time.Millisecond)
		f.want(42, 1)
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		f.want(42, 1, 3, 4) // 6 has its own moment
		f.seqs(42, 2)       // late: not lost for who does not pull
		f.want(42, 1, 3, 4, 2)
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		f.want(42, 1, 3, 4, 2, 6)
		f.seqs(42, 5, 5, 2, 7)
		f.want(42, 1, 3, 4, 2, 6, 5, 7)
		f.counted("gaps", f.hub.order.metrics.gaps, 2)
		f.counted("late", f.hub.order.metrics.late, 2)
		f.counted("repeated", f.hub.order.metrics.repeated, 2)
	})
}

func TestOrderDoesNotWaitWhereNobodyWas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newOrderFixture(t, nil)
		f.seqs(42, 1000) // the position is not known
		f.want(42, 1000)
		time.Sleep(staleAfter)
		f.seqs(42, 2000) // known, but too old to say anything
		f.want(42, 1000, 2000)
		f.seqs(42, 1000)
		f.want(42, 1000, 2000)
	})
}

func TestOrderDropsARepeatedBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newOrderFixture(t, nil)
		var want []int64
		for seq := int64(1); seq <= 500; seq++ {
			want = append(want, seq)
		}
		f.seqs(42, want...)
		time.Sleep(rememberFor / 2)
		f.seqs(42, want...)
		f.want(42, want...)
		f.counted("repeated", f.hub.order.metrics.repeated, 500)
	})
}

// A removed member's own copy is there at once and stands for nothing else.
func TestOrderLetsPrivateCopiesPass(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newOrderFixture(t, nil)
		other := f.connect(8)
		f.deliver(message(42, 1, 7, 8))
		private := message(42, 3, 7)
		private.Private, private.DetachUserIds = true, []int64{7}
		f.deliver(private)
		f.want(42, 3) // 1 was queued still: who has left gets nothing more
		removal := message(42, 3, 8)
		removal.DetachUserIds = []int64{7}
		f.deliver(removal, message(42, 2, 7, 8), message(42, 4, 8))
		f.want(42, 3)
		if got := other.queuedSeqs(42); !slices.Equal(got, []int64{1, 2, 3, 4}) {
			t.Errorf("the others got %v", got)
		}
	})
}

// What an event says about members counts although it is not sent again.
func TestOrderKeepsMembershipOfARepeatedEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newOrderFixture(t, nil)
		f.seqs(42, 1, 2)
		removal := message(42, 2)
		removal.DetachUserIds = []int64{7}
		f.deliver(removal, message(42, 3, 7))
		f.want(42, 2)
	})
}

func TestOrderIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newOrderFixture(t, func(c *OrderConfig) { c.HoldBytes = 3 * (heldOverhead + 20) })
		f.seqs(42, 1, 4, 3)
		f.seqs(50, 1, 3)
		f.want(42, 1)
		f.seqs(42, 6) // no room: what is below goes first
		f.want(42, 1, 3, 4, 6)
		f.want(50, 1)
		f.seqs(50, 2)
		f.want(50, 1, 2, 3)
		f.seqs(42, 5, 2, 7)
		f.want(42, 1, 3, 4, 6, 5, 2, 7)
		f.counted("gaps", f.hub.order.metrics.gaps, 2)
	})
}

func TestOrderForgetsIdlePositions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const bound = 6400
		f := newOrderFixture(t, func(c *OrderConfig) { c.Positions = bound })
		f.seqs(42, 1, 3) // waits: it must not be forgotten
		for c := range int64(20 * bound) {
			p := f.hub.order.acquire(100+c, time.Now())
			p.refs.Add(-1)
		}
		n := 0
		for i := range f.hub.order.shards {
			s := &f.hub.order.shards[i]
			n += len(s.young) + len(s.old)
		}
		if n > bound+2 {
			t.Errorf("%d positions, want at most %d", n, bound)
		}
		f.seqs(42, 2)
		f.want(42, 1, 2, 3)
	})
}

// Several callers deliver the neighbours of the same conversations, some of
// them more than once: each socket gets 1, 2, 3….
func TestOrderOfConcurrentCallers(t *testing.T) {
	t.Parallel()
	const conversations, callers, last = 3, 4, 2000
	f := newOrderFixture(t, func(c *OrderConfig) { c.HoldFor = 10 * time.Second })
	other := f.connect(8)
	for c := range int64(conversations) {
		f.deliver(message(c+1, 1, 7, 8))
	}
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(caller), 7))
			for seq := int64(2); seq <= last; seq++ {
				for c := range int64(conversations) {
					if int(seq)%callers == caller || rng.IntN(4) == 0 {
						f.deliver(message(c+1, seq, 7, 8))
					}
				}
			}
		})
	}
	wg.Wait()
	want := make([]int64, last)
	for i := range want {
		want[i] = int64(i) + 1
	}
	for c := range int64(conversations) {
		f.want(c+1, want...)
		if !slices.Equal(other.queuedSeqs(c+1), want) {
			t.Error("the other user got another order")
		}
	}
}

// A position answers like a set of everything that was delivered, as far as it remembers.
func TestPositionRemembersWhatWasDelivered(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 3))
		p, delivered := &position{}, map[int64]bool{}
		next := int64(1000)
		for range 1000 {
			seq := next
			switch rng.IntN(4) {
			case 0:
				seq = next - rng.Int64N(60) - 1
			case 1:
				seq = next + rng.Int64N(4)
			}
			got := p.judge(seq, now, time.Hour)
			if wasDelivered := got == dropRepeated; p.last != 0 && p.last-seq <= 64 && wasDelivered != delivered[seq] {
				t.Fatalf("seed %d: seq %d after %d: %v, was delivered: %v", seed, seq, p.last, got, delivered[seq])
			}
			if got != dropRepeated {
				p.note(seq, now)
				delivered[seq] = true
				next = max(next, seq+1)
			}
		}
	}
}

// Two tasks have each every second event of a conversation.
func TestTwoTasksDeliverOneConversation(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) { c.Order.HoldFor = 10 * time.Second })
	a, b := h.connect(7, 70), h.connect(8, 80)
	h.deliver(message(42, 1, 7, 8))
	const last = 401
	var tasks sync.WaitGroup
	for first := int64(2); first <= 3; first++ {
		tasks.Go(func() {
			for seq := first; seq <= last; seq += 2 {
				_, _ = h.role.Deliver(t.Context(), &gatewaypb.DeliverRequest{Deliveries: []*gatewaypb.Delivery{message(42, seq, 7, 8)}})
			}
		})
	}
	tasks.Wait()
	for seq := 1; seq <= last; seq++ {
		for _, c := range []*client{a, b} {
			if r := c.expect("message"); r.num("seq") != seq {
				t.Fatalf("seq %d, want %d", r.num("seq"), seq)
			}
		}
	}
	a.nothing()
}
