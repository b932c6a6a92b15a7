package kafka

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/gochat-im/gochat/platform/bus"
)

const (
	// commitEvery is how long an offset waits for those of other batches: what a
	// process that dies had done in that time comes again.
	commitEvery = 100 * time.Millisecond
	// commitSoon is how long it waits when something is to be called after it.
	commitSoon = 5 * time.Millisecond
)

// committer tells the group how far a generation's partitions are. It is shared
// by all of them: a batch waits for no commit.
type committer struct {
	c         *consumer
	group     *kafka.Generation
	owned     map[int]*partition
	committed map[int]int64 // offsets that the group has, as partition.finished returns them
	working   context.Context
	due       chan struct{} // capacity 1: something is to be called

	mu    sync.Mutex // guards after
	after []*bus.After
}

func newCommitter(c *consumer, g *kafka.Generation, owned map[int]*partition, working context.Context) *committer {
	k := &committer{c: c, group: g, owned: owned, committed: make(map[int]int64, len(owned)), working: working, due: make(chan struct{}, 1)}
	for id, p := range owned {
		k.committed[id] = p.finished()
	}
	return k
}

// run commits until ctx ends or a commit fails.
func (k *committer) run(ctx context.Context) {
	ticker := time.NewTicker(commitEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-k.due:
			select {
			case <-ctx.Done():
				return
			case <-time.After(commitSoon):
			}
		}
		if !k.commit() {
			return
		}
	}
}

// add takes what is to be called once a batch's offsets, which are known
// already, are committed.
func (k *committer) add(after *bus.After) {
	if after.Empty() {
		return
	}
	k.mu.Lock()
	k.after = append(k.after, after)
	k.mu.Unlock()
	select {
	case k.due <- struct{}{}:
	default:
	}
}

// call calls what was to be called after a commit. Nobody waits for it but the
// end of the bus.
func (k *committer) call(all []*bus.After) {
	if len(all) == 0 {
		return
	}
	k.c.bus.readers.Go(func() {
		for _, after := range all {
			after.Call(k.working)
		}
	})
}

// commit stores the offsets that have changed, and reports whether the group has them all.
func (k *committer) commit() bool {
	after := k.takeAfter()
	offsets := map[int]int64{}
	for id, p := range k.owned {
		if next := p.finished(); next > k.committed[id] {
			offsets[id] = next
		}
	}
	if len(offsets) == 0 {
		k.call(after)
		return true
	}
	if err := k.group.CommitOffsets(map[string]map[int]int64{k.c.name: offsets}); err != nil {
		k.failed(err)
		return false
	}
	maps.Copy(k.committed, offsets)
	k.call(after)
	return true
}

// takeAfter returns what is to be called after a commit of what is done by now.
func (k *committer) takeAfter() []*bus.After {
	k.mu.Lock()
	defer k.mu.Unlock()
	after := k.after
	k.after = nil
	return after
}

func (k *committer) failed(err error) {
	tell := k.c.log.Warn
	if passing(err) {
		tell = k.c.log.Debug
	}
	tell("offsets not committed: what was handled may come again", slog.Int("partitions", len(k.owned)), slog.Any("error", err))
}

// passing reports whether an error belongs to an ordinary moment of a cluster: a
// topic that was just made, a partition that changes its leader, a group that
// shares its partitions anew.
func passing(err error) bool {
	for _, ordinary := range []kafka.Error{
		kafka.UnknownTopicOrPartition, kafka.LeaderNotAvailable, kafka.NotLeaderForPartition,
		kafka.GroupLoadInProgress, kafka.GroupCoordinatorNotAvailable, kafka.NotCoordinatorForGroup,
		kafka.RebalanceInProgress, kafka.IllegalGeneration, kafka.UnknownMemberId,
	} {
		if errors.Is(err, ordinary) {
			return true
		}
	}
	return false
}
