package registrytest

import (
	"testing"
	"time"
)

// patience is how long a condition may take on a machine that is busy.
const patience = 20 * time.Second

// Eventually waits until a condition holds, or fails the test.
func Eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
