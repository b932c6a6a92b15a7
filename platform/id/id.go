// Package id makes the 63-bit ids of everything that has one: 41 bits of
// milliseconds since 2024-01-01 UTC and 22 random bits. The maker retries on
// the store's conflict; in JSON and URLs an id is its decimal string.
package id

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"strconv"
	"time"
)

const (
	epoch      = 1704067200000 // 2024-01-01T00:00:00Z in unix milliseconds
	randomBits = 22
)

// ErrMalformed is what Parse answers to anything that New cannot have made.
var ErrMalformed = errors.New("malformed id")

// New returns a new id of this millisecond.
func New() int64 {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand aborts the process instead
	random := binary.LittleEndian.Uint32(b[:]) & (1<<randomBits - 1)
	return (time.Now().UnixMilli()-epoch)<<randomBits | int64(random)
}

// Time returns the millisecond in which v was made.
func Time(v int64) time.Time { return time.UnixMilli(v>>randomBits + epoch) }

// Parse reads the decimal string of a positive id, in the one form that Format writes.
func Parse(s string) (int64, error) {
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil || v <= 0 || s[0] == '0' || s[0] == '+' {
		return 0, ErrMalformed
	}
	return v, nil
}

// Format writes the decimal string of an id; "" for 0.
func Format(v int64) string {
	if v == 0 {
		return ""
	}
	return strconv.FormatInt(v, 10)
}
