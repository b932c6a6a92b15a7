package bench

import (
	"testing"

	gochat "github.com/gochat-im/gochat/sdk/go"
)

// What one client observes is only compared while it stands still.
func TestChanged(t *testing.T) {
	t.Parallel()
	count := func(total int64, conversations ...gochat.UnreadConversation) gochat.Unread {
		return gochat.Unread{Total: total, Conversations: conversations}
	}
	a, b := gochat.UnreadConversation{ConversationID: "a", Unread: 2, LastSeq: 5, ReadSeq: 3}, gochat.UnreadConversation{ConversationID: "b", Unread: 1, LastSeq: 1}
	read := a
	read.Unread, read.ReadSeq = 1, 4
	for name, c := range map[string]struct {
		before, after gochat.Unread
		want          string
	}{
		"the same":         {count(3, a, b), count(3, b, a), ""},
		"read":             {count(2, a), count(1, read), "conversation a went from 2 unread after 3 of 5 to 1 after 4 of 5"},
		"read to its end":  {count(3, a, b), count(2, a), "conversation b went from 1 unread after 0 of 1 to none"},
		"one more":         {count(2, a), count(3, a, b), "conversation b went from 0 unread after 0 of 0 to 1 after 0 of 1"},
		"the total only":   {count(2, a), count(3, a), "the total went from 2 to 3 with the same conversations"},
		"nothing any more": {count(2, a), count(0), "conversation a went from 2 unread after 3 of 5 to none"},
	} {
		if got := changed(c.before, c.after); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
