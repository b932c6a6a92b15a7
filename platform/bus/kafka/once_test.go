package kafka_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gochat-im/gochat/platform/testenv"
)

// TestStoredOnce publishes through connections that break all the time, so that requests arrive whose answers do not:
// what is sent again then is not stored again.
func TestStoredOnce(t *testing.T) {
	t.Parallel()
	const keys, each = 8, 150
	broker := testenv.KafkaServer(t)
	proxy := broker.Proxy()
	cfg := settings(t, proxy.Address(), "")
	cfg.RequestTimeout = time.Second
	b := newBus(t, cfg)
	var publishers sync.WaitGroup
	for key := range int64(keys) {
		publishers.Go(func() {
			for v := range int64(each) {
				if err := b.Publish(t.Context(), "once", record(key, key*each+v)); err != nil {
					t.Errorf("Publish: %v", err)
					return
				}
			}
		})
	}
	ended := make(chan struct{})
	var breaker sync.WaitGroup
	breaker.Go(func() {
		tick := time.NewTicker(15 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				proxy.Reset()
			case <-ended:
				return
			}
		}
	})
	publishers.Wait()
	close(ended)
	breaker.Wait()
	if err := b.Stop(t.Context()); err != nil {
		t.Errorf("Stop: %v", err)
	}
	copies := map[int64]int{}
	last := map[int]int64{} // by partition and key
	for partition := range cfg.Partitions {
		for _, v := range stored(t, broker.Address(), cfg.Prefix+"once", partition) {
			if copies[v]++; copies[v] > 1 {
				t.Errorf("record %d is stored %d times", v, copies[v])
			}
			key := int(v / each)
			if before, seen := last[key]; seen && v < before {
				t.Errorf("record %d stands behind record %d", v, before)
			}
			last[key] = v
		}
	}
	if len(copies) != keys*each {
		t.Errorf("%d records are stored, want %d", len(copies), keys*each)
	}
}

// stored reads the numbers in a partition from its beginning to its end.
func stored(t *testing.T, broker, topic string, partition int) (values []int64) {
	t.Helper()
	transport := &kafka.Transport{}
	defer transport.CloseIdleConnections()
	client := &kafka.Client{Addr: kafka.TCP(broker), Transport: transport}
	for offset := int64(0); ; {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		answer, err := client.Fetch(ctx, &kafka.FetchRequest{Topic: topic, Partition: partition, Offset: offset, MinBytes: 1, MaxBytes: 1 << 20, MaxWait: time.Second})
		cancel()
		if err == nil {
			err = answer.Error
		}
		if err != nil {
			t.Fatal(err)
		}
		for {
			r, err := answer.Records.ReadRecord()
			if errors.Is(err, io.EOF) {
				break
			}
			var raw []byte
			if err == nil {
				raw, err = kafka.ReadAll(r.Value)
			}
			m := new(wrapperspb.Int64Value)
			if err == nil {
				err = proto.Unmarshal(raw, m)
			}
			if err != nil {
				t.Fatal(err)
			}
			if r.Offset == offset {
				values, offset = append(values, m.GetValue()), offset+1
			}
		}
		if offset >= answer.HighWatermark {
			return values
		}
	}
}
