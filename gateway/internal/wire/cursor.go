package wire

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"

	"github.com/gochat-im/gochat/platform/errs"
)

const listCursorVersion = 1

// The lists that have cursors. A cursor of one is refused by another.
const (
	ListConversations byte = 'c'
	ListMembers       byte = 'm'
	ListRequests      byte = 'r'
	ListUsers         byte = 'u'
)

// ListCursor is a place in a list: numbers or a text, whichever orders the
// list. It names no user and grants nothing: a forged one only starts one's own
// list elsewhere.
type ListCursor struct {
	A, B int64
	Text string
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Format returns the opaque text of a place in a list.
func (c ListCursor) Format(list byte) string {
	b := make([]byte, 0, 32+len(c.Text))
	b = append(b, listCursorVersion, list)
	b = binary.AppendUvarint(b, uint64(c.A)) //nolint:gosec // read back as it was
	b = binary.AppendUvarint(b, uint64(c.B)) //nolint:gosec // read back as it was
	b = append(b, c.Text...)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return base64.RawURLEncoding.EncodeToString(b)
}

// ParseListCursor reads exactly what Format writes for the same list, and ""
// as the list's start; errs.Invalid otherwise.
func ParseListCursor(list byte, s string) (ListCursor, error) {
	if s == "" {
		return ListCursor{}, nil
	}
	forged := errs.InvalidField("cursor", "not a cursor of this list")
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) < 8 || b[0] != listCursorVersion || b[1] != list {
		return ListCursor{}, forged
	}
	rest := b[2 : len(b)-4]
	a, n := binary.Uvarint(rest)
	if n <= 0 {
		return ListCursor{}, forged
	}
	second, m := binary.Uvarint(rest[n:])
	if m <= 0 {
		return ListCursor{}, forged
	}
	c := ListCursor{A: int64(a), B: int64(second), Text: string(rest[n+m:])} //nolint:gosec // checked below
	if c.A < 0 || c.B < 0 || c.Format(list) != s {
		return ListCursor{}, forged
	}
	return c, nil
}
