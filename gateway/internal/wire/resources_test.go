package wire

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/gochat-im/gochat/repo/repopb"
)

func TestIDs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{`"1"`: 1, `"8999999999999999999"`: 8999999999999999999, `"9223372036854775807"`: math.MaxInt64} {
		var v ID
		if err := json.Unmarshal([]byte(text), &v); err != nil || int64(v) != want {
			t.Errorf("%s: %d, %v", text, v, err)
		}
		if out, err := json.Marshal(v); err != nil || string(out) != text {
			t.Errorf("%s written as %s, %v", text, out, err)
		}
	}
	for _, text := range []string{`""`, `"0"`, `"-1"`, `"+1"`, `"01"`, `" 1"`, `"1 "`, `"1e3"`, `"9223372036854775808"`, `"0x1"`, `1`, `{}`} {
		var v ID
		if err := json.Unmarshal([]byte(text), &v); err == nil {
			t.Errorf("%s was read as %d", text, v)
		}
	}
}

func TestMessageIDs(t *testing.T) {
	t.Parallel()
	if c, n, err := ParseMessageID(MessageID(387204871236485120, 17)); err != nil || c != 387204871236485120 || n != 17 {
		t.Errorf("round trip: %d, %d, %v", c, n, err)
	}
	for _, text := range []string{"", "-", "1", "1-", "-1", "1-0", "0-1", "1--1", "1-2-3", "01-1", "1-01", "1-9223372036854775808", "1 -2"} {
		if c, n, err := ParseMessageID(text); err == nil {
			t.Errorf("%q was read as %d, %d", text, c, n)
		}
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	var v Time
	if err := v.UnmarshalText([]byte("2026-01-01T02:00:00.125999+02:00")); err != nil || v != 1_767_225_600_125 {
		t.Errorf("read: %d, %v", v, err)
	}
	if out, err := json.Marshal(v); err != nil || string(out) != `"2026-01-01T00:00:00.125Z"` {
		t.Errorf("written: %s, %v", out, err)
	}
	for _, text := range []string{"", "2026-01-01", "yesterday", "1767225600", "1969-12-31T23:59:59Z", "2026-13-01T00:00:00Z"} {
		if err := v.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

// Entries of every kind have exactly the fields that belong to them.
func TestEntries(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]*repopb.Event{
		`{"kind":"message","id":"5-1","conversation_id":"5","seq":1,"from_user_id":"7","content":"<&>","message_type":"text","status":"read","created_at":"1970-01-01T00:00:00.001Z","updated_at":"1970-01-01T00:00:00.002Z"}`: {
			ConversationId: 5, Seq: 1, Kind: repopb.EventKind_EVENT_KIND_MESSAGE, UserId: 7, Content: "<&>", MessageType: "text",
			Status: repopb.MessageStatus_MESSAGE_STATUS_READ, CreatedAt: 1, UpdatedAt: 2,
		},
		`{"kind":"message","id":"5-1","conversation_id":"5","seq":1,"from_user_id":"7","content":"","message_type":"text","status":"recalled","created_at":"1970-01-01T00:00:00.001Z"}`: {
			ConversationId: 5, Seq: 1, Kind: repopb.EventKind_EVENT_KIND_MESSAGE, UserId: 7, MessageType: "text",
			Status: repopb.MessageStatus_MESSAGE_STATUS_RECALLED, CreatedAt: 1,
		},
		`{"kind":"recall","id":"5-2","conversation_id":"5","seq":2,"target_seq":1,"user_id":"7","created_at":"1970-01-01T00:00:00.001Z"}`: {
			ConversationId: 5, Seq: 2, Kind: repopb.EventKind_EVENT_KIND_RECALL, UserId: 7, TargetSeq: 1, CreatedAt: 1, Content: "never this",
		},
		`{"kind":"role_changed","id":"5-3","conversation_id":"5","seq":3,"user_id":"7","message_type":"system","target_user_ids":["8"],"role":"admin","created_at":"1970-01-01T00:00:00.001Z"}`: {
			ConversationId: 5, Seq: 3, Kind: repopb.EventKind_EVENT_KIND_ROLE_CHANGED, UserId: 7, TargetUserIds: []int64{8}, Role: repopb.Role_ROLE_ADMIN, CreatedAt: 1,
		},
	} {
		out := encode(t, EntryOf(e))
		if out != want {
			t.Errorf("got  %s\nwant %s", out, want)
		}
	}
	if out := encode(t, EntriesOf(nil)); out != "[]" {
		t.Errorf("an empty page: %s", out)
	}
	if out := encode(t, HiddenOf(&repopb.Hidden{ConversationId: 5, Seq: 2})); out != `{"kind":"hidden","conversation_id":"5","target_seq":2}` {
		t.Errorf("hidden: %s", out)
	}
}

func encode(t *testing.T, v any) string {
	t.Helper()
	var b jsonBuffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return string(b[:len(b)-1])
}

type jsonBuffer []byte

func (b *jsonBuffer) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}

// Names and their parsers are each other's reverse.
func TestNames(t *testing.T) {
	t.Parallel()
	for _, r := range []repopb.Role{repopb.Role_ROLE_UNSPECIFIED, repopb.Role_ROLE_MEMBER, repopb.Role_ROLE_ADMIN, repopb.Role_ROLE_OWNER} {
		if ParseRole(Role(r)) != r {
			t.Errorf("role %v", r)
		}
	}
	for _, p := range []repopb.JoinPolicy{repopb.JoinPolicy_JOIN_POLICY_OPEN, repopb.JoinPolicy_JOIN_POLICY_APPROVAL, repopb.JoinPolicy_JOIN_POLICY_INVITE} {
		if ParseJoinPolicy(JoinPolicy(p)) != p {
			t.Errorf("policy %v", p)
		}
	}
	for k := range repopb.EventKind_name {
		if name := EventKind(repopb.EventKind(k)); (name == "") != (k == 0) {
			t.Errorf("kind %d is named %q", k, name)
		}
	}
}
