package rawws

import "bytes"

// Number returns the decimal number that follows the first occurrence of key
// (for example `"seq":`) in a JSON text; false when there is none. It is a byte
// scan: key must not occur inside of a string before.
func Number(data, key []byte) (int64, bool) {
	_, rest, found := bytes.Cut(data, key)
	if !found {
		return 0, false
	}
	var n int64
	digits := 0
	for _, b := range rest {
		if b < '0' || b > '9' {
			break
		}
		n = n*10 + int64(b-'0')
		digits++
	}
	return n, digits > 0
}

// IsType reports whether a frame begins like one of that type.
func IsType(data []byte, kind string) bool {
	const prefix = `{"type":"`
	return len(data) > len(prefix)+len(kind) && string(data[:len(prefix)]) == prefix &&
		string(data[len(prefix):len(prefix)+len(kind)]) == kind && data[len(prefix)+len(kind)] == '"'
}
