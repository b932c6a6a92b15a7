package registry_test

import (
	"context"
	"testing"

	"github.com/gochat-im/gochat/platform/registry"
	"github.com/gochat-im/gochat/platform/registry/registrytest"
)

func TestEmbedded(t *testing.T) {
	t.Parallel()
	registrytest.Run(t, func(t *testing.T) registrytest.Open {
		r := registry.NewEmbedded()
		t.Cleanup(func() {
			if err := r.Close(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		})
		return func(*testing.T) registry.Registry { return r }
	})
}
