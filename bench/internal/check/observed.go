package check

import (
	"time"

	gochat "github.com/gochat-im/gochat/sdk/go"
)

// checkFrames: what arrived at sockets is in the history, and arrived at
// members only.
func (h *history) checkFrames() error {
	for i := range h.record.Frames {
		f := &h.record.Frames[i]
		conversation := f.Entry.ConversationID
		if _, read := h.logs[conversation]; !read {
			continue // nobody reads it any more
		}
		e, ok := h.entry(conversation, f.Entry.Seq)
		if !ok {
			return broken(Delivered, "user %s got seq %d of conversation %s, which has %d",
				f.User, f.Entry.Seq, conversation, len(h.logs[conversation])).at(conversation, f.Entry.Seq)
		}
		if d := differInPlace(e, f.Entry); d != "" {
			return broken(Delivered, "user %s got another entry: %s", f.User, d).at(conversation, e.Seq)
		}
		if e.Kind == gochat.KindMessage && !h.mayRead(conversation, e, f.Entry.Content) {
			return broken(Delivered, "user %s got %q, which nobody wrote", f.User, f.Entry.Content).at(conversation, e.Seq)
		}
		if err := h.checkReceiver(f); err != nil {
			return err
		}
	}
	return nil
}

// mayRead reports whether a message has had that content at some time.
func (h *history) mayRead(conversation string, e gochat.Entry, content string) bool {
	if content == e.Content {
		return true
	}
	if send := h.sends[[2]string{e.FromUserID, e.ClientMsgID}]; send != nil && content == send.Content {
		return true
	}
	for _, c := range h.changes[conversation][e.Seq] {
		if c.Content == content {
			return true
		}
	}
	return false
}

// checkReceiver: an entry reaches only who was a member then, or became one
// later and pulls what was before.
func (h *history) checkReceiver(f *Frame) error {
	conversation, seq := f.Entry.ConversationID, f.Entry.Seq
	memberships := h.members[conversation][f.User]
	if memberships.covers(seq) {
		return nil
	}
	ended := memberships.ended(seq)
	if memberships.next(seq) > 0 && h.joining(conversation, f.User, ended, f.At) {
		return nil
	}
	e, _ := h.entry(conversation, seq)
	return broken(MembersRead, "user %s got seq %d (%s of %s) of conversation %s, not being a member (%s): %s after the start, %s after it was stored",
		f.User, seq, e.Kind, e.CreatedAt.Format(time.StampMilli), conversation, memberships,
		f.At.Round(time.Millisecond), h.record.Began.Add(f.At).Sub(e.CreatedAt).Round(time.Millisecond)).at(conversation, seq)
}

// at is when an entry of the history was stored, by the record's clock.
func (h *history) at(conversation string, seq int64) time.Duration {
	e, ok := h.entry(conversation, seq)
	if !ok {
		return 0
	}
	return e.CreatedAt.Sub(h.record.Began)
}

// joining reports whether a call was under way or done at a time that may have
// made the user a member after the membership that the entry at seq ended (0:
// none).
func (h *history) joining(conversation, user string, ended int64, at time.Duration) bool {
	left := h.at(conversation, ended) - h.record.ClockSlack
	for _, j := range h.record.Joins {
		if j.User == user && j.Conversation == conversation && j.Started <= at && (j.Ended == 0 || ended == 0 || j.Ended >= left) {
			return true
		}
	}
	return false
}

// checkLogs: a client's own log is the history: all of it for a member, a
// beginning of it for who has left.
func (h *history) checkLogs() error {
	type key struct{ user, conversation string }
	have := map[key]bool{}
	for _, l := range h.record.Logs {
		have[key{l.User, l.Conversation}] = true
		log, read := h.logs[l.Conversation]
		if !read {
			continue
		}
		for i, e := range l.Entries {
			where := func(d string) error {
				return broken(LocalLog, "%s of user %s: %s", l.Device, l.User, d).at(l.Conversation, int64(i)+1)
			}
			if i >= len(log) {
				return where("beyond the history's end")
			}
			if d := differInPlace(log[i], e); d != "" {
				return where(d)
			}
			member := h.members[l.Conversation][l.User].now()
			if d := differ(log[i], e); d != "" && member {
				return where(d)
			}
		}
		if h.members[l.Conversation][l.User].now() && len(l.Entries) != len(log) {
			return broken(LocalLog, "%s of user %s has %d entries of %d", l.Device, l.User, len(l.Entries), len(log)).
				at(l.Conversation, int64(len(l.Entries))+1)
		}
	}
	for conversation, members := range h.members {
		for user, v := range members {
			if v.now() && len(h.logs[conversation]) > 0 && !have[key{user, conversation}] {
				return broken(LocalLog, "user %s has nothing of conversation %s", user, conversation)
			}
		}
	}
	return nil
}

// checkUnread counts again.
func (h *history) checkUnread() error {
	for _, u := range h.record.Unread {
		log, read := h.logs[u.Conversation]
		if !read {
			continue
		}
		var want int64
		for _, e := range log {
			if e.Seq > u.ReadSeq && e.Kind == gochat.KindMessage && e.FromUserID != u.User {
				want++
			}
		}
		switch {
		case u.Unread != want:
			return broken(UnreadExact, "user %s has %d unread in conversation %s, not %d (read up to %d)",
				u.User, want, u.Conversation, u.Unread, u.ReadSeq)
		case u.LastSeq != int64(len(log)):
			return broken(UnreadExact, "user %s sees conversation %s at seq %d, not %d", u.User, u.Conversation, u.LastSeq, len(log))
		case u.ReadSeq < u.ReadMin || u.ReadSeq > max(u.ReadMax, h.joined(u)):
			return broken(UnreadExact, "user %s has read conversation %s up to %d, not between %d and %d",
				u.User, u.Conversation, u.ReadSeq, u.ReadMin, max(u.ReadMax, h.joined(u)))
		}
	}
	return nil
}

// joined is the seq of the user's last join: new members start with everything
// before read.
func (h *history) joined(u Unread) int64 {
	v := h.members[u.Conversation][u.User]
	if len(v) == 0 {
		return 0
	}
	return v[len(v)-1].from
}

// checkCounts: both calls that count what is unread say the same.
func (h *history) checkCounts() error {
	listed := map[string]map[string]int64{} // by user and conversation
	for _, u := range h.record.Unread {
		if listed[u.User] == nil {
			listed[u.User] = map[string]int64{}
		}
		listed[u.User][u.Conversation] = u.Unread
	}
	for _, c := range h.record.Counts {
		var total int64
		for conversation, unread := range listed[c.User] {
			total += unread
			if c.Conversations[conversation] != unread {
				return broken(UnreadExact, "user %s has %d unread in conversation %s, but the list of conversations says %d",
					c.User, c.Conversations[conversation], conversation, unread)
			}
		}
		for conversation := range c.Conversations {
			if _, ok := listed[c.User][conversation]; !ok {
				return broken(UnreadExact, "user %s has unread in conversation %s, which is not in the list of conversations", c.User, conversation)
			}
		}
		if c.Total != total {
			return broken(UnreadExact, "user %s has %d unread in all, not %d", c.User, c.Total, total)
		}
	}
	return nil
}
