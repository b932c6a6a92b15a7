package memory

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func TestGrowth(t *testing.T) {
	t.Parallel()
	const mb = 1 << 20
	for _, c := range []struct {
		live uint64
		want int
	}{{0, 6400}, {1 * mb, 6300}, {8 * mb, 700}, {16 * mb, 300}, {31 * mb, 106}, {32 * mb, 100}, {5000 * mb, 100}} {
		if got := growth(c.live); got != c.want {
			t.Errorf("%d MB live: %d %%, want %d", c.live/mb, got, c.want)
		}
	}
}

// TestSmallHeapsAreCollectedSeldom counts collections over half a gigabyte of garbage, then lets much live: the heap
// grows as it does without the floor.
func TestSmallHeapsAreCollectedSeldom(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	runtime.GC()
	without := collections(func() { litter(512 << 20) })
	f := setFloor()
	runtime.GC()
	waitFor(t, func() bool { return percent() > 200 })
	with := collections(func() { litter(512 << 20) })
	if with*4 > without {
		t.Errorf("%d collections, %d without the floor", with, without)
	}
	much := make([][]byte, 100)
	for i := range much {
		much[i] = make([]byte, 1<<20)
	}
	runtime.GC()
	waitFor(t, func() bool { return percent() == 100 })
	runtime.KeepAlive(much)
	runtime.GC()
	waitFor(t, func() bool { return percent() > 200 })
	f.stop()
	runtime.GC()
	if p := percent(); p != 100 {
		t.Errorf("%d %% after the end", p)
	}
}

// TestOperatorsSettingStays leaves a process alone for which GOGC is set.
func TestOperatorsSettingStays(t *testing.T) {
	t.Setenv("GOGC", "150")
	defer debug.SetGCPercent(debug.SetGCPercent(150))
	f := setFloor()
	runtime.GC()
	runtime.GC()
	if p := percent(); p != 150 {
		t.Errorf("%d %%", p)
	}
	f.stop()
	if p := percent(); p != 150 {
		t.Errorf("%d %% after the end", p)
	}
}

func litter(bytes int) {
	for range bytes / (64 << 10) {
		sink = make([]byte, 64<<10)
	}
	sink = nil
}

func collections(do func()) uint32 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.NumGC - before.NumGC
}

func percent() int {
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(sample)
	return int(sample[0].Value.Uint64())
}

func waitFor(t *testing.T, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s; %d %%", percent())
		}
		runtime.Gosched()
	}
}
