package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

const maxContent = 1024

func decode(s string) (Frame, error) {
	var f Frame
	err := Decode([]byte(s), &f, maxContent)
	return f, err
}

func TestDecodeGood(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		in   string
		want Frame
	}{
		"message": {
			`{"type":"message","id":"7","data":{"conversation_id":"42","content":"h\u00e9\n\ud83d\ude00 <b>","message_type":"text","client_msg_id":"c1"}}`,
			Frame{Type: TypeMessage, ID: "7", ConversationID: 42, Content: "hé\n😀 <b>", MessageType: "text", ClientMsgID: "c1"},
		},
		"data first": {
			` { "data" : {"seq" : 9 , "conversation_id":"42"} , "id":"x","type":"read" } `,
			Frame{Type: TypeRead, ID: "x", ConversationID: 42, Seq: 9},
		},
		"lone surrogate": {
			`{"type":"message","data":{"conversation_id":"42","content":"\ud83dx","message_type":"text"}}`,
			Frame{Type: TypeMessage, ConversationID: 42, Content: "\ufffdx", MessageType: "text"},
		},
		"ping without data": {`{"type":"ping"}`, Frame{Type: TypePing}},
		"ping with data":    {`{"type":"ping","data":{}}`, Frame{Type: TypePing}},
		"open":              {`{"type":"open","data":{"conversation_id":"1"}}`, Frame{Type: TypeOpen, ConversationID: 1}},
		"auth":              {`{"type":"auth","data":{"token":"t"}}`, Frame{Type: TypeAuth, Token: "t"}},
		"sync cursor":       {`{"type":"sync","data":{"cursor":"abc"}}`, Frame{Type: TypeSync, Cursor: "abc", HasCursor: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := decode(tc.in)
			if err != nil {
				t.Fatal(err)
			}
			if got.Conversations != nil {
				t.Fatal("conversations set")
			}
			if !sameFrame(got, tc.want) {
				t.Fatalf("got %+v, want %+v", got, tc.want)
			}
		})
	}
	f, err := decode(`{"type":"sync","data":{"conversations":{"5":3,"6":0},"cursor":"abc"}}`)
	if err != nil || len(f.Conversations) != 2 || f.Conversations[5] != 3 || f.Cursor != "abc" {
		t.Fatalf("sync: %+v, %v", f, err)
	}
}

func sameFrame(a, b Frame) bool {
	a.Conversations, b.Conversations = nil, nil
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return bytes.Equal(x, y)
}

