package limit_test

import (
	"fmt"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/gochat-im/gochat/platform/limit"
	"github.com/gochat-im/gochat/platform/limit/limittest"
)

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestEmbedded(t *testing.T) {
	t.Parallel()
	limittest.Run(t, func(*testing.T) limit.Maker { return nil })
}

func TestBurstThenRate(t *testing.T) {
	t.Parallel()
	c := &clock{now: time.Unix(1_790_000_000, 0)}
	l := limit.NewWithClock(limit.Config{Rate: 2, Burst: 3}, 100, c.Now)
	for i := range 3 {
		if ok, _ := l.Allow(t.Context(), "a"); !ok {
			t.Fatalf("refused at %d within the burst", i)
		}
	}
	if ok, retry := l.Allow(t.Context(), "a"); ok || retry != 500*time.Millisecond {
		t.Errorf("over the burst: %v, retry after %v", ok, retry)
	}
	if ok, _ := l.Allow(t.Context(), "b"); !ok {
		t.Error("one key took another's tokens")
	}
	c.move(499 * time.Millisecond)
	if ok, _ := l.Allow(t.Context(), "a"); ok {
		t.Error("allowed before the time that it told")
	}
	c.move(time.Millisecond)
	if ok, _ := l.Allow(t.Context(), "a"); !ok {
		t.Error("refused after the time that it told")
	}
	c.move(time.Hour)
	for i := range 4 {
		if ok, _ := l.Allow(t.Context(), "a"); ok != (i < 3) {
			t.Errorf("after an hour, take %d: %v: the bucket holds more or less than the burst", i, ok)
		}
	}
	c.move(-time.Hour)
	if ok, _ := l.Allow(t.Context(), "a"); ok {
		t.Error("a clock that goes back makes tokens")
	}
}

func TestCheckAndReset(t *testing.T) {
	t.Parallel()
	c := &clock{now: time.Unix(1_790_000_000, 0)}
	l := limit.NewWithClock(limit.Config{Rate: 1, Burst: 1}, 100, c.Now)
	for range 10 {
		if ok, _ := l.Check(t.Context(), "a"); !ok {
			t.Fatal("Check took a token")
		}
	}
	l.Allow(t.Context(), "a")
	if ok, retry := l.Check(t.Context(), "a"); ok || retry != time.Second {
		t.Errorf("Check of an empty bucket: %v, %v", ok, retry)
	}
	l.Give(t.Context(), "a")
	l.Give(t.Context(), "never seen")
	if ok, _ := l.Allow(t.Context(), "a"); !ok {
		t.Error("refused after Give")
	}
	l.Reset(t.Context(), "a")
	if ok, _ := l.Allow(t.Context(), "a"); !ok {
		t.Error("refused after Reset")
	}
}

func TestKeysAreBounded(t *testing.T) {
	t.Parallel()
	l := limit.NewEmbedded(limit.Config{Rate: 1e-6, Burst: 1}, 160)
	l.Allow(t.Context(), "first")
	for i := range 10_000 {
		l.Allow(t.Context(), fmt.Sprint(i))
	}
	if ok, _ := l.Allow(t.Context(), "first"); !ok {
		t.Error("the quietest of 10,001 keys is still remembered with room for 160")
	}
	if ok, _ := l.Allow(t.Context(), "9999"); ok {
		t.Error("the last key was forgotten")
	}
}

func TestBucketIsSmall(t *testing.T) {
	t.Parallel()
	if size := unsafe.Sizeof(limit.Bucket{}); size > 16 {
		t.Errorf("a bucket takes %d bytes of every connection", size)
	}
	var b limit.Bucket
	now := time.Unix(1_790_000_000, 0)
	if ok, _ := b.Take(limit.Config{Rate: 1, Burst: 2}, now, 50); !ok {
		t.Error("more than the burst does not fit a full bucket")
	}
	if ok, _ := b.Allow(limit.Config{Rate: 1, Burst: 2}, now); ok {
		t.Error("an emptied bucket gives")
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for _, c := range []limit.Config{{}, {Rate: -1, Burst: 1}, {Rate: 1}, {Rate: 1e10, Burst: 1}} {
		if c.Validate() == nil {
			t.Errorf("%+v is valid", c)
		}
	}
}
