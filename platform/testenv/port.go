package testenv

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

// The ports that tests give out lie below the range that systems take for
// outgoing connections, so that one stays free while the server that has it is
// stopped.
const (
	firstPort  = 10000
	blockPorts = 100
	blocks     = 200
)

// ports are those that this process may give out: blocks that no other process
// of tests has, because it listens on their first ports until it ends. A port is
// found long before its server listens, so looking whether it is free is not enough.
var ports struct {
	mu     sync.Mutex // guards what follows
	left   []int
	guards []net.Listener // nobody connects to them
}

// FreeAddress finds an address of 127.0.0.1 for a process that the test starts, perhaps again and again.
func FreeAddress(t testing.TB) string {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	return local(port)
}

// freePort finds a port that nothing listens on and that nobody else was given.
func freePort() (int, error) {
	ports.mu.Lock()
	defer ports.mu.Unlock()
	for {
		if len(ports.left) == 0 {
			if err := claimBlock(); err != nil {
				return 0, fmt.Errorf("find a free port: %w", err)
			}
		}
		port := ports.left[0]
		ports.left = ports.left[1:]
		l, err := net.Listen("tcp", local(port)) //nolint:noctx // binds at once
		if err == nil {
			return port, l.Close()
		}
	}
}

// claimBlock takes a block of ports for this process. ports.mu is held.
func claimBlock() error {
	for _, block := range rand.Perm(blocks) {
		first := firstPort + block*blockPorts
		guard, err := net.Listen("tcp", local(first)) //nolint:noctx // binds at once
		if err != nil {
			continue
		}
		ports.guards = append(ports.guards, guard)
		for port := first + 1; port < first+blockPorts; port++ {
			ports.left = append(ports.left, port)
		}
		return nil
	}
	return errors.New("other tests have all ports")
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
