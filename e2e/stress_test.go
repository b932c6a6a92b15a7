package e2e

import (
	"fmt"
	"testing"
	"time"
)

// TestStress runs clients that do everything at once and checks every promise on what they saw.
func TestStress(t *testing.T) {
	t.Parallel()
	seed := fmt.Sprint(time.Now().UnixNano())
	t.Logf("seed %s", seed)
	out, stderr, code := gochat(t, "", nil, "bench", "stress", "--seed", seed, "--duration", "6s")
	if code != 0 {
		t.Errorf("exit code %d\n%s\n%s", code, out, stderr)
	}
}
