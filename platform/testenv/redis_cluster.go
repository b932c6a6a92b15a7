package testenv

import (
	"strconv"
	"testing"
	"time"
)

// RedisCluster starts a cluster of one node, which has all slots, and returns its host:port: what may not span slots
// fails there as in a large one.
func RedisCluster(t testing.TB) string {
	t.Helper()
	bus, err := freePort()
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	h := RedisServer(t, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(bus))
	_, err = redisCall(h.address, 0, "CLUSTER", "ADDSLOTSRANGE", "0", "16383")
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); err == nil; <-tick.C { // the node takes a moment to believe in its cluster
		_, down := redisCall(h.address, 0, "GET", "gochat:testenv")
		if down == nil {
			return h.address
		}
		if time.Now().After(end) {
			err = down
		}
	}
	t.Fatalf("testenv: make a Redis cluster: %v", err)
	return ""
}