func TestDecodeBad(t *testing.T) {
	t.Parallel()
	msg := func(fields string) string { return `{"type":"message","data":{` + fields + `}}` }
	for name, tc := range map[string]struct{ in, field string }{
		"empty":             {``, ""},
		"array":             {`[]`, ""},
		"cut":               {`{"type":"ping"`, ""},
		"trailing":          {`{"type":"ping"} x`, ""},
		"two objects":       {`{"type":"ping"}{}`, ""},
		"trailing NUL":      {"{\"type\":\"ping\"}\x00", ""},
		"trailing comma":    {`{"type":"ping",}`, ""},
		"leading comma":     {`{,"type":"ping"}`, ""},
		"no type":           {`{"data":{}}`, "type"},
		"unknown type":      {`{"type":"nope"}`, "type"},
		"type number":       {`{"type":1}`, "type"},
		"type twice":        {`{"type":"ping","type":"ping"}`, "type"},
		"data twice":        {`{"type":"ping","data":{},"data":{}}`, "data"},
		"top unknown":       {`{"type":"ping","x":1}`, "x"},
		"id number":         {`{"type":"ping","id":1}`, "id"},
		"id long":           {`{"type":"ping","id":"` + strings.Repeat("x", 65) + `"}`, "id"},
		"data null":         {`{"type":"ping","data":null}`, "data"},
		"data array":        {`{"type":"ping","data":[]}`, "data"},
		"no data":           {`{"type":"message"}`, "conversation_id"},
		"foreign field":     {`{"type":"open","data":{"conversation_id":"1","seq":1}}`, "seq"},
		"mass assignment":   {msg(`"conversation_id":"1","content":"a","message_type":"text","from_user_id":"2"`), "from_user_id"},
		"field twice":       {msg(`"content":"a","content":"a"`), "content"},
		"escaped twice":     {msg(`"content":"a","\u0063ontent":"a"`), "content"},
		"id as number":      {msg(`"conversation_id":1`), "conversation_id"},
		"id zero":           {msg(`"conversation_id":"0"`), "conversation_id"},
		"id plus":           {msg(`"conversation_id":"+1"`), "conversation_id"},
		"id huge":           {msg(`"conversation_id":"9223372036854775808"`), "conversation_id"},
		"content number":    {msg(`"content":5`), "content"},
		"content empty":     {msg(`"content":""`), "content"},
		"content missing":   {msg(`"conversation_id":"1","message_type":"text"`), "content"},
		"type missing":      {msg(`"conversation_id":"1","content":"x"`), "message_type"},
		"type system":       {msg(`"message_type":"system"`), "message_type"},
		"seq float":         {`{"type":"read","data":{"conversation_id":"1","seq":1.5}}`, "seq"},
		"seq exponent":      {`{"type":"read","data":{"conversation_id":"1","seq":1e3}}`, "seq"},
		"seq negative":      {`{"type":"read","data":{"conversation_id":"1","seq":-1}}`, "seq"},
		"seq string":        {`{"type":"read","data":{"conversation_id":"1","seq":"1"}}`, "seq"},
		"seq huge":          {`{"type":"read","data":{"conversation_id":"1","seq":99999999999999999999}}`, "seq"},
		"seq leading zero":  {`{"type":"read","data":{"conversation_id":"1","seq":01}}`, ""},
		"client id long":    {msg(`"client_msg_id":"` + strings.Repeat("x", 65) + `"`), "client_msg_id"},
		"control character": {msg("\"content\":\"a\nb\""), ""},
		"not UTF-8":         {msg("\"content\":\"a\xffb\""), ""},
		"not UTF-8 escaped": {msg("\"content\":\"\\n\xff\""), ""},
		"U+0000":            {msg(`"content":"\u0000"`), ""},
		"bad escape":        {msg(`"content":"\x"`), ""},
		"bad hex":           {msg(`"content":"\u00g0"`), ""},
		"open string":       {msg(`"content":"abc`), ""},
		"deep":              {`{"data":` + strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20) + `,"type":"ping"}`, ""},
		"deep arrays":       {`{"data":` + strings.Repeat(`[`, 100000), ""},
		"map key":           {`{"type":"sync","data":{"conversations":{"a":1}}}`, "conversations"},
		"map twice":         {`{"type":"sync","data":{"conversations":{"1":1,"1":2}}}`, "conversations"},
		"map value":         {`{"type":"sync","data":{"conversations":{"1":-2}}}`, "conversations"},
		"map array":         {`{"type":"sync","data":{"conversations":[]}}`, "conversations"},
		"token missing":     {`{"type":"auth","data":{}}`, "token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := decode(tc.in)
			var e *errs.Error
			if !errors.As(err, &e) || e.Code != errs.Invalid {
				t.Fatalf("error %v", err)
			}
			if e.Details["field"] != tc.field {
				t.Fatalf("field %q, want %q (%v)", e.Details["field"], tc.field, err)
			}
		})
	}
	f, err := decode(`{"id":"9","type":"message","data":{"client_msg_id":"c","content":"` + strings.Repeat("x", maxContent+1) + `"}}`)
	if errs.CodeOf(err) != errs.TooLarge || f.ID != "9" || f.ClientMsgID != "c" {
		t.Fatalf("too large: %v, %+v", err, f)
	}
}

func TestMessageEncodesLikeItsStruct(t *testing.T) {
	t.Parallel()
	for _, e := range []*repopb.Event{
		{ConversationId: 7, Seq: 3, Kind: repopb.EventKind_EVENT_KIND_MESSAGE, UserId: 1, CreatedAt: 1700000000123, Content: "hi", MessageType: "text", Status: 1},
		{
			ConversationId: 1 << 60, Seq: 1 << 50, Kind: repopb.EventKind_EVENT_KIND_MESSAGE, UserId: 9, PeerId: 8, CreatedAt: 1700000000000, UpdatedAt: 1700000001001,
			Content: "<script>&\"\\/\u2028\u2029\x00\x1f\x7f\b\f\r\n\té😀\xff\xc3(", MessageType: "custom", ClientMsgId: "a\"b", Status: repopb.MessageStatus_MESSAGE_STATUS_RECALLED,
		},
	} {
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(MessageOf(e)); err != nil {
			t.Fatal(err)
		}
		got := AppendMessage(nil, e)
		if string(got) != strings.TrimSuffix(want.String(), "\n") {
			t.Errorf("got  %s\nwant %s", got, want.String())
		}
	}
}

