package memory

import (
	"os"
	"runtime"
	"runtime/debug"
	"sync"
)

// least is the size in bytes below which a heap is not collected under load.
// Go collects whenever a heap has doubled, from 4 MB on: a process with little
// that lives, as each role by itself is, spends a sixth of its processor time
// on it. A large heap is collected as ever.
const least = 64 << 20

// floor sets the growth after which the next collection begins, after each one.
type floor struct {
	mu      sync.Mutex // guards what follows
	stopped bool
	before  int // the percentage of the process without it
	now     int
}

// setFloor begins; GOGC, which is the operator's, has precedence.
func setFloor() *floor {
	f := &floor{now: 100}
	if os.Getenv("GOGC") != "" {
		f.stopped = true
		return f
	}
	f.before = debug.SetGCPercent(f.now)
	f.adapt()
	return f
}

// mark is garbage from the start, so that its clean-up follows the next
// collection. Its size keeps the runtime from putting it beside others.
type mark [2]*mark

func (f *floor) adapt() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped {
		return
	}
	if percent := growth(read().live); percent != f.now {
		f.now = percent
		debug.SetGCPercent(percent)
	}
	runtime.AddCleanup(new(mark), (*floor).adapt, f)
}

func (f *floor) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.stopped {
		f.stopped = true
		debug.SetGCPercent(f.before)
	}
}

// growth returns how much a heap of which so much lives may grow, in percent.
func growth(live uint64) int {
	if live >= least/2 {
		return 100
	}
	return int(100 * (least - live) / max(live, 1<<20))
}
