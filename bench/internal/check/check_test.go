package check_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gochat-im/gochat/bench/internal/check"
	gochat "github.com/gochat-im/gochat/sdk/go"
)

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(seconds int) time.Duration { return time.Duration(seconds) * time.Second }

func message(seq int64, user, key, content string) gochat.Entry {
	return gochat.Entry{
		Kind: gochat.KindMessage, ConversationID: "g", Seq: seq, FromUserID: user, ClientMsgID: key, Content: content,
		Status: gochat.StatusSent, CreatedAt: began.Add(at(int(seq))),
	}
}

func event(seq int64, kind, user string, target int64, users ...string) gochat.Entry {
	return gochat.Entry{
		Kind: kind, ConversationID: "g", Seq: seq, UserID: user, TargetSeq: target, TargetUserIDs: users,
		CreatedAt: began.Add(at(int(seq))),
	}
}

func ownership(seq int64, from, to string) gochat.Entry {
	e := event(seq, gochat.KindRoleChanged, from, 0, to)
	e.Role = gochat.RoleOwner
	return e
}

// whole is a run in which every promise was kept: ann owns a group that bob and
// cat join; bob's first message is edited, ann's recalled; cat is removed,
// misses bob's second message and comes back.
func whole() *check.Record {
	log := func() []gochat.Entry {
		recalled := message(4, "ann", "a1", "")
		recalled.Status = gochat.StatusRecalled
		return []gochat.Entry{
			event(1, gochat.KindCreated, "ann", 0),
			event(2, gochat.KindMemberJoined, "ann", 0, "bob", "cat"),
			message(3, "bob", "b1", "edited"),
			recalled,
			event(5, gochat.KindEdit, "bob", 3),
			event(6, gochat.KindRecall, "ann", 4),
			event(7, gochat.KindMemberRemoved, "ann", 0, "cat"),
			message(8, "bob", "b2", "while cat is away"),
			event(9, gochat.KindMemberJoined, "cat", 0, "cat"),
			message(10, "bob", "b3", "welcome back"),
		}
	}
	r := &check.Record{
		Began:         began,
		Conversations: []check.Conversation{{ID: "g", Initial: []string{"ann"}}},
		Sends: []check.Send{
			{User: "bob", Conversation: "g", ClientMsgID: "b1", Content: "plain", Started: at(2), Acked: at(3), Seqs: []int64{3, 3}},
			{User: "ann", Conversation: "g", ClientMsgID: "a1", Content: "secret", Started: at(3), Acked: at(4), Seqs: []int64{4}},
			{User: "bob", Conversation: "g", ClientMsgID: "b2", Content: "while cat is away", Started: at(7), Acked: at(10), Seqs: []int64{8}, Lot: 1},
			{User: "bob", Conversation: "g", ClientMsgID: "b3", Content: "welcome back", Started: at(7), Acked: at(10), Seqs: []int64{10}, Lot: 1, Place: 1},
			{User: "cat", Conversation: "g", ClientMsgID: "c1", Content: "let me in", Started: at(8), Refusal: "not a member"},
		},
		Changes: []check.Change{
			{Conversation: "g", Seq: 3, Content: "edited", Started: at(4), Done: at(5)},
			{Conversation: "g", Seq: 4, Recall: true, Started: at(5), Done: at(6)},
		},
		Joins: []check.Join{
			{User: "bob", Conversation: "g", Started: at(1), Ended: at(2)},
			{User: "cat", Conversation: "g", Started: at(1), Ended: at(2)},
			{User: "cat", Conversation: "g", Started: at(8), Ended: at(9)},
		},
		Groups: []check.Group{{User: "cat", Conversation: "g", OwnerID: "ann"}},
		Ends:   []check.End{{Device: "cat's phone", At: at(8)}},
		Frames: []check.Frame{
			{User: "ann", At: at(3), Entry: message(3, "bob", "b1", "plain")},
			{User: "cat", At: at(7), Entry: event(7, gochat.KindMemberRemoved, "ann", 0, "cat")},
			{User: "cat", At: at(9), Entry: message(8, "bob", "b2", "while cat is away")},
			{User: "ann", At: at(8), Entry: message(8, "bob", "b2", "while cat is away")},
		},
		Unread: []check.Unread{
			{User: "ann", Conversation: "g", Unread: 2, ReadSeq: 5, LastSeq: 10, ReadMin: 5, ReadMax: 5},
			{User: "cat", Conversation: "g", Unread: 1, ReadSeq: 9, LastSeq: 10},
		},
		Counts: []check.Count{{User: "ann", Total: 2, Conversations: map[string]int64{"g": 2}}},
	}
	for _, user := range []string{"ann", "bob", "cat"} {
		r.Readings = append(r.Readings, check.Reading{User: user, Conversation: "g", Entries: log()})
		r.Logs = append(r.Logs, check.Log{User: user, Conversation: "g", Entries: log()})
	}
	return r
}

