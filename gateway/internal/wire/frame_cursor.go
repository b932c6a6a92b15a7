package wire

import (
	"encoding/base64"
	"encoding/binary"

	"github.com/gochat-im/gochat/platform/errs"
)

const syncCursorVersion = 1

// A sync cursor is a version byte and a time, unix milliseconds. It names no
// user: a forged one only asks for more or less of one's own.

// FormatSyncCursor returns the opaque text of a sync cursor.
func FormatSyncCursor(t int64) string {
	var b [9]byte
	b[0] = syncCursorVersion
	binary.BigEndian.PutUint64(b[1:], uint64(t)) //nolint:gosec // read back as it was
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// ParseSyncCursor reads exactly what FormatSyncCursor writes.
func ParseSyncCursor(s string) (int64, error) {
	var b [9]byte
	if len(s) == base64.RawURLEncoding.EncodedLen(len(b)) {
		n, err := base64.RawURLEncoding.Strict().Decode(b[:], []byte(s))
		t := int64(binary.BigEndian.Uint64(b[1:])) //nolint:gosec // written from an int64
		if err == nil && n == len(b) && b[0] == syncCursorVersion && t > 0 {
			return t, nil
		}
	}
	return 0, errs.InvalidField("cursor", "not a cursor of this server")
}
