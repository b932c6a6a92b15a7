package e2e

import (
	"bufio"
	endian "encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// wireSocket is a WebSocket of which every bit is the test's own.
type wireSocket struct {
	net.Conn
	in     *bufio.Reader
	header http.Header // of the upgrade's answer
}

func (s *deployment) wireSocket(t testing.TB, headers string) *wireSocket {
	t.Helper()
	c := s.raw(t, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"+headers+"\r\n")
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade: %d", resp.StatusCode)
	}
	return &wireSocket{c, in, resp.Header}
}

const (
	finText, finPing, finClose = 0x81, 0x89, 0x88
	masked                     = 0x80
)

// frameOf is a client's frame, masked with zeros.
func frameOf(first byte, payload string) string {
	n := len(payload)
	var b []byte
	switch {
	case n < 126:
		b = []byte{first, masked | byte(n)}
	case n < 1<<16:
		b = endian.BigEndian.AppendUint16([]byte{first, masked | 126}, uint16(n)) //nolint:gosec // checked
	default:
		b = endian.BigEndian.AppendUint64([]byte{first, masked | 127}, uint64(n)) //nolint:gosec // a length
	}
	return string(b) + "\x00\x00\x00\x00" + payload
}

// verdict reads until the server ends the connection and returns its close code, 0 when none came.
func (w *wireSocket) verdict(t testing.TB) int {
	t.Helper()
	if err := w.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	code := 0
	for {
		var head [2]byte
		if _, err := io.ReadFull(w.in, head[:]); err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() { //nolint:errorlint // not wrapped
				t.Fatal("the server keeps the connection")
			}
			return code
		}
		n := int64(head[1])
		if n == 126 {
			var ext [2]byte
			if _, err := io.ReadFull(w.in, ext[:]); err != nil {
				return code
			}
			n = int64(endian.BigEndian.Uint16(ext[:]))
		}
		payload := make([]byte, n)
		if _, err := io.ReadFull(w.in, payload); err != nil {
			return code
		}
		if head[0] == finClose && n >= 2 {
			code = int(endian.BigEndian.Uint16(payload))
		}
	}
}

