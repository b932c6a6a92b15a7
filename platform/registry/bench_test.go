package registry_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/gochat-im/gochat/platform/redis"
	"github.com/gochat-im/gochat/platform/registry"
	"github.com/gochat-im/gochat/platform/registry/registrytest"
	"github.com/gochat-im/gochat/platform/testenv"
)

func BenchmarkLookup200(b *testing.B) {
	r := benchRegistry(b)
	var keys []int64
	for n := range int64(8) {
		g, err := r.Register(b.Context(), registry.Instance{ID: fmt.Sprint("g", n), Kind: registrytest.Kind, Address: fmt.Sprint("x:", n)})
		if err != nil {
			b.Fatal(err)
		}
		var some []int64
		for k := n; k < 200; k += 4 { // two each
			some = append(some, k)
		}
		if err := g.Bind(b.Context(), "user", some...); err != nil {
			b.Fatal(err)
		}
	}
	for k := range int64(200) {
		keys = append(keys, k)
	}
	for b.Loop() {
		if f := r.Lookup(b.Context(), registrytest.Kind, "user", keys); f.Degraded || len(f.Instances) != 200 {
			b.Fatalf("degraded %v, %d answers", f.Degraded, len(f.Instances))
		}
	}
}

// What a gateway writes when its users come, and again after a loss.
func BenchmarkBind1000(b *testing.B) {
	r := benchRegistry(b)
	g, err := r.Register(b.Context(), registry.Instance{ID: "g", Kind: registrytest.Kind, Address: "x:1"})
	if err != nil {
		b.Fatal(err)
	}
	keys := make([]int64, 1000)
	for i := range keys {
		keys[i] = int64(i)
	}
	for b.Loop() {
		if err := g.Bind(b.Context(), "user", keys...); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBindOne(b *testing.B) {
	r := benchRegistry(b)
	g, err := r.Register(b.Context(), registry.Instance{ID: "g", Kind: registrytest.Kind, Address: "x:1"})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := g.Bind(b.Context(), "user", 1); err != nil {
			b.Fatal(err)
		}
	}
}

func benchRegistry(b *testing.B) registry.Registry {
	b.Helper()
	server := testenv.Redis(b)
	cfg := redis.DefaultConfig()
	cfg.Addresses, cfg.DB = []string{server.Address}, server.DB
	client, err := redis.Open(b.Context(), cfg, redis.Options{Name: "bench"}, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		b.Fatal(err)
	}
	r := registry.NewRedis(registry.DefaultConfig(), client, slog.New(slog.DiscardHandler), nil)
	b.Cleanup(func() {
		if err := r.Close(context.WithoutCancel(b.Context())); err != nil {
			b.Error(err)
		}
		client.Close()
	})
	return r
}
