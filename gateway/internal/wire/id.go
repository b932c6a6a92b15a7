package wire

import (
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gochat-im/gochat/platform/id"
)

// IDPattern is what the decimal string of an id looks like; everything that matches fits 63 bits.
const IDPattern = `^([1-9][0-9]{0,17}|[1-8][0-9]{18})$`

// ID is the id of a user, conversation, group or session: a decimal string in
// JSON, parsed strictly.
type ID int64

// MarshalText writes the decimal string.
func (v ID) MarshalText() ([]byte, error) { return strconv.AppendInt(nil, int64(v), 10), nil }

// UnmarshalText reads the one form that MarshalText writes; id.ErrMalformed otherwise.
func (v *ID) UnmarshalText(text []byte) error {
	n, err := id.Parse(string(text))
	if err != nil {
		return err
	}
	*v = ID(n)
	return nil
}

// Schema describes an id in the OpenAPI document.
func (ID) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeString, Pattern: IDPattern, PatternDescription: "an id: a positive decimal number",
		Examples: []any{"387204871236485120"},
	}
}

// IDs converts a list of ids.
func IDs(ids []int64) []ID {
	if len(ids) == 0 {
		return nil
	}
	out := make([]ID, len(ids))
	for i, v := range ids {
		out[i] = ID(v)
	}
	return out
}

// Int64s converts a list of ids back.
func Int64s(ids []ID) []int64 {
	if len(ids) == 0 {
		return nil
	}
	out := make([]int64, len(ids))
	for i, v := range ids {
		out[i] = int64(v)
	}
	return out
}

// AppendMessageID appends the public id of a log entry: "<conversation_id>-<seq>".
func AppendMessageID(dst []byte, conversationID, seq int64) []byte {
	dst = strconv.AppendInt(dst, conversationID, 10)
	dst = append(dst, '-')
	return strconv.AppendInt(dst, seq, 10)
}

// MessageID returns the public id of a log entry.
func MessageID(conversationID, seq int64) string {
	return string(AppendMessageID(make([]byte, 0, 40), conversationID, seq))
}

// ParseMessageID reads the one form that MessageID writes; id.ErrMalformed otherwise.
func ParseMessageID(s string) (conversationID, seq int64, err error) {
	c, n, ok := strings.Cut(s, "-")
	if !ok {
		return 0, 0, id.ErrMalformed
	}
	if conversationID, err = id.Parse(c); err != nil {
		return 0, 0, err
	}
	if seq, err = id.Parse(n); err != nil {
		return 0, 0, err
	}
	return conversationID, seq, nil
}
