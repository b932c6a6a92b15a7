package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/obs"
	"github.com/gochat-im/gochat/platform/rpc"
	"github.com/gochat-im/gochat/platform/rpc/rpctest"
)

func TestSecret(t *testing.T) {
	t.Parallel()
	e := &echo{}
	for _, reflected := range []bool{false, true} {
		cred := credentials(t, rpc.Config{Secret: secret, Reflection: reflected})
		at := start(t, "", cred, e)
		defer at.kill()
		rpctest.RefusesStrangers(t, at.address, secret, echoService)
		if n := e.calls.Load(); n != 0 {
			t.Fatalf("%d calls of strangers were handled", n)
		}
		conn := dial(t, rpc.NewDialer(cred, quiet, nil), at.address)
		if got, err := invoke(t.Context(), conn, onceMethod, []byte("x")); err != nil || string(got) != "x" {
			t.Errorf("a call with the secret: %q, %v", got, err)
		}
		if err := conn.Check(t.Context()); err != nil {
			t.Errorf("health: %v", err)
		}
		e.calls.Store(0)
	}
}

func TestWrongSecretIsTold(t *testing.T) {
	t.Parallel()
	at := start(t, "", credentials(t, rpc.Config{Secret: secret}), &echo{})
	defer at.kill()
	other := dial(t, rpc.NewDialer(credentials(t, rpc.Config{Secret: secret + "x"}), quiet, nil), at.address)
	if err := other.Check(t.Context()); !errors.Is(err, rpc.ErrRefused) {
		t.Errorf("check: %v", err)
	}
	// It is nothing that the user on whose behalf the call is made could be told to log in again for.
	if _, err := invoke(t.Context(), other, safeMethod, nil); errs.CodeOf(err) != errs.Unavailable || !errors.Is(err, rpc.ErrRefused) {
		t.Errorf("call: %v", err)
	}
}

// TestSecretChangesProcessByProcess goes through the rounds of docs/operations.md: in each, processes of before and
// after it call each other.
func TestSecretChangesProcessByProcess(t *testing.T) {
	t.Parallel()
	const next, stranger = secret + "-next", secret + "-other"
	rounds := []rpc.Config{{Secret: secret}, {Secret: secret, AlsoAccept: next}, {Secret: next, AlsoAccept: secret}, {Secret: next}}
	reaches := func(from, to rpc.Config) error {
		e := &echo{}
		at := start(t, "", credentials(t, to), e)
		defer at.kill()
		_, err := invoke(t.Context(), dial(t, rpc.NewDialer(credentials(t, from), quiet, nil), at.address), onceMethod, nil)
		return err
	}
	for i, before := range rounds {
		if err := reaches(before, before); err != nil {
			t.Errorf("within round %d: %v", i, err)
		}
		if err := reaches(rpc.Config{Secret: stranger}, before); !errors.Is(err, rpc.ErrRefused) {
			t.Errorf("another secret in round %d: %v", i, err)
		}
		if i+1 == len(rounds) {
			break
		}
		after := rounds[i+1]
		if err := errors.Join(reaches(before, after), reaches(after, before)); err != nil {
			t.Errorf("between the rounds %d and %d: %v", i, i+1, err)
		}
	}
	if err := reaches(rounds[0], rounds[3]); !errors.Is(err, rpc.ErrRefused) {
		t.Errorf("the old secret at the end: %v", err)
	}
}

