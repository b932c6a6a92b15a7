package bustest

import (
	"context"
	"testing"

	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/errs"
)

// callsAfterDone: what a call of the handler leaves for later is called once, after the call that succeeded; records
// that were handled before say so.
func callsAfterDone(t *testing.T, b bus.Bus) {
	calls, later := 0, make(chan int, 10)
	returned := make(chan struct{})
	subscribe(t, b, topic("after"), func(ctx context.Context, batch []bus.Record) error {
		calls++
		n := calls
		bus.AfterDone(ctx, func(ctx context.Context) {
			<-returned
			if ctx.Err() != nil {
				t.Errorf("called under a context that has ended: %v", ctx.Err())
			}
			later <- n
		})
		for _, r := range batch {
			if n > 1 && !r.Again {
				t.Errorf("call %d: record %d does not say that it was handled before", n, valueOf(r))
			}
		}
		if n <= 2 {
			return errs.New(errs.Unavailable, "not yet")
		}
		close(returned)
		return nil
	})
	start(t, b)
	publish(t, b, "after", record(1, 0))
	if n := wait(t, later, "what was left is called"); n != 3 {
		t.Errorf("what call %d left was called, want call 3", n)
	}
	stop(t, b)
	select {
	case n := <-later:
		t.Errorf("what call %d left was called too", n)
	default:
	}
}
