package testenv_test

import (
	"net"
	"strconv"
	"testing"

	"github.com/segmentio/kafka-go"

	"github.com/gochat-im/gochat/platform/testenv"
)

func TestKafkaServerSurvivesKill(t *testing.T) {
	t.Parallel()
	k := testenv.KafkaServer(t)
	transport := &kafka.Transport{}
	defer transport.CloseIdleConnections()
	client := &kafka.Client{Addr: kafka.TCP(k.Address()), Transport: transport}
	made, err := client.CreateTopics(t.Context(), &kafka.CreateTopicsRequest{
		Topics: []kafka.TopicConfig{{Topic: "kept", NumPartitions: 1, ReplicationFactor: 1}},
	})
	if err != nil || made.Errors["kept"] != nil {
		t.Fatalf("create a topic: %v, %v", err, made)
	}
	k.Kill()
	k.Start()
	answer, err := client.Metadata(t.Context(), &kafka.MetadataRequest{Topics: []string{"kept"}})
	if err != nil || len(answer.Topics) != 1 || answer.Topics[0].Error != nil {
		t.Fatalf("after kill -9 the topic is %+v, %v", answer, err)
	}
	proxy := k.Proxy()
	behind := &kafka.Client{Addr: kafka.TCP(proxy.Address()), Transport: transport}
	answer, err = behind.Metadata(t.Context(), &kafka.MetadataRequest{})
	if err != nil || len(answer.Brokers) != 1 {
		t.Fatalf("through the proxy: %+v, %v", answer, err)
	}
	b := answer.Brokers[0]
	if got := net.JoinHostPort(b.Host, strconv.Itoa(b.Port)); got != proxy.Address() {
		t.Errorf("the broker sends clients to %s, want the proxy at %s", got, proxy.Address())
	}
}