func TestMTLS(t *testing.T) {
	t.Parallel()
	ca, strange := rpctest.NewCA(t), rpctest.NewCA(t)
	e := &echo{}
	at := start(t, "", credentials(t, rpc.Config{TLS: ca.Issue(t, "127.0.0.1")}), e)
	defer at.kill()
	foreign := strange.Issue(t, "127.0.0.1")
	rpctest.RefusesHandshake(t, "plaintext", at.address, insecure.NewCredentials(), echoService)
	rpctest.RefusesHandshake(t, "no certificate", at.address, ca.Anonymous(), echoService)
	rpctest.RefusesHandshake(t, "another authority's certificate", at.address, ca.Stranger(t, foreign), echoService)
	call := func(cfg rpc.TLSConfig) error {
		_, err := invoke(t.Context(), dial(t, rpc.NewDialer(credentials(t, rpc.Config{TLS: cfg}), quiet, nil), at.address), onceMethod, nil)
		return err
	}
	if err := call(foreign); errs.CodeOf(err) != errs.Unavailable {
		t.Errorf("a client of another authority: %v", err)
	}
	elsewhere := ca.Issue(t, "127.0.0.1")
	elsewhere.ServerName = "repo.example.org"
	if err := call(elsewhere); errs.CodeOf(err) != errs.Unavailable {
		t.Errorf("a server whose certificate is for another name: %v", err)
	}
	if n := e.calls.Load(); n != 0 {
		t.Fatalf("%d calls of strangers were handled", n)
	}
	if err := call(ca.Issue(t, "client.example.org")); err != nil {
		t.Errorf("a client of the authority: %v", err)
	}
}