func TestKeptPromises(t *testing.T) {
	t.Parallel()
	if err := check.Check(whole()); err != nil {
		t.Fatal(err)
	}
}

// everywhere changes the history itself, and with it all that is copied from it.
func everywhere(r *check.Record, f func(log []gochat.Entry) []gochat.Entry) {
	for i := range r.Readings {
		r.Readings[i].Entries = f(r.Readings[i].Entries)
	}
	for i := range r.Logs {
		r.Logs[i].Entries = f(r.Logs[i].Entries)
	}
}

func TestBrokenPromises(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		promise string
		breakIt func(r *check.Record)
	}{
		"a hole": {check.Gapless, func(r *check.Record) {
			everywhere(r, func(l []gochat.Entry) []gochat.Entry { return slices.Delete(l, 7, 8) })
		}},
		"a seq twice": {check.Gapless, func(r *check.Record) {
			everywhere(r, func(l []gochat.Entry) []gochat.Entry { return slices.Insert(l, 7, l[7]) })
		}},
		"a shorter history for one": {check.SameForAll, func(r *check.Record) { r.Readings[1].Entries = r.Readings[1].Entries[:9] }},
		"another content for one":   {check.SameForAll, func(r *check.Record) { r.Readings[1].Entries[7].Content = "x" }},
		"another time for one": {check.SameForAll, func(r *check.Record) {
			r.Readings[2].Entries[7].CreatedAt = began
		}},
		"stored twice": {check.Once, func(r *check.Record) {
			everywhere(r, func(l []gochat.Entry) []gochat.Entry { return append(l, message(11, "bob", "b2", "while cat is away")) })
		}},
		"two seqs for one message": {check.Once, func(r *check.Record) { r.Sends[0].Seqs = []int64{3, 8} }},
		"nobody sent it": {check.Stored, func(r *check.Record) {
			everywhere(r, func(l []gochat.Entry) []gochat.Entry { return append(l, message(11, "bob", "b9", "ghost")) })
		}},
		"an acknowledged message lost": {check.Stored, func(r *check.Record) {
			r.Sends = append(r.Sends, check.Send{User: "bob", Conversation: "g", ClientMsgID: "b4", Started: at(11), Acked: at(12), Seqs: []int64{11}})
		}},
		"an ack for another's seq": {check.Stored, func(r *check.Record) { r.Sends[2].Seqs = []int64{9} }},
		"another content than sent": {check.Stored, func(r *check.Record) {
			everywhere(r, func(l []gochat.Entry) []gochat.Entry { l[9].Content = "x"; return l })
		}},
		"refused and stored": {check.RefusedGone, func(r *check.Record) {
			everywhere(r, func(l []gochat.Entry) []gochat.Entry { return append(l, message(11, "cat", "c1", "let me in")) })
		}},
		"the later one first": {check.Order, func(r *check.Record) {
			r.Sends[2].Lot, r.Sends[3].Lot = 0, 0
			r.Sends[3].Acked, r.Sends[2].Started = at(8), at(9)
		}},
		"a lot out of order": {check.Order, func(r *check.Record) { r.Sends[2].Place = 2 }},
		"an edit that is not in the log": {check.Changed, func(r *check.Record) {
			r.Changes = append(r.Changes, check.Change{Conversation: "g", Seq: 10, Content: "welcome back", Started: at(11), Done: at(12)})
		}},
		"an edit that was lost": {check.Changed, func(r *check.Record) {
			everywhere(r, func(l []gochat.Entry) []gochat.Entry { l[2].Content = "plain"; return l })
		}},
		"an older edit won": {check.Changed, func(r *check.Record) {
			r.Changes = append(r.Changes, check.Change{Conversation: "g", Seq: 3, Content: "again", Started: at(11), Done: at(12)})
			everywhere(r, func(l []gochat.Entry) []gochat.Entry { return append(l, event(11, gochat.KindEdit, "bob", 3)) })
		}},
		"a recall that is not in the log": {check.Changed, func(r *check.Record) {
			r.Changes = append(r.Changes, check.Change{Conversation: "g", Seq: 10, Recall: true, Started: at(11), Done: at(12)})
		}},
		"recalled and readable": {check.Changed, func(r *check.Record) {
			everywhere(r, func(l []gochat.Entry) []gochat.Entry { l[3].Content = "secret"; return l })
		}},
		"a reader who is no member": {check.Membership, func(r *check.Record) {
			r.Readings = append(r.Readings, check.Reading{User: "dan", Conversation: "g", Entries: r.Readings[0].Entries})
		}},
		"a member who cannot read": {check.Membership, func(r *check.Record) { r.Readings = r.Readings[:2] }},
		"a leave of who is not there": {check.Membership, func(r *check.Record) {
			everywhere(r, func(l []gochat.Entry) []gochat.Entry { return append(l, event(11, gochat.KindMemberLeft, "dan", 0)) })
		}},
		"a message of who has left": {check.MembersWrite, func(r *check.Record) {
			r.Sends[2].User, r.Sends[2].Lot = "cat", 0
			everywhere(r, func(l []gochat.Entry) []gochat.Entry { l[7].FromUserID = "cat"; return l })
		}},
		"a message of who is muted": {check.MembersWrite, func(r *check.Record) {
			until := began.Add(at(9))
			mute := event(11, gochat.KindMemberMuted, "ann", 0, "bob")
			mute.MutedUntil = &until
			late := message(12, "bob", "b5", "hm")
			late.CreatedAt = began.Add(at(8))
			r.Sends = append(r.Sends, check.Send{User: "bob", Conversation: "g", ClientMsgID: "b5", Content: "hm", Started: at(8), Acked: at(12), Seqs: []int64{12}})
			everywhere(r, func(l []gochat.Entry) []gochat.Entry { return append(l, mute, late) })
		}},
		"seen and not stored": {check.Delivered, func(r *check.Record) {
			r.Frames = append(r.Frames, check.Frame{User: "ann", At: at(11), Entry: message(11, "bob", "b9", "ghost")})
		}},
		"seen as another's":         {check.Delivered, func(r *check.Record) { r.Frames[3].Entry.FromUserID = "ann" }},
		"seen with another content": {check.Delivered, func(r *check.Record) { r.Frames[3].Entry.Content = "x" }},
		"seen after leaving":        {check.MembersRead, func(r *check.Record) { r.Frames[2].At = at(7) }},
		"seen without ever joining": {check.MembersRead, func(r *check.Record) {
			r.Frames = append(r.Frames, check.Frame{User: "dan", At: at(8), Entry: message(8, "bob", "b2", "while cat is away")})
		}},
		"a message after the end": {check.Dissolved, func(r *check.Record) {
			r.Sends = append(r.Sends, check.Send{User: "bob", Conversation: "g", ClientMsgID: "b9", Content: "late", Started: at(11)})
			everywhere(r, func(l []gochat.Entry) []gochat.Entry {
				return append(l, event(11, gochat.KindDissolved, "ann", 0), message(12, "bob", "b9", "late"))
			})
		}},
		"a new name after the end": {check.Dissolved, func(r *check.Record) {
			everywhere(r, func(l []gochat.Entry) []gochat.Entry {
				return append(l, event(11, gochat.KindDissolved, "ann", 0), event(12, gochat.KindGroupUpdated, "ann", 0))
			})
		}},
		"an owner by another's hand": {check.OneOwner, func(r *check.Record) {
			everywhere(r, func(l []gochat.Entry) []gochat.Entry { return append(l, ownership(11, "bob", "bob")) })
		}},
		"an owner who has left": {check.OneOwner, func(r *check.Record) {
			everywhere(r, func(l []gochat.Entry) []gochat.Entry {
				return append(l, event(11, gochat.KindMemberLeft, "ann", 0, "ann"))
			})
			r.Readings = r.Readings[1:]
		}},
		"an owner who is made an admin": {check.OneOwner, func(r *check.Record) {
			everywhere(r, func(l []gochat.Entry) []gochat.Entry {
				e := event(11, gochat.KindRoleChanged, "ann", 0, "ann")
				e.Role = gochat.RoleAdmin
				return append(l, e)
			})
		}},
		"another owner for one":       {check.OneOwner, func(r *check.Record) { r.Groups[0].OwnerID = "bob" }},
		"a member whom nobody asked":  {check.Membership, func(r *check.Record) { r.Joins = r.Joins[:2] }},
		"a member before anybody did": {check.Membership, func(r *check.Record) { r.Joins[2].Started = at(10) }},
		"seen after logging out": {check.LoggedOut, func(r *check.Record) {
			f := r.Frames[2]
			f.Device, f.At, f.Entry = "cat's phone", at(10), message(10, "bob", "b3", "welcome back")
			r.Frames = append(r.Frames, f)
		}},
		"a log that misses the end": {check.LocalLog, func(r *check.Record) { r.Logs[0].Entries = r.Logs[0].Entries[:9] }},
		"a log with a hole":         {check.LocalLog, func(r *check.Record) { r.Logs[0].Entries = slices.Delete(r.Logs[0].Entries, 4, 5) }},
		"a log with an entry twice": {check.LocalLog, func(r *check.Record) {
			r.Logs[0].Entries = slices.Insert(r.Logs[0].Entries, 4, r.Logs[0].Entries[4])
		}},
		"a log without an edit": {check.LocalLog, func(r *check.Record) { r.Logs[0].Entries[2].Content = "plain" }},
		"a log without a recall": {check.LocalLog, func(r *check.Record) {
			r.Logs[0].Entries[3].Content, r.Logs[0].Entries[3].Status = "secret", gochat.StatusSent
		}},
		"no log":              {check.LocalLog, func(r *check.Record) { r.Logs = r.Logs[1:] }},
		"one unread too many": {check.UnreadExact, func(r *check.Record) { r.Unread[0].Unread++ }},
		"an old last seq":     {check.UnreadExact, func(r *check.Record) { r.Unread[0].LastSeq-- }},
		"two counts of one conversation": {check.UnreadExact, func(r *check.Record) {
			r.Counts[0].Conversations["g"], r.Counts[0].Total = 1, 1
		}},
		"unread in the list only": {check.UnreadExact, func(r *check.Record) {
			r.Counts = append(r.Counts, check.Count{User: "cat"})
		}},
		"unread outside the list":      {check.UnreadExact, func(r *check.Record) { r.Counts[0].Conversations["another"] = 1 }},
		"a total of its own":           {check.UnreadExact, func(r *check.Record) { r.Counts[0].Total++ }},
		"a read mark that was lost":    {check.UnreadExact, func(r *check.Record) { r.Unread[0].ReadMin = 6 }},
		"a read mark that nobody made": {check.UnreadExact, func(r *check.Record) { r.Unread[0].ReadMin, r.Unread[0].ReadMax = 4, 4 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := whole()
			c.breakIt(r)
			err := check.Check(r)
			violation, ok := errors.AsType[*check.Violation](err)
			if !ok || violation.Promise != c.promise {
				t.Fatalf("got %v, want a violation of %q", err, c.promise)
			}
		})
	}
}

