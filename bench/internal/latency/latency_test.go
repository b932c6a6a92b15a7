package latency_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/gochat-im/gochat/bench/internal/latency"
)

func TestPercentilesAreWithinTwoPercent(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	var h, half latency.Histogram
	var all []time.Duration
	for i := range 100_000 {
		d := time.Duration(r.Int64N(int64(time.Second)) >> r.IntN(25))
		all = append(all, d)
		if i%2 == 0 {
			h.Add(d)
		} else {
			half.Add(d)
		}
	}
	h.Merge(&half)
	slices.Sort(all)
	if h.Count() != uint64(len(all)) || h.Max() != all[len(all)-1] {
		t.Fatalf("count %d max %v", h.Count(), h.Max())
	}
	for _, p := range []float64{1, 50, 90, 99, 99.9, 100} {
		want := all[int(p/100*float64(len(all)))-1]
		got := h.Percentile(p)
		if got < want || float64(got) > float64(want)*1.02+1 {
			t.Errorf("p%v: got %v, want %v", p, got, want)
		}
	}
}

func TestEmptyAndNegative(t *testing.T) {
	t.Parallel()
	var h latency.Histogram
	if h.Percentile(50) != 0 {
		t.Error("empty")
	}
	h.Add(-time.Second)
	if h.Percentile(50) != 0 || h.Count() != 1 {
		t.Error("negative")
	}
}
