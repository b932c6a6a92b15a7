package kafka

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/initproducerid"
)

// identity is what a broker knows a lane by. With it and a number that counts
// on, the broker stores each batch once, however often it is sent: Kafka's
// idempotent producer (KIP-98). The library cannot do that by itself: the batch
// is encoded here, and stamped.
type identity struct {
	id    int64
	epoch int16
	next  int32 // number of the record that is stored next
}

// stored counts on.
func (i *identity) stored(records int) {
	next := int64(i.next) + int64(records)
	if next > math.MaxInt32 { // as the brokers count: 0 comes after the largest
		next -= math.MaxInt32 + 1
	}
	i.next = int32(next) //nolint:gosec // see above
}

// identify asks for a new identity.
func (b *Bus) identify(ctx context.Context) (identity, error) {
	m, err := b.transport.RoundTrip(ctx, b.client.Addr, &identityRequest{})
	if err != nil {
		return identity{}, fmt.Errorf("get a producer id: %w", err)
	}
	answer, ok := m.(*initproducerid.Response)
	if !ok {
		return identity{}, fmt.Errorf("get a producer id: the broker answers with %T", m)
	}
	if answer.ErrorCode != 0 {
		return identity{}, fmt.Errorf("get a producer id: %w", kafka.Error(answer.ErrorCode))
	}
	return identity{id: answer.ProducerID, epoch: answer.ProducerEpoch}, nil
}

// identityRequest is the library's request without its method Transaction, which
// sends it to a coordinator of transactions. Here are none; any broker answers.
type identityRequest initproducerid.Request

// ApiKey implements kafka.Request.
func (*identityRequest) ApiKey() protocol.ApiKey { return protocol.InitProducerId }

// Where things are in a set of one batch: its length of 4 bytes, then the batch
// (https://kafka.apache.org/documentation/#recordbatch).
const (
	setBatch    = 4
	setChecksum = setBatch + 17
	setSummed   = setBatch + 21 // what follows is in the checksum
	setProducer = setBatch + 43
	setEpoch    = setBatch + 51
	setSequence = setBatch + 53
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode makes an attempt's set under an identity.
func (a *attempt) encode(i *identity) error {
	var records []kafka.Record
	for _, p := range a.parcels {
		for _, e := range p.entries {
			records = append(records, kafka.Record{Time: e.at, Key: kafka.NewBytes(e.key), Value: kafka.NewBytes(e.value), Headers: e.headers})
		}
	}
	var out bytes.Buffer
	set := protocol.RecordSet{Version: 2, Records: kafka.NewRecordReader(records...)}
	if _, err := set.WriteTo(&out); err != nil {
		return fmt.Errorf("encode records: %w", err)
	}
	b := out.Bytes()
	binary.BigEndian.PutUint64(b[setProducer:], uint64(i.id))
	binary.BigEndian.PutUint16(b[setEpoch:], uint16(i.epoch)) //nolint:gosec // its bits
	binary.BigEndian.PutUint32(b[setSequence:], uint32(i.next))
	binary.BigEndian.PutUint32(b[setChecksum:], crc32.Checksum(b[setSummed:], castagnoli))
	a.set, a.records = b, len(records)
	return nil
}

// forgotten reports whether the broker refused a batch because it knows its
// producer no more, or otherwise than the lane does.
func forgotten(err error) bool {
	for _, e := range []kafka.Error{
		kafka.UnknownProducerId, kafka.OutOfOrderSequenceNumber, kafka.InvalidProducerEpoch, kafka.ProducerFenced, kafka.InvalidProducerIDMapping,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