// A violation tells what the record has of its entry.
func TestViolationHasItsContext(t *testing.T) {
	t.Parallel()
	r := whole()
	r.Frames[3].Entry.Content = "x"
	text := check.Check(r).Error()
	for _, part := range []string{"(conversation g, seq 8)", "log: 7 member_removed", "log: 8 message of bob", "user ann", "user bob sent b2"} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in:\n%s", part, text)
		}
	}
}

func TestWhatIsAllowed(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(r *check.Record){
		"a group that changes hands": func(r *check.Record) {
			everywhere(r, func(l []gochat.Entry) []gochat.Entry {
				return append(l, ownership(11, "ann", "bob"), event(12, gochat.KindMemberLeft, "ann", 0, "ann"))
			})
			r.Readings = r.Readings[1:]
			r.Logs = r.Logs[1:]
			r.Groups[0].OwnerID = "bob"
			r.Unread, r.Counts = nil, nil
		},
		"a dissolved group that its owner leaves": func(r *check.Record) {
			everywhere(r, func(l []gochat.Entry) []gochat.Entry {
				return append(l, event(11, gochat.KindDissolved, "ann", 0), event(12, gochat.KindMemberLeft, "ann", 0, "ann"))
			})
			r.Readings = r.Readings[1:]
			r.Logs = r.Logs[1:]
			r.Unread, r.Counts = nil, nil
		},
		"what was stored before a logout": func(r *check.Record) { r.Frames[1].Device = "cat's phone" },
		"an edit of unknown outcome that did not happen": func(r *check.Record) {
			r.Changes = append(r.Changes, check.Change{Conversation: "g", Seq: 10, Content: "x", Started: at(11), Unknown: true})
		},
		"a send of unknown outcome that was not stored": func(r *check.Record) {
			r.Sends = append(r.Sends, check.Send{User: "bob", Conversation: "g", ClientMsgID: "b9", Content: "x", Started: at(11)})
		},
		"a log that ends with the membership": func(r *check.Record) {
			everywhere(r, func(l []gochat.Entry) []gochat.Entry {
				return append(l, event(11, gochat.KindMemberLeft, "cat", 0, "cat"))
			})
			r.Readings = r.Readings[:2]
			r.Logs[2].Entries = r.Logs[2].Entries[:10]
			for i := range r.Unread {
				r.Unread[i].LastSeq = 11
			}
			r.Unread = r.Unread[:1]
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := whole()
			change(r)
			if err := check.Check(r); err != nil {
				t.Fatal(err)
			}
		})
	}
}