func TestSecretAndMTLS(t *testing.T) {
	t.Parallel()
	ca := rpctest.NewCA(t)
	own := ca.Issue(t, "127.0.0.1")
	at := start(t, "", credentials(t, rpc.Config{Secret: secret, TLS: own}), &echo{})
	defer at.kill()
	for name, c := range map[string]struct {
		cfg  rpc.Config
		want errs.Code
	}{
		"both":                 {rpc.Config{Secret: secret, TLS: own}, errs.OK},
		"only the certificate": {rpc.Config{TLS: own}, errs.Unavailable},
		"only the secret":      {rpc.Config{Secret: secret}, errs.Unavailable},
	} {
		_, err := invoke(t.Context(), dial(t, rpc.NewDialer(credentials(t, c.cfg), quiet, nil), at.address), onceMethod, nil)
		if errs.CodeOf(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestSettingsThatProtectNothing(t *testing.T) {
	t.Parallel()
	ca := rpctest.NewCA(t)
	good := ca.Issue(t, "x")
	for name, c := range map[string]struct {
		cfg     rpc.Config
		setting string
	}{
		"nothing":         {rpc.Config{}, "secret:"},
		"short":           {rpc.Config{Secret: "abcdefghijklmnopqrstuvwxyz01234"}, "secret:"},
		"monotonous":      {rpc.Config{Secret: strings.Repeat("abc", 20)}, "secret:"},
		"not printable":   {rpc.Config{Secret: secret + "\n"}, "secret:"},
		"no key":          {rpc.Config{TLS: rpc.TLSConfig{Cert: good.Cert, CA: good.CA}}, "tls.key:"},
		"no authority":    {rpc.Config{TLS: rpc.TLSConfig{Cert: good.Cert, Key: good.Key}}, "tls.ca:"},
		"no such file":    {rpc.Config{TLS: rpc.TLSConfig{Cert: "/nowhere", Key: good.Key, CA: good.CA}}, "tls.cert:"},
		"a key as CA":     {rpc.Config{TLS: rpc.TLSConfig{Cert: good.Cert, Key: good.Key, CA: good.Key}}, "tls.ca:"},
		"both, one short": {rpc.Config{Secret: "x", TLS: good}, "secret:"},
		"weak second":     {rpc.Config{Secret: secret, AlsoAccept: "x"}, "also_accept:"},
		"second alone":    {rpc.Config{AlsoAccept: secret, TLS: good}, "also_accept:"},
	} {
		_, err := c.cfg.Credentials()
		if err == nil || !strings.HasPrefix(err.Error(), c.setting) {
			t.Errorf("%s: %v, want an error of %s", name, err, c.setting)
		}
		if err != nil && c.cfg.Secret != "" && len(c.cfg.Secret) > 1 && strings.Contains(err.Error(), c.cfg.Secret) {
			t.Errorf("%s: the error tells the secret", name)
		}
	}
}

func TestSecretIsNotLogged(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(writer(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return out.Write(p)
	}), &slog.HandlerOptions{Level: slog.LevelDebug}))
	cred := credentials(t, rpc.Config{Secret: secret})
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{answer: func(_ context.Context, n int64, _ []byte) ([]byte, error) {
		if n == 1 {
			panic("of a test")
		}
		return nil, errors.New("an error")
	}}
	s := rpc.Serve(l, cred, log, nil, nil, e.register)
	conn := dial(t, rpc.NewDialer(cred, log, nil), l.Addr().String())
	for range 2 {
		if _, err := invoke(t.Context(), conn, onceMethod, nil); err == nil {
			t.Error("no error")
		}
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(out.String(), "panic in a call") || strings.Contains(out.String(), secret) {
		t.Errorf("log:\n%s", out.String())
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func TestMessageSize(t *testing.T) {
	t.Parallel()
	cred := credentials(t, rpc.Config{Secret: secret, MaxMessageBytes: 1 << 20})
	e := &echo{answer: func(_ context.Context, _ int64, in []byte) ([]byte, error) { return append(in, in...), nil }}
	at := start(t, "", cred, e)
	defer at.kill()
	wide := credentials(t, rpc.Config{Secret: secret})
	for name, c := range map[string]struct {
		cred *rpc.Credentials
		size int
		want errs.Code
	}{
		"fits":                {cred, 500 << 10, errs.OK},
		"too large to send":   {cred, 2 << 20, errs.TooLarge},
		"too large to take":   {wide, 2 << 20, errs.TooLarge},
		"too large an answer": {cred, 700 << 10, errs.TooLarge},
	} {
		_, err := invoke(t.Context(), dial(t, rpc.NewDialer(c.cred, quiet, nil), at.address), onceMethod, make([]byte, c.size))
		if errs.CodeOf(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestWhatACallCarries(t *testing.T) {
	t.Parallel()
	cred := credentials(t, rpc.Config{Secret: secret})
	left := make(chan time.Duration, 1)
	e := &echo{answer: func(ctx context.Context, _ int64, _ []byte) ([]byte, error) {
		end, _ := ctx.Deadline()
		left <- time.Until(end)
		return []byte(obs.RequestID(ctx)), nil
	}}
	at := start(t, "", cred, e)
	defer at.kill()
	conn := dial(t, rpc.NewDialer(cred, quiet, nil), at.address)
	for _, timeout := range []time.Duration{0, 5 * time.Second, time.Hour} {
		ctx, cancel, most := obs.WithRequestID(t.Context(), "r-9"), context.CancelFunc(func() {}), rpc.DefaultTimeout
		if timeout != 0 {
			ctx, cancel = context.WithTimeout(ctx, timeout)
			most = timeout
		}
		id, err := invoke(ctx, conn, onceMethod, nil)
		cancel()
		if got := <-left; err != nil || string(id) != "r-9" || got > most || got < most-4*time.Second {
			t.Errorf("of a timeout of %v %v came over, with id %q (%v)", timeout, got, id, err)
		}
	}
}

func TestStopEndsStreams(t *testing.T) {
	t.Parallel()
	cred := credentials(t, rpc.Config{Secret: secret})
	at := start(t, "", cred, &echo{})
	conn := dial(t, rpc.NewDialer(cred, quiet, nil), at.address)
	watch, err := grpc_health_v1.NewHealthClient(conn).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: echoService})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := watch.Recv(); err != nil || r.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Fatalf("health: %v, %v", r, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := at.Stop(ctx); err != nil || ctx.Err() != nil {
		t.Errorf("a watcher kept the server from stopping: %v, %v", err, ctx.Err())
	}
}
