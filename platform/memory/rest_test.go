package memory

import (
	"runtime/debug"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAtRest(t *testing.T) {
	t.Parallel()
	const mb = 1 << 20
	for name, c := range map[string]struct {
		heap      heap
		allocated uint64 // since the last look
		want      bool
	}{
		"garbage of a burst":      {heap{live: 40 * mb, objects: 90 * mb}, 1 * mb, true},
		"free spans":              {heap{live: 40 * mb, objects: 41 * mb, free: 30 * mb}, 0, true},
		"under load":              {heap{live: 40 * mb, objects: 90 * mb}, 50 * mb, false},
		"collected already":       {heap{live: 40 * mb, objects: 42 * mb, free: 1 * mb}, 1 * mb, false},
		"a small process":         {heap{live: 8 * mb, objects: 15 * mb}, 0, false},
		"little for a large heap": {heap{live: 4000 * mb, objects: 4500 * mb}, 1 * mb, false},
		"more lives than is told": {heap{live: 50 * mb, objects: 40 * mb}, 0, false},
	} {
		last := heap{allocated: 1000 * mb}
		c.heap.allocated = last.allocated + c.allocated
		if got := c.heap.atRest(last); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestGivesBackAfterABurst(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // what follows stays until it is released
	for range 100 {
		sink = make([]byte, 1<<20)
	}
	sink = nil
	if held := read(); held.objects < 100<<20 {
		t.Fatalf("%d bytes on the heap", held.objects)
	}
	released := make(chan heap, 1)
	r := watch(time.Millisecond, func() {
		debug.FreeOSMemory()
		select {
		case released <- read():
		default: // the first one counts
		}
	})
	defer r.Stop()
	select {
	case after := <-released:
		if after.objects+after.free > 50<<20 {
			t.Errorf("%d bytes of objects and %d free are left", after.objects, after.free)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("nothing was given back")
	}
}

var sink []byte
