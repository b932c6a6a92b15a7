package rpc_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/rpc"
)

func TestOnlyWhatIsMarkedIsRepeated(t *testing.T) {
	t.Parallel()
	cred := credentials(t, rpc.Config{Secret: secret})
	e := &echo{answer: func(_ context.Context, n int64, _ []byte) ([]byte, error) {
		if n < 3 {
			return nil, errs.New(errs.Unavailable, "not yet")
		}
		return nil, nil
	}}
	at := start(t, "", cred, e)
	defer at.kill()
	conn := dial(t, rpc.NewDialer(cred, quiet, nil), at.address)
	if _, err := invoke(t.Context(), conn, safeMethod, nil); err != nil || e.calls.Load() != 3 {
		t.Errorf("a marked call: %v after %d tries", err, e.calls.Load())
	}
	e.calls.Store(0)
	if _, err := invoke(t.Context(), conn, onceMethod, nil); errs.CodeOf(err) != errs.Unavailable || e.calls.Load() != 1 {
		t.Errorf("a call that is not marked: %v after %d tries", err, e.calls.Load())
	}
	e.calls.Store(-1 << 40)
	e.answer = func(context.Context, int64, []byte) ([]byte, error) { return nil, errs.New(errs.Internal, "broken") }
	before := e.calls.Load()
	if _, err := invoke(t.Context(), conn, safeMethod, nil); errs.CodeOf(err) != errs.Internal || e.calls.Load() != before+1 {
		t.Errorf("an answer was asked for %d times: %v", e.calls.Load()-before, err)
	}
}

// Of two instances one is killed and comes back while calls go on: marked ones never fail, and both get some in the end.
func TestAnInstanceDiesAndReturns(t *testing.T) {
	t.Parallel()
	cred := credentials(t, rpc.Config{Secret: secret})
	a, b := &echo{}, &echo{}
	first, second := start(t, "", cred, a), start(t, "", cred, b)
	defer second.kill()
	conn := dial(t, rpc.NewDialer(cred, quiet, nil), first.address+","+second.address)

	var failed, made atomic.Int64
	var last atomic.Value
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			default:
			}
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			if _, err := invoke(ctx, conn, safeMethod, []byte("x")); err != nil {
				failed.Add(1)
				last.Store(err)
			}
			cancel()
			made.Add(1)
		}
	}()
	calls := func(e *echo) func() bool {
		from := e.calls.Load()
		return func() bool { return e.calls.Load() > from+20 }
	}
	eventually(t, "calls reach the first", calls(a))
	eventually(t, "calls reach the second", calls(b))
	first.kill()
	eventually(t, "calls go on at the second", calls(b))
	first = start(t, first.address, cred, a)
	defer first.kill()
	eventually(t, "calls reach the one that is back", calls(a))
	close(stop)
	<-ended
	if failed.Load() > 0 {
		t.Errorf("%d of %d calls failed, the last with %v", failed.Load(), made.Load(), last.Load())
	}
}

func TestBreaker(t *testing.T) {
	t.Parallel()
	cred := credentials(t, rpc.Config{Secret: secret})
	var down atomic.Bool
	e := &echo{answer: func(context.Context, int64, []byte) ([]byte, error) {
		if down.Load() {
			return nil, errs.New(errs.Unavailable, "down")
		}
		return nil, errs.New(errs.Conflict, "an answer, if not a nice one")
	}}
	at := start(t, "", cred, e)
	defer at.kill()
	reg := prometheus.NewRegistry()
	conn := dial(t, rpc.NewDialer(cred, quiet, rpc.NewMetrics(reg)), at.address)
	state := func() float64 {
		n, err := testutil.GatherAndCount(reg, "gochat_rpc_breaker_state")
		if err != nil || n != 1 {
			t.Fatalf("%d breakers, %v", n, err)
		}
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "gochat_rpc_breaker_state" {
				return f.GetMetric()[0].GetGauge().GetValue()
			}
		}
		return -1
	}
	call := func() error {
		_, err := invoke(t.Context(), conn, onceMethod, nil)
		return err
	}
	for range 50 { // errors that are answers
		if err := call(); errs.CodeOf(err) != errs.Conflict {
			t.Fatal(err)
		}
	}
	for range 50 { // callers that hang up
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, _ = invoke(ctx, conn, onceMethod, nil)
	}
	if state() != 0 {
		t.Fatalf("state %v after answers", state())
	}
	down.Store(true)
	eventually(t, "the breaker opens", func() bool { _ = call(); return state() == 2 })
	handled := e.calls.Load()
	err := call()
	if errs.CodeOf(err) != errs.Unavailable || errs.From(err).Details["retry_after_ms"] == "" || e.calls.Load() != handled {
		t.Errorf("an open breaker let a call through: %v", err)
	}
	eventually(t, "a probe is let through, and the breaker opens again", func() bool {
		_ = call()
		return e.calls.Load() > handled && state() == 2
	})
	down.Store(false)
	eventually(t, "the breaker closes", func() bool { _ = call(); return state() == 0 })
	if err := call(); errs.CodeOf(err) != errs.Conflict {
		t.Errorf("a closed breaker: %v", err)
	}
}

func TestCheckTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	cred := credentials(t, rpc.Config{Secret: secret})
	at := start(t, "", cred, &echo{})
	d := rpc.NewDialer(cred, quiet, nil)
	other, err := d.Dial(rpc.Target{Name: "health", Address: at.address, Service: "grpc.health.v1.Health", Needed: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Check(t.Context()); !errors.Is(err, rpc.ErrNotServed) {
		t.Errorf("a contract that is not served there: %v", err)
	}
	conn := dial(t, d, at.address)
	if needed := d.Needed(); len(needed) != 1 || needed[0] != other {
		t.Errorf("needed: %v", needed)
	}
	for range 2 {
		if err := other.Close(); err != nil || len(d.Needed()) != 0 {
			t.Errorf("a closed connection is still needed, %v", err)
		}
	}
	if err := conn.Check(t.Context()); err != nil {
		t.Error(err)
	}
	at.kill()
	if err := conn.Check(t.Context()); errs.CodeOf(err) != errs.Unavailable {
		t.Errorf("nobody there: %v", err)
	}
	for _, bad := range []string{"", "host", "dns:///", "dns:///host", ":1", "a:1,", "a:1,b"} {
		if rpc.CheckAddress(bad) == nil {
			t.Errorf("address %q is accepted", bad)
		}
	}
	for _, good := range []string{"host:1", "dns:///host:1", "dns://1.1.1.1/host:1", "a:1,b:2", "[::1]:9"} {
		if err := rpc.CheckAddress(good); err != nil {
			t.Error(err)
		}
	}
}
