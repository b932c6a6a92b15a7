package bench

import (
	"math"
	"strings"
	"testing"
)

func TestQuantileOfAServersHistogram(t *testing.T) {
	t.Parallel()
	const text = `# TYPE x_seconds histogram
x_seconds_bucket{method="GET",route="/other",le="+Inf"} 7
x_seconds_bucket{method="GET",route="/a",le="0.001"} 90
x_seconds_bucket{method="GET",route="/a",le="0.002"} 98
x_seconds_bucket{method="GET",route="/a",le="+Inf"} 100
x_seconds_sum{method="GET",route="/a"} 1
`
	all := parseBuckets(strings.NewReader(text), "x_seconds", `method="GET",route="/a"`)
	for q, want := range map[float64]float64{0.45: 0.0005, 0.9: 0.001, 0.94: 0.0015, 0.98: 0.002, 0.99: 0.002} {
		if got := quantile(q, all); math.Abs(got-want) > 1e-9 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if got := quantile(0.5, parseBuckets(strings.NewReader(text), "x_seconds", `method="GET",route="/none"`)); !math.IsNaN(got) {
		t.Errorf("quantile of nothing is %v", got)
	}
}
