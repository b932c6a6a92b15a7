package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/fetch"
)

const (
	// fetchMost bounds the records of one answer, in bytes.
	fetchMost = 32 << 20
	// crowdedWait is how long a broker holds a request that leaves out partitions
	// for want of room: they may have it again before any other has records.
	crowdedWait = 20 * time.Millisecond
)

// fetch asks the leaders of some partitions for their records until ctx ends. It
// asks one itself and leaves those of others to goroutines of their own, which
// do the same: a leader that is away keeps nobody waiting.
func (s *share) fetch(ctx context.Context, parts []*partition) {
	for tries := 0; ctx.Err() == nil; tries++ {
		groups, err := s.c.bus.byLeader(ctx, s.c.name, parts)
		if err == nil {
			for _, group := range groups[1:] {
				s.fetchers.Go(func() { s.fetch(ctx, group) })
			}
			parts = groups[0]
			err = s.fetchFrom(ctx, parts, func() { tries = 0 })
		}
		if ctx.Err() == nil {
			s.c.bus.health.bad(err)
			s.c.bus.pause(ctx, tries)
		}
	}
}

// byLeader sorts partitions of a topic by the broker that leads them. Those that
// nobody leads are a group too.
func (b *Bus) byLeader(ctx context.Context, topic string, parts []*partition) ([][]*partition, error) {
	leaders, err := b.leaders(ctx, topic)
	if err != nil {
		return nil, err
	}
	var groups [][]*partition
	at := map[int]int{} // leader to its group
	for _, p := range parts {
		leader, ok := leaders[p.id]
		if !ok {
			leader = -1
		}
		i, ok := at[leader]
		if !ok {
			i = len(groups)
			at[leader] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], p)
	}
	return groups, nil
}

// fetchFrom asks one leader until something fails, and calls good after each answer.
func (s *share) fetchFrom(ctx context.Context, parts []*partition, good func()) error {
	for {
		some, room := s.withRoom(parts)
		if len(some) == 0 {
			select {
			case <-room:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		wait := s.c.bus.cfg.FetchWait
		if len(some) < len(parts) {
			wait = min(wait, crowdedWait)
		}
		if err := s.request(ctx, some, wait); err != nil {
			return err
		}
		s.c.bus.health.good()
		good()
	}
}

// request asks for the records of partitions with one leader, once.
func (s *share) request(ctx context.Context, parts []*partition, wait time.Duration) error {
	cfg := &s.c.bus.cfg
	ctx, cancel := context.WithTimeout(ctx, wait+cfg.RequestTimeout)
	defer cancel()
	if err := s.c.resolve(ctx, parts); err != nil {
		return err
	}
	asked := make(map[int32]*partition, len(parts))
	topic := fetch.RequestTopic{Topic: s.c.name, Partitions: make([]fetch.RequestPartition, len(parts))}
	for i, p := range parts {
		asked[int32(p.id)] = p                        //nolint:gosec // as Kafka numbers them
		topic.Partitions[i] = fetch.RequestPartition{ // no epoch and no start of the log: this is no replica
			Partition: int32(p.id), CurrentLeaderEpoch: -1, FetchOffset: p.next, LogStartOffset: -1, PartitionMaxBytes: int32(cfg.FetchBytes), //nolint:gosec // as above
		}
	}
	m, err := s.c.bus.transport.RoundTrip(ctx, s.c.bus.client.Addr, &fetch.Request{
		ReplicaID: -1, MaxWaitTime: int32(wait.Milliseconds()), MinBytes: 1, MaxBytes: int32(min(len(parts)*cfg.FetchBytes, fetchMost)), //nolint:gosec // validated
		SessionID: -1, SessionEpoch: -1, Topics: []fetch.RequestTopic{topic}, // no session: each request says all
	})
	if err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	answer, ok := m.(*fetch.Response)
	if !ok {
		return fmt.Errorf("fetch: the broker answers with %T", m)
	}
	if answer.ErrorCode != 0 {
		return fmt.Errorf("fetch: %w", kafka.Error(answer.ErrorCode))
	}
	for i := range answer.Topics {
		for j := range answer.Topics[i].Partitions {
			of := &answer.Topics[i].Partitions[j]
			if p := asked[of.Partition]; p != nil {
				err = errors.Join(err, s.answered(p, of))
			}
		}
	}
	return err
}

// answered takes a partition's part of an answer.
func (s *share) answered(p *partition, of *fetch.ResponsePartition) error {
	if code := kafka.Error(of.ErrorCode); errors.Is(code, kafka.OffsetOutOfRange) {
		s.c.log.Error("the broker no longer has the records that come next: going on with its first one",
			slog.Int("partition", p.id), slog.Int64("offset", p.next))
		p.next = kafka.FirstOffset
		return nil
	} else if code != 0 {
		return fmt.Errorf("fetch partition %d: %w", p.id, code)
	}
	if p.again < 0 {
		p.again = of.HighWatermark // what came later nobody had but this process
	}
	records, err := p.read(of.RecordSet.Records)
	if len(records) > 0 {
		p.next = records[len(records)-1].offset + 1
		s.add(p, records)
	}
	p.saw(of.HighWatermark)
	return err
}

// read returns the records from the one that is next, and what ended them early.
func (p *partition) read(from kafka.RecordReader) (records []fetched, err error) {
	for from != nil {
		r, err := from.ReadRecord()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return records, fmt.Errorf("read records of partition %d: %w", p.id, err)
		}
		f := fetched{from: p, offset: r.Offset, at: r.Time, headers: r.Headers}
		if f.key, err = readBytes(r.Key); err == nil {
			f.value, err = readBytes(r.Value)
		}
		if err != nil {
			return records, fmt.Errorf("read records of partition %d: %w", p.id, err)
		}
		if r.Offset >= p.next { // not of a stored batch that began before
			records = append(records, f)
		}
	}
	return records, nil
}

// readBytes copies a key or value and gives the library's page below it back,
// which has 64 KiB however little was stored at once.
func readBytes(b kafka.Bytes) ([]byte, error) {
	if b == nil {
		return nil, nil
	}
	defer b.Close()
	return kafka.ReadAll(b)
}

// resolve finds the offset of the first record where it is not known.
func (c *consumer) resolve(ctx context.Context, parts []*partition) error {
	var unknown []kafka.OffsetRequest
	for _, p := range parts {
		if p.next < 0 {
			unknown = append(unknown, kafka.FirstOffsetOf(p.id))
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	answer, err := c.bus.client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{c.name: unknown}})
	if err != nil {
		return fmt.Errorf("find the first offset: %w", err)
	}
	first := map[int]int64{}
	for _, of := range answer.Topics[c.name] {
		if of.Error != nil {
			return fmt.Errorf("find the first offset of partition %d: %w", of.Partition, of.Error)
		}
		first[of.Partition] = of.FirstOffset
	}
	for _, p := range parts {
		if offset, ok := first[p.id]; ok && p.next < 0 {
			p.next = offset
			p.starts(offset)
		}
	}
	return nil
}
