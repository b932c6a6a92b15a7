package bench

import (
	"bufio"
	"context"
	"io"
	"math"
	"strconv"
	"strings"
)

// bucket counts the observations up to a bound.
type bucket struct{ le, count float64 }

// buckets reads a histogram of the private listener's metrics by its name and its labels without braces; none when
// there is no such histogram.
func (s *server) buckets(ctx context.Context, name, labels string) []bucket {
	if s.private == "" {
		return nil
	}
	body, err := get(ctx, s.private+"/metrics")
	if err != nil {
		return nil
	}
	defer body.Close()
	return parseBuckets(body, name, labels)
}

func parseBuckets(text io.Reader, name, labels string) (all []bucket) {
	prefix := name + "_bucket{" + labels + `,le="`
	for scan := bufio.NewScanner(text); scan.Scan(); {
		rest, ok := strings.CutPrefix(scan.Text(), prefix)
		if !ok {
			continue
		}
		le, count, ok := strings.Cut(rest, `"} `)
		if !ok {
			continue
		}
		bound, err := strconv.ParseFloat(le, 64)
		n, countErr := strconv.ParseFloat(count, 64)
		if err == nil && countErr == nil {
			all = append(all, bucket{bound, n})
		}
	}
	return all
}

// quantile estimates a quantile as Prometheus's histogram_quantile does: linearly within a bucket. It is the last
// bound where the quantile lies above it, and NaN without observations.
func quantile(q float64, all []bucket) float64 {
	if len(all) == 0 || all[len(all)-1].count == 0 {
		return math.NaN()
	}
	rank := q * all[len(all)-1].count
	var below bucket
	for _, b := range all {
		if b.count < rank {
			below = b
			continue
		}
		if math.IsInf(b.le, 1) {
			return below.le
		}
		return below.le + (b.le-below.le)*(rank-below.count)/(b.count-below.count)
	}
	return math.NaN()
}
