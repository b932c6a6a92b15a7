package gateway

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
)

// What a client sends arrives whole and in order, however it is cut, and a
// connection that has been read to the end holds no buffer.
func TestSocketReadsWhatCame(t *testing.T) {
	t.Parallel()
	for name, sizes := range map[string][]int{
		"a ping":                   {21},
		"just the buffer":          {readBuffer},
		"a frame":                  {210},
		"a frame and a ping":       {readBuffer + 146, 21},
		"more than a chunk":        {3 * 4096},
		"just a buffer and chunks": {readBuffer + 4096},
	} {
		hub := &Hub{}
		client, server := net.Pipe()
		c := &conn{hub: hub, nc: server, unread: []byte("early ")}
		want := []byte("early ")
		go func() {
			for i, n := range sizes {
				_, _ = client.Write(bytes.Repeat([]byte{byte('a' + i)}, n))
			}
			client.Close()
		}()
		for i, n := range sizes {
			want = append(want, strings.Repeat(string(rune('a'+i)), n)...)
		}
		got, err := io.ReadAll(&smallReads{(*socket)(c)})
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v; want %d", name, len(got), err, len(want))
		}
		if c.chunk != nil || c.unread != nil {
			t.Errorf("%s: a buffer is held", name)
		}
	}
}

// smallReads reads with a buffer of the library's size.
type smallReads struct{ r io.Reader }

func (s *smallReads) Read(p []byte) (int, error) { return s.r.Read(p[:min(len(p), readBuffer)]) }
