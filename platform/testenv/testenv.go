// Package testenv gives tests the servers that GoChat runs on: PostgreSQL,
// Redis and Kafka, private ones on free ports of 127.0.0.1 with their data in
// temporary folders, and a proxy that breaks connections.
//
// Postgres, Redis and Kafka give each caller its own part (a database, a
// server, a prefix for topics) of something that may be shared: one PostgreSQL
// and one Kafka a test binary, started by the first test that asks. They are
// per binary and not per `go test` run because a server shared by processes
// needs an owner that outlives each of them; few packages need Kafka, whose
// JVM is the only expensive start (about 4 s of CPU). PostgresServer,
// RedisServer and KafkaServer start one for the caller alone, to be stopped,
// killed and started again.
//
// GOCHAT_TEST_POSTGRES (a URL of a role that may create databases),
// GOCHAT_TEST_REDIS (host:port) and GOCHAT_TEST_KAFKA (host:port,…) name
// running servers to share instead.
//
// Everything ends with its test, what is shared with the test binary, also when
// that is killed. A missing program fails the test and names `make deps`.
package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// patience is how long a server may take to start or stop on a busy machine.
const patience = 90 * time.Second

// shared is something that the tests of a binary share: made once, by the
// first that asks. A failure is everybody's.
type shared[T any] struct {
	once  sync.Once
	value T
	err   error
}

func (s *shared[T]) get(t testing.TB, start func() (T, error)) T {
	t.Helper()
	s.once.Do(func() { s.value, s.err = start() })
	if s.err != nil {
		t.Fatalf("testenv: %v", s.err)
	}
	return s.value
}

// program finds an executable in PATH or in one of the folders that match globs.
func program(name string, globs ...string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, glob := range globs {
		found, _ := filepath.Glob(filepath.Join(glob, name)) // fails for a malformed pattern only
		if len(found) > 0 {
			return found[len(found)-1], nil
		}
	}
	return "", fmt.Errorf("%s is not installed: run `make deps`", name)
}

// tail returns the end of a server's log for an error.
func tail(path string) string {
	const most = 4000
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-most):])
}
