package wire

import (
	"errors"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// ErrTime is what a time that is not RFC 3339, or not between 1970 and 9999, answers.
var ErrTime = errors.New("expected an RFC 3339 time")

// Time is unix milliseconds, RFC 3339 UTC with milliseconds in JSON. With
// omitempty 0 ("never") is left out.
type Time int64

// AppendTime appends the JSON text of unix milliseconds, without quotes.
func AppendTime(dst []byte, unixMilli int64) []byte {
	return time.UnixMilli(unixMilli).UTC().AppendFormat(dst, timeLayout)
}

// MarshalText writes RFC 3339.
func (t Time) MarshalText() ([]byte, error) { return AppendTime(nil, int64(t)), nil }

// UnmarshalText reads RFC 3339 of any zone and precision; ErrTime otherwise.
func (t *Time) UnmarshalText(text []byte) error {
	v, err := time.Parse(time.RFC3339, string(text))
	if err != nil || v.UnixMilli() <= 0 || v.UTC().Year() > 9999 {
		return ErrTime
	}
	*t = Time(v.UnixMilli())
	return nil
}

// Schema describes a time in the OpenAPI document.
func (Time) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "date-time", Examples: []any{"2026-03-01T09:30:00.125Z"}}
}
