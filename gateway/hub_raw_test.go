package gateway

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"testing"
	"time"
)

// rawReader reads frames from a socket without a library that would read ahead of the test.
type rawReader struct {
	nc net.Conn
	br *bufio.Reader
}

func (r *rawReader) next(t *testing.T) received {
	t.Helper()
	if r.br == nil {
		r.br = bufio.NewReader(r.nc)
	}
	_ = r.nc.SetReadDeadline(time.Now().Add(patience))
	var head [2]byte
	if _, err := io.ReadFull(r.br, head[:]); err != nil {
		t.Fatal(err)
	}
	size := uint64(head[1] & 0x7f)
	switch size {
	case 126:
		var n uint16
		_ = binary.Read(r.br, binary.BigEndian, &n)
		size = uint64(n)
	case 127:
		_ = binary.Read(r.br, binary.BigEndian, &size)
	}
	payload := make([]byte, size)
	if _, err := io.ReadFull(r.br, payload); err != nil {
		t.Fatal(err)
	}
	var v received
	if err := json.Unmarshal(payload, &v); err != nil {
		t.Fatalf("%q: %v", payload, err)
	}
	_ = json.Unmarshal(v.Data, &v.fields)
	return v
}
