package e2e

import (
	"testing"

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
}

// faults are all that can happen to a deployment, one at a time.
func (d *deployment) faults() []fault {
	var all []fault
	for _, p := range d.processes {
		all = append(all, fault{"kill -9 of " + p.name, p.kill, p.launch})
	}
	s := d.servers
	all = append(all,
		fault{"PostgreSQL is stopped", s.postgres.Stop, s.postgres.Start},
		fault{"kill -9 of PostgreSQL", s.postgres.Kill, s.postgres.Start},
		fault{"Redis is stopped", s.redis.Stop, s.redis.Start},
		fault{"kill -9 of Redis, its data is lost", s.redis.Kill, s.redis.Start},
	)
	if s.kafka != nil {
		all = append(all, fault{"Kafka is stopped", s.kafka.Stop, s.kafka.Start}, fault{"kill -9 of Kafka", s.kafka.Kill, s.kafka.Start})
	}
	each := func(do func(*testenv.TCPProxy)) func() {
		return func() {
			for _, l := range s.links {
				do(l)
			}
		}
	}
	return append(all,
		fault{"links between roles are cut", each((*testenv.TCPProxy).Cut), each((*testenv.TCPProxy).Restore)},
		fault{"links between roles are reset", each((*testenv.TCPProxy).Reset), func() {}},
		fault{"links between roles are half open", each((*testenv.TCPProxy).Stall), each((*testenv.TCPProxy).Resume)},
		fault{
			"links between roles are slow (100 ms)",
			each(func(l *testenv.TCPProxy) { l.Delay(faultDelay) }), each(func(l *testenv.TCPProxy) { l.Delay(0) }),
		},
	)
}
