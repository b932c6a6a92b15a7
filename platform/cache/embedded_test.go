package cache_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gochat-im/gochat/platform/cache"
	"github.com/gochat-im/gochat/platform/cache/cachetest"
)

func TestEmbedded(t *testing.T) {
	t.Parallel()
	cachetest.Run(t, func(*testing.T) cache.Cache[int64, string] {
		return cache.NewEmbedded[int64, string](cache.EmbeddedConfig{Name: "test", MaxEntries: 1000}, nil)
	})
}

func TestEmbeddedIsBounded(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	c := cache.NewEmbedded[int64, string](cache.EmbeddedConfig{Name: "test", MaxEntries: 100}, reg)
	for i := range int64(10_000) {
		if _, err := c.Get(t.Context(), i, func(context.Context, int64) (string, error) { return fmt.Sprint(i), nil }); err != nil {
			t.Fatal(err)
		}
	}
	present := 0
	for i := range int64(10_000) {
		if _, ok := c.Peek(i); ok {
			present++
		}
	}
	if present == 0 || present > 1000 {
		t.Errorf("%d of 10,000 values are kept with room for 100", present)
	}
	families, err := reg.Gather()
	if err != nil || len(families) != 3 {
		t.Errorf("metrics: %v, %v", families, err)
	}
}

func BenchmarkEmbeddedHit(b *testing.B) {
	c := cache.NewEmbedded[int64, string](cache.EmbeddedConfig{Name: "test", MaxEntries: 1000}, nil)
	load := func(context.Context, int64) (string, error) { return "a", nil }
	for b.Loop() {
		if _, err := c.Get(b.Context(), 1, load); err != nil {
			b.Fatal(err)
		}
	}
}
