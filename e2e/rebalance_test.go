package e2e

import (
	"context"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/task/taskpb"
)

// rebalancing is a fault: a stranger joins every consumer group and leaves it again, over and over. Each time all members
// share the partitions anew, and some belong for a while to one that does nothing with them.
func (d *deployment) rebalancing(lasts time.Duration) fault {
	var stop context.CancelFunc
	var strangers sync.WaitGroup
	begin := func() {
		var ctx context.Context
		ctx, stop = context.WithCancel(context.Background())
		for _, topic := range []string{logicpb.UpstreamTopic, taskpb.PersistTopic} {
			strangers.Go(func() { d.comeAndGo(ctx, d.setting("GOCHAT_KAFKA_PREFIX")+topic) })
		}
	}
	end := func() {
		stop()
		strangers.Wait()
	}
	return fault{name: "consumer groups rebalance all the time", begin: begin, end: end, lasts: lasts}
}

// comeAndGo joins a topic's group and leaves it until ctx ends. It must have come in twice at least.
func (d *deployment) comeAndGo(ctx context.Context, topic string) {
	came := 0
	for ctx.Err() == nil {
		group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
			ID: topic, Brokers: []string{d.servers.kafka.Address()}, Topics: []string{topic}, StartOffset: kafka.FirstOffset,
			HeartbeatInterval: 100 * time.Millisecond, JoinGroupBackoff: 100 * time.Millisecond,
		})
		if err != nil {
			d.t.Errorf("join the group of %s: %v", topic, err)
			return
		}
		if _, err := group.Next(ctx); err == nil {
			came++
		}
		if err := group.Close(); err != nil {
			d.t.Logf("leave the group of %s: %v", topic, err)
		}
	}
	d.t.Logf("%d strangers were in the group of %s", came, topic)
	if came < 2 {
		d.t.Errorf("the group of %s hardly rebalanced", topic)
	}
}

// setting is the value of a variable that every process of the deployment has.
func (d *deployment) setting(name string) string { return d.processes[0].setting(name) }
