// Package memory decides when garbage is collected: seldom while little lives,
// and once more when the process has come to rest. By itself Go keeps a heap at
// up to twice of what lives in it, for as long as the process runs: right under
// load, but after ten thousand clients have connected and gone quiet it holds
// as much garbage as connections.
package memory

import (
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	interval = 5 * time.Second
	// worthwhile is the least that a collection must promise to give back.
	worthwhile = 16 << 20
)

// Rest watches the heap until Stop.
type Rest struct {
	floor *floor
	stop  chan struct{}
	done  sync.WaitGroup
}

// Watch starts to watch. A collection at rest costs about a millisecond of
// processor time for each megabyte that lives, beside the program.
func Watch() *Rest {
	r := watch(interval, debug.FreeOSMemory)
	r.floor = setFloor()
	return r
}

func watch(every time.Duration, release func()) *Rest {
	r := &Rest{stop: make(chan struct{})}
	r.done.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		last := read()
		for {
			select {
			case <-r.stop:
				return
			case <-ticker.C:
			}
			now := read()
			if now.atRest(last) {
				release()
				now = read()
			}
			last = now
		}
	})
	return r
}

// Stop ends the watching and waits for it.
func (r *Rest) Stop() {
	close(r.stop)
	r.done.Wait()
	if r.floor != nil {
		r.floor.stop()
	}
}

// heap is what the runtime says of its heap, in bytes.
type heap struct {
	allocated uint64 // since the process began
	live      uint64 // found by the last collection
	objects   uint64 // live and garbage
	free      uint64 // of no object, and still the process's
}

func read() heap {
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	return heap{
		allocated: samples[0].Value.Uint64(), live: samples[1].Value.Uint64(),
		objects: samples[2].Value.Uint64(), free: samples[3].Value.Uint64(),
	}
}

// atRest reports whether little was allocated since last and a collection would
// give back much. What it cannot give back does not count, so that one
// collection is enough until there is new garbage.
func (h heap) atRest(last heap) bool {
	garbage := h.free
	if h.objects > h.live {
		garbage += h.objects - h.live
	}
	quiet := h.allocated-last.allocated < max(h.live/8, 1<<20)
	return quiet && garbage > max(h.live/4, worthwhile)
}
