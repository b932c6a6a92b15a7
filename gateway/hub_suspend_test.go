package gateway

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
)

func suspending(conversation int64, ended bool, users ...int64) *gatewaypb.Delivery {
	return &gatewaypb.Delivery{
		Body:    &gatewaypb.Delivery_Suspension{Suspension: &gatewaypb.Suspension{ConversationId: conversation, Ended: ended}},
		UserIds: users,
	}
}

// removal is what logic tells a removed member.
func removal(conversation, seq int64, user int64) *gatewaypb.Delivery {
	d := message(conversation, seq, user)
	d.Private, d.DetachUserIds = true, []int64{user}
	return d
}

// What is stored after a removal never reaches who was removed, although the
// sockets hear of it first: also by the index of a large group.
func TestSuspensionKeepsWhatFollowsARemoval(t *testing.T) {
	t.Parallel()
	for name, large := range map[string]bool{"small": false, "large": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newOrderFixture(t, nil)
				if large {
					f.hub.addToIndex(f.c, 42)
				}
				event := func(seq int64) *gatewaypb.Delivery {
					d := message(42, seq, 7)
					if d.Interested = large; large {
						d.UserIds = nil
					}
					return d
				}
				f.deliver(suspending(42, false, 7))
				f.deliver(event(6), message(43, 1, 7))
				late := f.connect(7) // in the middle of it
				if large {
					f.hub.addToIndex(late, 42)
				}
				f.deliver(event(7))
				f.want(42)
				f.want(43, 1)
				f.deliver(removal(42, 5, 7))
				f.want(42, 5)
				f.deliver(event(8))
				f.want(42, 5)
				if got := late.queuedSeqs(42); !slices.Equal(got, []int64{5}) {
					t.Errorf("the later connection got %v", got)
				}
				back := message(42, 9, 7)
				back.AttachUserIds, back.Index = []int64{7}, large
				f.deliver(back, event(10))
				f.want(42, 5, 9, 10)
			})
		})
	}
}

func TestSuspensionThatEndsLetsOutWhatWasKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newOrderFixture(t, nil)
		f.deliver(suspending(42, false, 7), suspending(42, false, 7)) // two want to remove the member
		f.seqs(42, 1, 2)
		f.deliver(suspending(42, true, 7))
		f.want(42)
		f.deliver(suspending(42, true, 7), suspending(42, true, 7))
		f.want(42, 1, 2)
		f.seqs(42, 3)
		f.want(42, 1, 2, 3)
		if n := f.hub.suspensions.any.Load(); n != 0 || len(f.hub.suspensions.known) != 0 || f.c.suspended != nil || f.c.decidedBy != 0 {
			t.Errorf("%d suspensions are left, %v until %d", n, f.c.suspended, f.c.decidedBy)
		}
	})
}

// The second of two removals is refused while the first is not announced yet.
func TestSuspensionOfTwoRemovals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newOrderFixture(t, nil)
		f.deliver(suspending(42, false, 7), suspending(42, false, 7))
		f.seqs(42, 6)
		f.deliver(suspending(42, true, 7), removal(42, 5, 7))
		f.want(42, 5)
	})
}

// One user is removed from two groups at once: neither removal undoes the other's suspension.
func TestSuspensionsOfTwoConversations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newOrderFixture(t, nil)
		f.deliver(suspending(42, false, 7))
		f.seqs(42, 1)
		f.deliver(suspending(43, false, 7))
		f.seqs(42, 2)
		f.seqs(43, 1)
		f.want(42)
		f.want(43)
		f.deliver(suspending(43, true, 7))
		f.want(42)
		f.want(43, 1)
		f.deliver(suspending(42, true, 7))
		f.want(42, 1, 2)
	})
}

func TestSuspensionWithoutAnEndClosesTheSocket(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newOrderFixture(t, nil)
		f.deliver(suspending(42, false, 7))
		f.seqs(42, 1)
		begun := time.Now()
		f.c.lastRead.Store(begun.UnixMilli())
		if next := f.hub.alarm(f.c, begun.UnixMilli()); next != begun.Add(suspendFor).UnixMilli() {
			t.Errorf("looked at again at %d, want %d", next, begun.Add(suspendFor).UnixMilli())
		}
		f.c.lastRead.Store(begun.Add(suspendFor).UnixMilli())
		f.hub.alarm(f.c, begun.Add(suspendFor).UnixMilli())
		f.want(42)
		if f.c.closeCode != codeGap {
			t.Errorf("code %d", f.c.closeCode)
		}
	})
}

func TestSuspensionIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newOrderFixture(t, nil)
		f.hub.cfg.WebSocket.QueueBodyBytes = 1000
		f.deliver(suspending(42, false, 7))
		f.seqs(42, 1)
		if f.c.closing {
			t.Fatal("closed at once")
		}
		f.deliver(big(42, 2, 7))
		if f.c.closeCode != codeGap {
			t.Errorf("code %d", f.c.closeCode)
		}
	})
}
