package cache_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gochat-im/gochat/platform/cache"
	"github.com/gochat-im/gochat/platform/testenv"
)

// Three processes change, read and load the same few keys as fast as they can. A process must never see less than what
// it invalidated itself, nor less than what another one invalidated a while ago, and when it is quiet every level must
// have the last value.
func TestNeverStaleAcrossProcesses(t *testing.T) {
	t.Parallel()
	const (
		keys   = 4
		rounds = 300
		late   = 2 * time.Second // far more than a message takes, for a busy machine
	)
	db := testenv.Redis(t)
	processes := make([]cache.Cache[int64, string], 3)
	for i := range processes {
		processes[i] = process(t, db.Address, db.DB)
	}
	var store [keys]struct {
		stored, told atomic.Int64
		old          atomic.Int64 // what was told at least `late` ago
	}
	load := func(_ context.Context, key int64) (string, error) {
		return strconv.FormatInt(store[key].stored.Load(), 10), nil
	}
	loadMany := func(ctx context.Context, missing []int64) (map[int64]string, error) {
		values := map[int64]string{}
		for _, key := range missing {
			values[key], _ = load(ctx, key)
		}
		return values, nil
	}
	done := make(chan struct{})
	var readers, writers sync.WaitGroup
	for _, c := range processes {
		readers.Go(func() {
			all := []int64{0, 1, 2, 3}
			for n := int64(0); ; n++ {
				select {
				case <-done:
					return
				default:
				}
				var least [keys]int64
				for key := range store {
					least[key] = store[key].old.Load()
				}
				got, err := c.GetMany(t.Context(), all, loadMany)
				if err != nil {
					t.Error(err)
					return
				}
				one, err := c.Get(t.Context(), n%keys, load)
				if err != nil {
					t.Error(err)
					return
				}
				got[n%keys] = one
				for key, v := range got {
					if number, _ := strconv.ParseInt(v, 10, 64); number < least[key] {
						t.Errorf("key %d is %s, long after %d was told", key, v, least[key])
						return
					}
				}
			}
		})
	}
	for key := range int64(keys) {
		writers.Go(func() { // one writer a key, from every process in turn
			for i := range int64(rounds) {
				c := processes[i%3]
				store[key].stored.Store(i)
				if err := c.Invalidate(t.Context(), key); err != nil {
					t.Error(err)
					return
				}
				store[key].told.Store(i)
				time.AfterFunc(late, func() { store[key].old.Store(max(store[key].old.Load(), i)) })
				if v, err := c.Get(t.Context(), key, load); err != nil || v != strconv.FormatInt(i, 10) {
					t.Errorf("the process that changed key %d to %d sees %s, %v", key, i, v, err)
					return
				}
			}
		})
	}
	writers.Wait()
	quiet := time.Now()
	eventually(t, "everybody was told", func() bool { return time.Since(quiet) > late+100*time.Millisecond })
	close(done)
	readers.Wait()
	fresh := process(t, db.Address, db.DB) // reads from Redis what the others left there
	for key := range int64(keys) {
		for i, c := range append(processes, fresh) {
			if v := get(t, c, key, load); v != strconv.Itoa(rounds-1) {
				t.Errorf("in the end process %d has %s for key %d", i, v, key)
			}
		}
	}
}
