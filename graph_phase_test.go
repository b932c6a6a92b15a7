package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"testing"

	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"

	"github.com/gochat-im/gochat/platform/obs"
)

// A process takes no work before its last part has started, nor once its stop has begun, and says so.
func TestReadinessFollowsTheProcess(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ask := func(ctx context.Context) (status int, process string) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+l.Addr().String()+"/readyz", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		parts := map[string]string{}
		if err := json.NewDecoder(resp.Body).Decode(&parts); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, parts["process"]
	}
	want := func(ctx context.Context, status int, process string) {
		t.Helper()
		if s, p := ask(ctx); s != status || p != process {
			t.Errorf("%d, process %q; want %d, %q", s, p, status, process)
		}
	}
	heard := 0
	app := fx.New(
		fx.WithLogger(func() fxevent.Logger { return fxevent.NopLogger }),
		fx.Supply(slog.New(slog.DiscardHandler), &phase{}, condition(func() map[string]error { return nil })),
		fx.Provide(obs.NewRegistry),
		private(defaultConfig(), listeners{private: l}),
		fx.Invoke(func(lc fx.Lifecycle) { // any other part
			lc.Append(fx.StartStopHook(
				func(ctx context.Context) { heard++; want(ctx, http.StatusServiceUnavailable, "starting") },
				func(ctx context.Context) { heard++; want(ctx, http.StatusServiceUnavailable, "stopping") },
			))
		}),
		phases(),
	)
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(t.Context(), http.StatusOK, "")
	if err := app.Stop(t.Context()); err != nil || heard != 2 {
		t.Errorf("%v, asked %d times", err, heard)
	}
}
