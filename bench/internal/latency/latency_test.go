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

func TestFewSamples(t *testing.T) {
	t.Parallel()
	var h latency.Histogram
	for i := range 12 {
		h.Add(time.Duration(i+1) * time.Second)
	}
	for p, want := range map[float64]time.Duration{50: 6 * time.Second, 90: 11 * time.Second, 99: 12 * time.Second, 99.9: 12 * time.Second} {
		if got := h.Percentile(p); got < want || float64(got) > float64(want)*1.02 {
			t.Errorf("p%v of 12: got %v, want %v", p, got, want)
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