func TestAnswersAreJSON(t *testing.T) {
	t.Parallel()
	e := &repopb.Event{ConversationId: 7, Seq: 3, CreatedAt: 1700000000123}
	for _, b := range [][]byte{
		AppendAck(nil, "f\"", "c<", e, true),
		AppendAck(nil, "", "", e, false),
		AppendError(nil, "x", "c", 1001, "no \xff", map[string]string{"b": "1", "a": "\""}),
		AppendError(nil, "", "", 1004, "", nil),
		AppendPointer(nil, "read", 1, 2, 3), AppendTyping(nil, 1, 2), AppendBehind(nil, 1, 2),
		AppendEmpty(nil, "pong", "1"),
		AppendObject(nil, "hello", "", Hello{SessionID: 1, UserID: 2}),
		AppendEntry(nil, &repopb.Event{ConversationId: 1, Seq: 2, Kind: repopb.EventKind_EVENT_KIND_RECALL, CreatedAt: 5}),
	} {
		var v struct {
			Type string         `json:"type"`
			Data map[string]any `json:"data"`
		}
		if err := json.Unmarshal(b, &v); err != nil || v.Type == "" || v.Data == nil || !utf8.Valid(b) {
			t.Errorf("%s: %v", b, err)
		}
	}
}

func TestSeal(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 125, 126, 65535, 65536} {
		b := Seal(append(NewText(n), bytes.Repeat([]byte("x"), n)...))
		header := map[bool]int{true: 2, false: 4}[n < 126]
		if n > 65535 {
			header = 10
		}
		if len(b) != header+n || b[0] != 0x81 {
			t.Errorf("%d: %d bytes, % x", n, len(b), b[:header])
		}
	}
}

func TestSyncCursor(t *testing.T) {
	t.Parallel()
	c := FormatSyncCursor(1700000000123)
	if v, err := ParseSyncCursor(c); err != nil || v != 1700000000123 {
		t.Fatalf("%d, %v", v, err)
	}
	for _, bad := range []string{"", "x", c + "A", c[:11], "!" + c[1:], "Ag" + c[2:], FormatSyncCursor(0), FormatSyncCursor(-1), c + "=", strings.Repeat("A", 1<<16)} {
		if _, err := ParseSyncCursor(bad); errs.CodeOf(err) != errs.Invalid {
			t.Errorf("%q accepted", bad)
		}
	}
}

func FuzzDecodeFrame(f *testing.F) {
	for _, s := range []string{
		`{"type":"message","id":"7","data":{"conversation_id":"42","content":"h\u00e9","message_type":"text","client_msg_id":"c1"}}`,
		`{"data":{"conversations":{"1":2}},"type":"sync"}`, `{"type":"ping"}`, `{"type":"read","data":{"conversation_id":"1","seq":1e3}}`,
		`{"type":"auth","data":{"token":"\ud83d\ude00"}}`, `[[[[[[[[[[`, "{\"type\":\"\xff\"}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var frame Frame
		err := Decode(b, &frame, maxContent)
		if err != nil {
			if c := errs.CodeOf(err); c != errs.Invalid && c != errs.TooLarge {
				t.Fatalf("code %v", c)
			}
			if out := AppendError(nil, frame.ID, frame.ClientMsgID, 1, err.Error(), errs.From(err).Details); !json.Valid(out) {
				t.Fatalf("error frame %q", out)
			}
			return
		}
		if !json.Valid(b) {
			t.Fatalf("accepted what encoding/json refuses: %q", b)
		}
		if !utf8.ValidString(frame.Content) || !utf8.ValidString(frame.ID) || len(frame.Content) > maxContent || frame.Seq < 0 || frame.ConversationID < 0 {
			t.Fatalf("bad frame %+v", frame)
		}
	})
}

func FuzzCursor(f *testing.F) {
	f.Add(FormatSyncCursor(1700000000123))
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		v, err := ParseSyncCursor(s)
		if err == nil && FormatSyncCursor(v) != s {
			t.Fatalf("%q is not the one form of %d", s, v)
		}
	})
}

func BenchmarkDecodeMessage(b *testing.B) {
	in := []byte(`{"type":"message","id":"1234","data":{"conversation_id":"387204871236485120","content":"` + strings.Repeat("x", 100) + `","message_type":"text","client_msg_id":"0123456789abcdef"}}`)
	b.ReportAllocs()
	for b.Loop() {
		var f Frame
		if err := Decode(in, &f, maxContent); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendEntry(b *testing.B) {
	e := &repopb.Event{ConversationId: 387204871236485120, Seq: 12345, Kind: 1, UserId: 387204871236485121, CreatedAt: 1700000000123, Content: strings.Repeat("x", 100), MessageType: "text"}
	b.ReportAllocs()
	for b.Loop() {
		Seal(AppendEntry(NewText(512), e))
	}
}