// What a stranger may do to the server before it knows who they are: nothing. Every connection ends, with a verdict.
func TestStrangersSockets(t *testing.T) {
	t.Parallel()
	s := deploy(t, "GOCHAT_GATEWAY_WEBSOCKET_AUTH_TIMEOUT=1s")
	a := register(t, s, "alice")
	const ping = `{"type":"ping"}`
	for name, c := range map[string]struct {
		bytes string
		codes []int
	}{
		"a frame over the limit":          {frameOf(finText, strings.Repeat("x", 20<<10)), []int{4501}},
		"2^62 bytes announced":            {"\x81\xff\x40\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", []int{4502}},
		"a negative length":               {"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", []int{4501}},
		"not masked":                      {"\x81\x0f" + ping, []int{4501}},
		"compressed, not agreed on":       {frameOf(0xc1, "\xaaV*\xa9,HU\xb2R*\xc8\xccKW\xaa\x05\x00"), []int{4501}},
		"a reserved kind of frame":        {frameOf(0x83, ""), []int{4501}},
		"a ping in parts":                 {frameOf(0x09, "x"), []int{4501}},
		"a ping over 125 bytes":           {frameOf(finPing, strings.Repeat("x", 126)), []int{4501}},
		"a part of nothing":               {frameOf(0x80, "x"), []int{4501}},
		"a frame within a frame":          {frameOf(0x01, "{") + frameOf(finText, ping), []int{4501}},
		"no WebSocket at all":             {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", []int{4501}},
		"a close code of no meaning":      {frameOf(finClose, "\x00\x01"), []int{4501}},
		"malformed frames":                {strings.Repeat(frameOf(finText, "{"), 50), []int{4508}},
		"frames of members":               {strings.Repeat(frameOf(finText, `{"type":"sync","data":{"conversations":{}}}`), 50), []int{4508}},
		"10^6 braces":                     {frameOf(finText, strings.Repeat(`{"data":`, 1000)) + frameOf(finText, strings.Repeat("[", 1<<20)), []int{4501}},
		"text that is not UTF-8":          {frameOf(finText, "{\"type\":\"\xff\xfe\"}") + strings.Repeat(frameOf(finText, "\xc3\x28"), 20), []int{4508}},
		"20,000 pings":                    {strings.Repeat(frameOf(finPing, "x"), 20_000), []int{4502, 4200}},
		"20,000 polite pings":             {strings.Repeat(frameOf(finText, ping), 20_000), []int{4502, 4200}},
		"50,000 parts of nothing":         {frameOf(0x01, "") + strings.Repeat(frameOf(0x00, ""), 50_000), []int{4502, 4501}},
		"half a frame":                    {"\x81\xfe\x10\x00\x00\x00\x00\x00{", []int{4502}},
		"nothing":                         {"", []int{4502}},
		"many wrong tokens":               {strings.Repeat(frameOf(finText, `{"type":"auth","data":{"token":"eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."}}`), 50), []int{4500}},
		"a huge token":                    {frameOf(finText, `{"type":"auth","data":{"token":"`+strings.Repeat("x", 8000)+`"}}`), []int{4500}},
		"a token of the wrong type":       {strings.Repeat(frameOf(finText, `{"type":"auth","data":{"token":["x"]}}`), 50), []int{4508}},
		"a token in pieces, then nothing": {frameOf(0x01, `{"type":"auth","data":{"token":"x`), []int{4502}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := s.wireSocket(t, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n")
			if x.header.Get("Sec-WebSocket-Extensions") != "" {
				t.Error("compression was agreed on")
			}
			go func() { _, _ = io.WriteString(x, c.bytes) }()
			if code := x.verdict(t); !slices.Contains(c.codes, code) {
				t.Errorf("ended with %d, want one of %v", code, c.codes)
			}
		})
	}
	t.Run("meanwhile", func(t *testing.T) {
		t.Parallel()
		w := a.dial(t)
		w.send(t, ping)
		w.until(t, "pong")
	})
}

// A page of another site that a member visits can open no socket in their name.
func TestForeignOrigins(t *testing.T) {
	t.Parallel()
	s := deploy(t, "GOCHAT_GATEWAY_WEBSOCKET_ALLOWED_ORIGINS=https://chat.example.org")
	a := register(t, s, "alice")
	host := s.gateway().address
	for origin, want := range map[string]int{
		"https://evil.example":                  http.StatusForbidden,
		"null":                                  http.StatusForbidden,
		"file://":                               http.StatusForbidden,
		"http://" + host + ".evil.example":      http.StatusForbidden,
		"http://evil.example/" + host:           http.StatusForbidden,
		"http://" + host + "@evil.example":      http.StatusForbidden,
		"https://chat.example.org.evil.example": http.StatusForbidden,
		"https://evilchat.example.org":          http.StatusForbidden,
		"http://chat.example.org":               http.StatusForbidden, // not the scheme that is allowed
		"https://chat.example.org":              http.StatusSwitchingProtocols,
		"http://x":                              http.StatusSwitchingProtocols, // the server's own, as Host says
	} {
		c := s.raw(t, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer "+a.token+"\r\nOrigin: "+origin+"\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("origin %s: %d, want %d", origin, resp.StatusCode, want)
		}
		if allowed := resp.Header.Get("Access-Control-Allow-Origin"); allowed == "*" {
			t.Errorf("origin %s may read: %s", origin, allowed)
		}
	}
}

// An authenticated client that floods its own socket slows nobody else's, and is answered or closed.
func TestFloodOfOneSlowsNobody(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a, b, mallory := register(t, s, "alice"), register(t, s, "bob"), register(t, s, "mallory")
	chat, w := single(t, a, b), b.dial(t)
	var wg sync.WaitGroup
	for _, flood := range []string{
		strings.Repeat(frameOf(finPing, strings.Repeat("p", 125)), 5000),
		strings.Repeat(frameOf(finText, `{"type":"ping","id":"`+strings.Repeat("i", 64)+`"}`), 5000), // and reads no answer
		strings.Repeat(frameOf(finText, `{"type":"sync","data":{"conversations":{`+unknownConversations(2000)+`}}}`), 20),
		strings.Repeat(frameOf(finText, `{"type":"typing","data":{"conversation_id":"`+nowhere+`"}}`), 3000),
	} {
		x := s.wireSocket(t, "Authorization: Bearer "+mallory.token+"\r\n")
		wg.Go(func() { _, _ = io.WriteString(x, flood) })
	}
	for i := range 50 {
		a.say(t, chat, fmt.Sprint(i))
		if f, _ := w.until(t, "message"); str(f.Data, "content") != fmt.Sprint(i) {
			t.Fatalf("message %d: %+v", i, f)
		}
	}
	wg.Wait()
}

func unknownConversations(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"46116860184273%05d":0`, i)
	}
	return b.String()
}
