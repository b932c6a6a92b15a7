package gateway

import (
	"testing"
	"testing/synctest"
	"time"
)

// What a connection did wrong is forgotten after a minute: only who does not stop is closed.
func TestStrikesAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const limit = 3
		c := &conn{}
		for minute := range 5 {
			for i := range limit - 1 {
				if c.strike(&c.malformed, limit) {
					t.Errorf("closed by strike %d of minute %d", i+1, minute)
				}
			}
			time.Sleep(time.Minute)
		}
		for i := range limit {
			if got := c.strike(&c.malformed, limit); got != (i == limit-1) {
				t.Errorf("strike %d of one minute: closed %v", i+1, got)
			}
		}
	})
}
