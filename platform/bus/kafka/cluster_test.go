package kafka_test

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/bus/kafka"
	"github.com/gochat-im/gochat/platform/testenv"
)

// TestCluster ends one broker of three after the other with kill -9 while another process publishes: what was acknowledged
// is handled, each key in order, and nothing waits for the broker that is gone.
func TestCluster(t *testing.T) {
	t.Parallel()
	const keys = 8
	brokers := testenv.KafkaCluster(t, 3)
	addresses := make([]string, len(brokers))
	for i, b := range brokers {
		addresses[i] = b.Address()
	}
	cfg := settings(t, strings.Join(addresses, ","), "")
	cfg.Partitions, cfg.ReplicationFactor = 6, 3
	cfg.SessionTimeout = kafka.DefaultConfig().SessionTimeout
	publisher, consumer := newBus(t, cfg), newBus(t, cfg)
	seen := follow(t, consumer)
	for _, b := range []bus.Bus{consumer, publisher} {
		if err := b.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	acknowledged := publishOn(t, publisher, 0, keys)
	flows := func(what string) {
		t.Helper()
		for key := range int64(keys) {
			before := seen.of(key)
			eventually(t, fmt.Sprintf("records of key %d are handled %s", key, what), func() bool { return seen.of(key) > before+20 })
		}
	}
	flows("with all brokers")
	led := leaders(t, addresses)
	for _, b := range brokers {
		if led[b.Address()] == 0 {
			t.Errorf("%s leads nothing: %v", b.Address(), led)
		}
		b.Kill()
		flows("without " + b.Address())
		b.Start()
		inSync(t, addresses)
	}
	for key, n := range acknowledged() {
		eventually(t, "what was acknowledged is handled", func() bool { return seen.of(key) >= n })
	}
	for _, b := range []bus.Bus{publisher, consumer} {
		if err := b.Stop(t.Context()); err != nil {
			t.Errorf("Stop: %v", err)
		}
	}
}

// leaders counts the partitions of the topic by the address of the broker that leads them.
func leaders(t *testing.T, addresses []string) map[string]int {
	t.Helper()
	led := map[string]int{}
	for _, p := range partitions(t, addresses) {
		led[net.JoinHostPort(p.Leader.Host, strconv.Itoa(p.Leader.Port))]++
	}
	return led
}

// inSync waits until every replica has everything, so that the next broker may go.
func inSync(t *testing.T, addresses []string) {
	t.Helper()
	eventually(t, "all replicas are in sync", func() bool {
		all := partitions(t, addresses)
		for _, p := range all {
			if len(p.Isr) != len(addresses) {
				return false
			}
		}
		return len(all) > 0
	})
}

func partitions(t *testing.T, addresses []string) []kafkago.Partition {
	t.Helper()
	transport := &kafkago.Transport{}
	defer transport.CloseIdleConnections()
	client := &kafkago.Client{Addr: kafkago.TCP(addresses...), Transport: transport}
	answer, err := client.Metadata(t.Context(), &kafkago.MetadataRequest{Topics: []string{"t"}})
	if err != nil || len(answer.Topics) != 1 {
		t.Fatalf("metadata: %+v, %v", answer, err)
	}
	return answer.Topics[0].Partitions
}
