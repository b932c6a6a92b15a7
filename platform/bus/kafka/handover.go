package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/segmentio/kafka-go"
)

// handedOver is committed as the metadata of an offset by an owner that gives a
// partition up in order: nothing beyond the offset was in hand. Without it the
// owner may have died with some, and what the broker has by then comes again,
// perhaps.
const handedOver = "handed over"

// takeOver finds out how the partitions were left, and commits that they have an
// owner: without a mark, should this process die. Where nothing was committed
// nobody has come so far before.
func (k *committer) takeOver(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, k.c.bus.cfg.RequestTimeout)
	defer cancel()
	answer, err := k.c.bus.client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{
		GroupID: k.group.GroupID, Topics: map[string][]int{k.c.name: slices.Sorted(maps.Keys(k.owned))},
	})
	if err == nil {
		err = answer.Error
	}
	if err != nil {
		return fmt.Errorf("look up how partitions were left: %w", err)
	}
	var mine []kafka.OffsetCommit
	var fresh []*partition
	for _, of := range answer.Topics[k.c.name] {
		p := k.owned[of.Partition]
		switch {
		case of.Error != nil:
			return fmt.Errorf("look up how partition %d was left: %w", of.Partition, of.Error)
		case p == nil:
		case of.Metadata == handedOver:
			p.again = 0
			mine = append(mine, kafka.OffsetCommit{Partition: of.Partition, Offset: of.CommittedOffset})
		case of.CommittedOffset < 0:
			p.again = 0
			fresh = append(fresh, p)
		}
	}
	if err := k.c.resolve(ctx, fresh); err != nil {
		return err
	}
	for _, p := range fresh {
		mine = append(mine, kafka.OffsetCommit{Partition: p.id, Offset: p.next})
	}
	return k.store(ctx, mine)
}

// handOver commits what is done for the last time, and says so.
func (k *committer) handOver(ctx context.Context) {
	after := k.takeAfter()
	var last []kafka.OffsetCommit
	for id, p := range k.owned {
		if next := p.finished(); next >= 0 {
			mark := handedOver
			if p.torn {
				mark = ""
			}
			last = append(last, kafka.OffsetCommit{Partition: id, Offset: next, Metadata: mark})
		}
	}
	ctx, cancel := context.WithTimeout(ctx, k.c.bus.cfg.RequestTimeout)
	defer cancel()
	if err := k.store(ctx, last); err != nil {
		k.failed(err)
		return
	}
	k.call(after)
}

// store commits offsets with their metadata.
func (k *committer) store(ctx context.Context, offsets []kafka.OffsetCommit) error {
	if len(offsets) == 0 {
		return nil
	}
	answer, err := k.c.bus.client.OffsetCommit(ctx, &kafka.OffsetCommitRequest{
		GroupID: k.group.GroupID, GenerationID: int(k.group.ID), MemberID: k.group.MemberID,
		Topics: map[string][]kafka.OffsetCommit{k.c.name: offsets},
	})
	if err != nil {
		return fmt.Errorf("commit offsets: %w", err)
	}
	for _, of := range answer.Topics[k.c.name] {
		if of.Error != nil {
			return fmt.Errorf("commit the offset of partition %d: %w", of.Partition, of.Error)
		}
	}
	return nil
}
