package wire

import (
	"strings"
	"testing"

	"github.com/gochat-im/gochat/repo/repopb"
)

func TestSentTypeOf(t *testing.T) {
	t.Parallel()
	long := &repopb.Event{Kind: repopb.EventKind_EVENT_KIND_MESSAGE, Content: strings.Repeat("x", 200)}
	longer := &repopb.Event{Kind: repopb.EventKind_EVENT_KIND_MESSAGE, Content: strings.Repeat("x", 1<<16)}
	for want, frame := range map[string][]byte{
		"pong":       Seal(AppendEmpty(NewText(32), "pong", "id")),
		"message":    Seal(AppendEntry(NewText(32), long)),
		"event":      Seal(AppendEntry(NewText(32), &repopb.Event{Kind: repopb.EventKind_EVENT_KIND_EDIT})),
		"ack":        Seal(AppendAck(NewText(32), "1", "2", long, false)),
		"error":      Seal(AppendError(NewText(32), "", "", 1001, "no", nil)),
		"read":       Seal(AppendPointer(NewText(32), "read", 1, 2, 3)),
		"delivered":  Seal(AppendPointer(NewText(32), "delivered", 1, 2, 3)),
		"typing":     Seal(AppendTyping(NewText(32), 1, 2)),
		"hello":      Seal(AppendObject(NewText(32), "hello", "", Hello{})),
		"sync":       Seal(AppendObject(NewText(32), "sync", "", SyncDone{})),
		"disconnect": Seal(AppendObject(NewText(32), "disconnect", "", Disconnect{})),
		"control":    CloseFrame(4000, "message"),
	} {
		if got := SentTypeOf(frame).String(); got != want {
			t.Errorf("%q: %s, want %s", frame, got, want)
		}
	}
	if got := SentTypeOf(Seal(AppendEntry(NewText(32), longer))).String(); got != "message" {
		t.Errorf("a large message: %s", got)
	}
	for _, frame := range []string{"", "\x81", "\x81\x02{}", "\x81\x0c{\"type\":\"x\"}", "\x89\x01r"} {
		if got := SentTypeOf([]byte(frame)); got != 0 {
			t.Errorf("%q: %s", frame, got)
		}
	}
}
