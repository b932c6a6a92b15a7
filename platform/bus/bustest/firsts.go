package bustest

import (
	"sync"
	"testing"
	"time"

	"github.com/gochat-im/gochat/platform/bus"
)

// firsts holds the records of each key to their order: a copy of one that came
// before is fine, a record that comes before its predecessor is not.
type firsts struct {
	mu    sync.Mutex
	next  map[int64]int64
	want  map[int64]int64
	count int
	more  chan struct{} // closed and replaced with every addition
}

func newFirsts() *firsts {
	return &firsts{next: map[int64]int64{}, want: map[int64]int64{}, more: make(chan struct{})}
}

func (f *firsts) add(t *testing.T, batch []bus.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range batch {
		switch v := valueOf(r); {
		case v == f.next[r.Key]:
			f.next[r.Key]++
		case v > f.next[r.Key]:
			t.Errorf("key %d: record %d came before record %d", r.Key, v, f.next[r.Key])
		}
	}
	f.count += len(batch)
	close(f.more)
	f.more = make(chan struct{})
}

// expect says how many records of a key were published.
func (f *firsts) expect(key, n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.want[key] = n
}

func (f *firsts) total() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count
}

func (f *firsts) waitBeyond(t *testing.T, n int) {
	t.Helper()
	f.waitFor(t, func() bool { return f.count >= n })
}

func (f *firsts) waitAll(t *testing.T) {
	t.Helper()
	f.waitFor(t, func() bool {
		for key, n := range f.want {
			if f.next[key] < n {
				return false
			}
		}
		return true
	})
}

func (f *firsts) waitFor(t *testing.T, enough func() bool) {
	t.Helper()
	timeout := time.After(patience)
	for {
		f.mu.Lock()
		done, more := enough(), f.more
		f.mu.Unlock()
		if done {
			return
		}
		select {
		case <-more:
		case <-timeout:
			f.mu.Lock()
			defer f.mu.Unlock()
			t.Fatalf("timed out: of the records %v only %v came", f.want, f.next)
		}
	}
}
