package check

import (
	"fmt"
	"strings"
	"time"

	gochat "github.com/gochat-im/gochat/sdk/go"
)

// neighbours is how many entries before and after one are told with it.
const neighbours = 3

// maxContext bounds the lines about one entry.
const maxContext = 20

// around tells what the record has of an entry: the log about it, and who got
// it when.
func (h *history) around(conversation string, seq int64) []string {
	if conversation == "" {
		return nil
	}
	var lines []string
	for s := seq - neighbours; s <= seq+neighbours; s++ {
		if e, ok := h.entry(conversation, s); ok {
			lines = append(lines, "  log: "+h.tell(e))
		}
	}
	for i := range h.record.Frames {
		if f := &h.record.Frames[i]; len(lines) < maxContext && f.Entry.ConversationID == conversation && f.Entry.Seq == seq {
			lines = append(lines, fmt.Sprintf("  %s: user %s (%s) got %s", f.At.Round(time.Millisecond), f.User, f.Device, h.tell(f.Entry)))
		}
	}
	for i := range h.record.Sends {
		if s := &h.record.Sends[i]; s.Conversation == conversation && len(s.Seqs) > 0 && s.Seqs[0] == seq {
			lines = append(lines, fmt.Sprintf("  %s: user %s sent %s, acknowledged as %v at %s",
				s.Started.Round(time.Millisecond), s.User, s.ClientMsgID, s.Seqs, s.Acked.Round(time.Millisecond)))
		}
	}
	return lines
}

// tell is an entry in a line, its content shortened.
func (h *history) tell(e gochat.Entry) string {
	content := e.Content
	if len(content) > 40 {
		content = strings.ToValidUTF8(content[:40], "") + "…"
	}
	return fmt.Sprintf("%d %s of %s%s %s%v target %d %q, stored at %s", e.Seq, e.Kind, e.FromUserID, e.UserID, e.ClientMsgID, e.TargetUserIDs,
		e.TargetSeq, content, e.CreatedAt.Sub(h.record.Began).Round(time.Millisecond))
}
