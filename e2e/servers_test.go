package e2e

import (
	"testing"
	"time"

	"github.com/gochat-im/gochat/platform/testenv"
)

// servers are what a deployment stands on, its own, and the links between its processes, to be broken.
type servers struct {
	postgres testenv.PostgresHandle
	redis    testenv.RedisHandle
	kafka    *testenv.KafkaHandle // nil: the deployment has none
	links    []*testenv.TCPProxy
	direct   bool // nobody breaks links: the processes reach each other without
}

func newServers(t testing.TB) *servers {
	t.Helper()
	return &servers{postgres: testenv.PostgresServer(t), redis: testenv.RedisServer(t)}
}

// newDirectServers are servers to measure on: a commit is on the disk when it is acknowledged.
func newDirectServers(t testing.TB) *servers {
	t.Helper()
	return &servers{
		postgres: testenv.PostgresServer(t, "fsync=on", "full_page_writes=on", "shared_buffers=256MB", "max_wal_size=4GB"),
		redis:    testenv.RedisServer(t), direct: true,
	}
}

// startKafka starts the broker and returns its address.
func (s *servers) startKafka(t testing.TB) string {
	t.Helper()
	kafka := testenv.KafkaServer(t)
	s.kafka = &kafka
	return kafka.Address()
}

// fault is something that breaks for a while. It is over when end returns: a server answers again, a process was started.
type fault struct {
	name       string
	begin, end func()
	lasts      time.Duration // 0: faultHold
}

// faults are all that can happen to a deployment, one at a time.
func (d *deployment) faults() []fault {
	var all []fault
	for _, p := range d.processes {
		all = append(all, fault{name: "kill -9 of " + p.name, begin: p.kill, end: p.launch})
	}
	s := d.servers
	all = append(all,
		fault{name: "PostgreSQL is stopped", begin: s.postgres.Stop, end: s.postgres.Start},
		fault{name: "kill -9 of PostgreSQL", begin: s.postgres.Kill, end: s.postgres.Start},
		fault{name: "Redis is stopped", begin: s.redis.Stop, end: s.redis.Start},
		fault{name: "kill -9 of Redis, its data is lost", begin: s.redis.Kill, end: s.redis.Start},
	)
	if s.kafka != nil {
		all = append(
			all,
			fault{name: "Kafka is stopped", begin: s.kafka.Stop, end: s.kafka.Start},
			fault{name: "kill -9 of Kafka", begin: s.kafka.Kill, end: s.kafka.Start},
			d.rebalancing(5*faultHold),
		)
	}
	each := func(do func(*testenv.TCPProxy)) func() {
		return func() {
			for _, l := range s.links {
				do(l)
			}
		}
	}
	return append(all,
		fault{name: "links between roles are cut", begin: each((*testenv.TCPProxy).Cut), end: each((*testenv.TCPProxy).Restore)},
		fault{name: "links between roles are reset", begin: each((*testenv.TCPProxy).Reset), end: func() {}},
		fault{name: "links between roles are half open", begin: each((*testenv.TCPProxy).Stall), end: each((*testenv.TCPProxy).Resume)},
		fault{
			name:  "links between roles are slow (100 ms)",
			begin: each(func(l *testenv.TCPProxy) { l.Delay(faultDelay) }), end: each(func(l *testenv.TCPProxy) { l.Delay(0) }),
		},
	)
}
