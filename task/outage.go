package task

import (
	"sync/atomic"
	"time"
)

// outage measures for how long another role has been failing without a
// success in between. While it is not over its bound a batch is retried; then
// each batch gets one try, so that nobody waits behind a queue of retries.
type outage struct {
	since atomic.Int64 // unix nanoseconds of the first failure, 0: none
}

func (o *outage) failed() { o.since.CompareAndSwap(0, time.Now().UnixNano()) }

func (o *outage) ended() {
	if o.since.Load() != 0 {
		o.since.Store(0)
	}
}

// over says whether it has lasted for at least the bound.
func (o *outage) over(bound time.Duration) bool {
	since := o.since.Load()
	return since != 0 && time.Since(time.Unix(0, since)) >= bound
}
