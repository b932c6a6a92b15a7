package cache_test

import (
	"testing"

	"github.com/gochat-im/gochat/platform/testenv"
)

func BenchmarkRedisHit(b *testing.B) {
	db := testenv.Redis(b)
	c := process(b, db.Address, db.DB)
	load := value("a")
	for b.Loop() {
		if _, err := c.Get(b.Context(), 1, load); err != nil {
			b.Fatal(err)
		}
	}
}

// A miss of both levels, as often as something changes: read, load, fill, and the invalidation.
func BenchmarkRedisMissAndInvalidate(b *testing.B) {
	db := testenv.Redis(b)
	c := process(b, db.Address, db.DB)
	load := value("a")
	for b.Loop() {
		if _, err := c.Get(b.Context(), 1, load); err != nil {
			b.Fatal(err)
		}
		if err := c.Invalidate(b.Context(), 1); err != nil {
			b.Fatal(err)
		}
	}
}
