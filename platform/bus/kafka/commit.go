package kafka

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"time"

	"github.com/segmentio/kafka-go"
)

// commitEvery is how long an offset waits for those of other batches: what a
// process that dies had done in that time comes again.
const commitEvery = 100 * time.Millisecond

// committer tells the group how far a generation's partitions are. It is shared
// by all of them: a batch waits for no commit.
type committer struct {
	c         *consumer
	group     *kafka.Generation
	owned     map[int]*partition
	committed map[int]int64 // offsets that the group has, as partition.finished returns them
}

func newCommitter(c *consumer, g *kafka.Generation, owned map[int]*partition) *committer {
	k := &committer{c: c, group: g, owned: owned, committed: make(map[int]int64, len(owned))}
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
			if !k.commit() {
				return
			}
		}
	}
}

// commit stores the offsets that have changed, and reports whether the group has them all.
func (k *committer) commit() bool {
	offsets := map[int]int64{}
	for id, p := range k.owned {
		if next := p.finished(); next > k.committed[id] {
			offsets[id] = next
		}
	}
	if len(offsets) == 0 {
		return true
	}
	if err := k.group.CommitOffsets(map[string]map[int]int64{k.c.name: offsets}); err != nil {
		tell := k.c.log.Warn
		if passing(err) {
			tell = k.c.log.Debug
		}
		tell("offsets not committed: what was handled will come again",
			slog.Int("partitions", len(offsets)), slog.Any("error", err))
		return false
	}
	maps.Copy(k.committed, offsets)
	return true
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
