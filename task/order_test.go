package task

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gochat-im/gochat/repo/repopb"
	"github.com/gochat-im/gochat/task/taskpb"
)

// Messages, retries and events of other roles, whose records come late, twice
// or in any order among each other: each conversation is delivered 1,2,3….
func TestDeliveryIsInOrderCompleteAndOnce(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		f := newFixture(t, nil)
		conversations := []int64{11, 12, 13}
		var keys []*taskpb.Persist
		for _, c := range conversations {
			f.store.group(c, 1, 2)
			f.persistAll(t, message(c, 1, fmt.Sprint("first", c))) // its position is known from here on
		}
		var late []*taskpb.Persist // committed, not published yet
		for step := range 60 {
			var batch []*taskpb.Persist
			for range rng.IntN(8) {
				c := conversations[rng.IntN(len(conversations))]
				switch rng.IntN(4) {
				case 0:
					late = append(late, committed(f.store.commit(c, repopb.EventKind_EVENT_KIND_EDIT)))
				case 1:
					if len(keys) > 0 {
						batch = append(batch, keys[rng.IntN(len(keys))])
					}
				default:
					m := message(c, 1, fmt.Sprint(step, "-", len(keys)))
					keys = append(keys, m)
					batch = append(batch, m)
				}
			}
			rng.Shuffle(len(late), func(i, j int) { late[i], late[j] = late[j], late[i] })
			n := rng.IntN(len(late) + 1)
			batch = append(batch, late[:n]...)
			if rng.IntN(4) > 0 {
				late = late[n:] // otherwise they come again
			}
			rng.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
			f.persistAll(t, batch...)
		}
		f.persistAll(t, late...)
		for _, c := range conversations {
			got := f.sockets.seqs(c)
			want := make([]int64, len(f.store.logs[c]))
			for i := range want {
				want[i] = int64(i) + 1
			}
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d, conversation %d: delivered %v, want 1 to %d", seed, c, got, len(want))
			}
		}
	}
}

func TestHoleThatIsTooLargeIsLeftToClients(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *Config) { c.Persist.MaxHole = 5 })
	f.store.group(7, 1, 2)
	f.persistAll(t, message(7, 1, "a"))
	for range 6 {
		f.store.commit(7, repopb.EventKind_EVENT_KIND_EDIT)
	}
	f.persistAll(t, message(7, 1, "b"), message(7, 1, "c"))
	equal(t, "delivered", f.sockets.seqs(7), []int64{1, 8, 9})
}

func TestUnknownConversationIsDeliveredAsItIs(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.store.group(7, 1, 2)
	for range 6 {
		f.store.commit(7, repopb.EventKind_EVENT_KIND_EDIT)
	}
	f.persistAll(t, message(7, 1, "a"))
	equal(t, "delivered", f.sockets.seqs(7), []int64{7})
}

func TestOrderIsBoundedAndNeverMovesBack(t *testing.T) {
	t.Parallel()
	const bound = 6400
	o := newOrder(bound)
	for c := range int64(20 * bound) {
		o.delivered(c, c+1)
		o.delivered(1<<40, c+1) // used all the time: it is kept
	}
	if n := o.size(); n > bound {
		t.Errorf("%d entries, want at most %d", n, bound)
	}
	if last, ok := o.last(1 << 40); !ok || last != 20*bound {
		t.Errorf("busy conversation = %d, %v", last, ok)
	}
	if _, ok := o.last(1); ok {
		t.Error("the oldest conversation was kept")
	}
	o.delivered(1<<40, 3)
	if last, _ := o.last(1 << 40); last != 20*bound {
		t.Errorf("moved back to %d", last)
	}
}
