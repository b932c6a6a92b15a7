package gateway

import (
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gochat-im/gochat/gateway/internal/wire"
	"github.com/gochat-im/gochat/platform/errs"
)

var httpErrorType = reflect.TypeFor[httpError]()

// schemaName names a type in the document: errors are "Error", the rest by its Go name.
func schemaName(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == httpErrorType {
		return "Error"
	}
	name := huma.DefaultSchemaNamer(t, hint)
	return strings.ToUpper(name[:1]) + name[1:]
}

// pathID is an id in a path or query.
type pathID struct{ int64 }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *pathID) UnmarshalText(text []byte) error {
	var id wire.ID
	if err := id.UnmarshalText(text); err != nil {
		return err
	}
	v.int64 = int64(id)
	return nil
}

// Schema implements huma.SchemaProvider.
func (pathID) Schema(r huma.Registry) *huma.Schema { return wire.ID(0).Schema(r) }

// messageID is the public id of a message in a path.
type messageID struct{ conversationID, seq int64 }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *messageID) UnmarshalText(text []byte) (err error) {
	v.conversationID, v.seq, err = wire.ParseMessageID(string(text))
	return err
}

// Schema implements huma.SchemaProvider.
func (messageID) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeString, Pattern: `^[1-9][0-9]{0,18}-[1-9][0-9]{0,18}$`, PatternDescription: "a message id: <conversation_id>-<seq>",
		Examples: []any{"387204871236485120-17"},
	}
}

// optionalSeq is a seq in a query that may be absent.
type optionalSeq struct {
	seq int64
	set bool
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *optionalSeq) UnmarshalText(text []byte) error {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n < 0 || len(text) > 1 && (text[0] == '0' || text[0] == '+') {
		return errs.New(errs.Invalid, "expected a seq")
	}
	v.seq, v.set = n, true
	return nil
}

// Schema implements huma.SchemaProvider.
func (optionalSeq) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Pattern: `^(0|[1-9][0-9]{0,18})$`, PatternDescription: "a seq: a decimal number", Examples: []any{"42"}}
}

// optionalTime is a time in a body that may be absent; null, "" and times long
// past mean "not any more".
type optionalTime struct {
	unixMilli int64
	set       bool
	malformed bool
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *optionalTime) UnmarshalJSON(b []byte) error {
	v.set, v.unixMilli = true, 0
	text := strings.Trim(string(b), `"`)
	if text == "null" || text == "" || strings.HasPrefix(text, "0001-") {
		return nil
	}
	var t wire.Time
	v.malformed = t.UnmarshalText([]byte(text)) != nil // the handler knows the field's name
	v.unixMilli = int64(t)
	return nil
}

// Schema implements huma.SchemaProvider.
func (optionalTime) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Nullable: true, MaxLength: new(64), Examples: []any{"2026-03-01T09:30:00Z"}}
}

// Page is the part of a list's request that is the same for all lists.
type Page struct {
	Limit  int    `query:"limit" minimum:"1" default:"50" doc:"At most so many; more than 100 means 100."`
	Cursor string `query:"cursor" maxLength:"512" doc:"next_cursor of the page before."`
}

const maxPageLimit = 100

func (p Page) limit() int32 { return int32(min(p.Limit, maxPageLimit)) } //nolint:gosec // 1 to 100
