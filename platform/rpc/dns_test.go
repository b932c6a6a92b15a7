package rpc_test

import (
	"net"
	"net/netip"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/gochat-im/gochat/platform/rpc"
)

// nameserver answers every question for an address with those that are set.
type nameserver struct {
	conn  net.PacketConn
	hosts atomic.Pointer[[]string]
}

func newNameserver(t *testing.T, hosts ...string) *nameserver {
	t.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameserver{conn: conn}
	s.hosts.Store(&hosts)
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 1024)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			if answer := s.answer(b[:n]); answer != nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return s
}

func (s *nameserver) answer(query []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(query) != nil || len(m.Questions) != 1 {
		return nil
	}
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
		for _, h := range *s.hosts.Load() {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1},
				Body:   &dnsmessage.AResource{A: netip.MustParseAddr(h).As4()},
			})
		}
	}
	packed, err := m.Pack()
	if err != nil {
		return nil
	}
	return packed
}

// What a name stands for changes while the process runs: an instance that goes is replaced by one that came.
func TestInstancesComeAndGoByName(t *testing.T) {
	t.Parallel()
	cred := credentials(t, rpc.Config{Secret: secret})
	a, b := &echo{}, &echo{}
	first := start(t, "", cred, a)
	_, port, err := net.SplitHostPort(first.address)
	if err != nil {
		t.Fatal(err)
	}
	second := start(t, "127.0.0.2:"+port, cred, b)
	names := newNameserver(t, "127.0.0.1")
	conn := dial(t, rpc.NewDialer(cred, quiet, nil), "dns://"+names.conn.LocalAddr().String()+"/echo.test:"+port)
	for range 20 {
		if _, err := invoke(t.Context(), conn, onceMethod, nil); err != nil {
			t.Fatal(err)
		}
	}
	if a.calls.Load() != 20 || b.calls.Load() != 0 {
		t.Fatalf("%d calls reached the named one, %d another", a.calls.Load(), b.calls.Load())
	}
	names.hosts.Store(&[]string{"127.0.0.2"})
	first.kill()
	eventually(t, "the new instance is found", func() bool {
		_, err := invoke(t.Context(), conn, onceMethod, nil)
		return err == nil && b.calls.Load() > 0
	})
	names.hosts.Store(&[]string{"127.0.0.1", "127.0.0.2"})
	second.kill()
	back := start(t, "127.0.0.1:"+port, cred, a)
	defer back.kill()
	again := start(t, "127.0.0.2:"+port, cred, b)
	defer again.kill()
	fromA, fromB := a.calls.Load(), b.calls.Load()
	eventually(t, "calls go to both", func() bool {
		_, _ = invoke(t.Context(), conn, onceMethod, nil)
		return a.calls.Load() > fromA+10 && b.calls.Load() > fromB+10
	})
}
