package testenv_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/gochat-im/gochat/platform/testenv"
)

// echo answers every connection with what it reads.
func echo(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c) // until the test closes it
			}()
		}
	}()
	return l.Addr().String()
}

func send(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, c net.Conn, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
		t.Fatalf("read %q, %v; want %q", got, err, text)
	}
}

func TestProxyCutsAndRestores(t *testing.T) {
	t.Parallel()
	p := testenv.Proxy(t, echo(t))
	c := dial(t, p.Address())
	defer c.Close()
	send(t, c, "hello")
	want(t, c, "hello")
	p.Cut()
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes from a cut connection", n)
	}
	if other, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", p.Address()); err == nil {
		other.Close()
		t.Error("a cut proxy takes connections")
	}
	p.Restore()
	again := dial(t, p.Address())
	defer again.Close()
	send(t, again, "back")
	want(t, again, "back")
	p.Reset()
	if _, err := again.Read(make([]byte, 1)); err == nil {
		t.Error("a reset connection was read from")
	}
	last := dial(t, p.Address())
	defer last.Close()
	send(t, last, "on")
	want(t, last, "on")
}

func TestProxyDelays(t *testing.T) {
	t.Parallel()
	const delay = 60 * time.Millisecond
	p := testenv.Proxy(t, echo(t))
	c := dial(t, p.Address())
	defer c.Close()
	p.Delay(delay)
	begin := time.Now()
	send(t, c, "slow")
	want(t, c, "slow")
	if d := time.Since(begin); d < 2*delay {
		t.Errorf("there and back took %v, want at least %v", d, 2*delay)
	}
}

func TestProxyStallsAndResumes(t *testing.T) {
	t.Parallel()
	p := testenv.Proxy(t, echo(t))
	c := dial(t, p.Address())
	defer c.Close()
	send(t, c, "a")
	want(t, c, "a")
	p.Stall()
	send(t, c, "b")
	if err := c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a stalled connection answers %v, want nothing at all", err)
	}
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	p.Resume()
	want(t, c, "b")
}
