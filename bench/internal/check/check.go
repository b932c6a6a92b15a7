package check

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	gochat "github.com/gochat-im/gochat/sdk/go"
)

// Violation is a promise that was broken.
type Violation struct {
	Promise string
	Detail  string
	// Conversation and Seq are the entry that it is about, where it is about one.
	Conversation string
	Seq          int64
	// Context is what the record has of that entry and its neighbours, a line each.
	Context []string
}

func (v *Violation) Error() string {
	text := v.Promise + ": " + v.Detail
	if v.Conversation != "" {
		text += fmt.Sprintf(" (conversation %s, seq %d)", v.Conversation, v.Seq)
	}
	return strings.Join(append([]string{text}, v.Context...), "\n")
}

func broken(promise, format string, args ...any) *Violation {
	return &Violation{Promise: promise, Detail: fmt.Sprintf(format, args...)}
}

// at names the entry that a violation is about.
func (v *Violation) at(conversation string, seq int64) *Violation {
	v.Conversation, v.Seq = conversation, seq
	return v
}

// The promises.
const (
	Gapless      = "seqs are 1, 2, 3… without holes"
	SameForAll   = "every member reads the same log"
	Stored       = "acknowledged means stored"
	Delivered    = "delivered means stored"
	Once         = "a client message id is stored once"
	RefusedGone  = "refused means not stored"
	Order        = "a sender's messages keep their order"
	Changed      = "every change is in the log and in what it changed"
	MembersWrite = "only members who are not muted write"
	MembersRead  = "nothing reaches who has left"
	Membership   = "who is a member is what the log says"
	LocalLog     = "every client's own log is the history"
	UnreadExact  = "unread counts are exact"
	OneOwner     = "a group has one owner, always"
	Dissolved    = "a group that is dissolved can only be left"
	LoggedOut    = "nothing reaches an ended login"
)

// history is what the log of each conversation says.
type history struct {
	record  *Record
	logs    map[string][]gochat.Entry       // by conversation
	members map[string]map[string]intervals // by conversation and user
	sends   map[[2]string]*Send             // by user and client message id
	changes map[string]map[int64][]*Change  // by conversation and seq
}

// Check returns the first promise that the record breaks, or nil.
func Check(r *Record) error {
	h := &history{
		record: r, logs: map[string][]gochat.Entry{}, members: map[string]map[string]intervals{},
		sends: map[[2]string]*Send{}, changes: map[string]map[int64][]*Change{},
	}
	for i := range r.Sends {
		h.sends[[2]string{r.Sends[i].User, r.Sends[i].ClientMsgID}] = &r.Sends[i]
	}
	for i := range r.Changes {
		c := &r.Changes[i]
		if h.changes[c.Conversation] == nil {
			h.changes[c.Conversation] = map[int64][]*Change{}
		}
		h.changes[c.Conversation][c.Seq] = append(h.changes[c.Conversation][c.Seq], c)
	}
	for _, step := range []func() error{
		h.checkReadings, h.checkOnce, h.checkSends, h.checkOrder, h.checkChanges, h.checkMembership, h.checkJoined, h.checkOwners,
		h.checkDissolved, h.checkWriters, h.checkFrames, h.checkEnds, h.checkLogs, h.checkUnread, h.checkCounts,
	} {
		err := step()
		if v, ok := errors.AsType[*Violation](err); ok {
			v.Context = h.around(v.Conversation, v.Seq)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkReadings holds every member's reading against the first, and that
// against its own numbering.
func (h *history) checkReadings() error {
	for _, reading := range h.record.Readings {
		first, ok := h.logs[reading.Conversation]
		if !ok {
			for i, e := range reading.Entries {
				if e.Seq != int64(i)+1 {
					return broken(Gapless, "seq %d at place %d for user %s", e.Seq, i+1, reading.User).at(reading.Conversation, int64(i)+1)
				}
			}
			h.logs[reading.Conversation] = reading.Entries
			continue
		}
		if len(first) != len(reading.Entries) {
			return broken(SameForAll, "conversation %s has %d entries for user %s and %d for another",
				reading.Conversation, len(reading.Entries), reading.User, len(first))
		}
		for i := range first {
			if difference := differ(first[i], reading.Entries[i]); difference != "" {
				return broken(SameForAll, "for user %s: %s", reading.User, difference).at(reading.Conversation, first[i].Seq)
			}
		}
	}
	return nil
}

// differ says what two entries do not have in common; "" when they are the
// same.
func differ(a, b gochat.Entry) string {
	if d := differInPlace(a, b); d != "" {
		return d
	}
	if a.Kind == gochat.KindMessage && (a.Content != b.Content || recalled(a) != recalled(b)) {
		return fmt.Sprintf("content %q (%s) and %q (%s)", a.Content, a.Status, b.Content, b.Status)
	}
	return ""
}

// differInPlace leaves out what edits and recalls change.
func differInPlace(a, b gochat.Entry) string {
	switch {
	case a.Seq != b.Seq:
		return fmt.Sprintf("seq %d and %d", a.Seq, b.Seq)
	case a.Kind != b.Kind:
		return fmt.Sprintf("kind %s and %s", a.Kind, b.Kind)
	case a.FromUserID != b.FromUserID:
		return fmt.Sprintf("from %s and %s", a.FromUserID, b.FromUserID)
	case a.UserID != b.UserID:
		return fmt.Sprintf("by %s and %s", a.UserID, b.UserID)
	case a.ClientMsgID != b.ClientMsgID:
		return fmt.Sprintf("client message id %s and %s", a.ClientMsgID, b.ClientMsgID)
	case a.TargetSeq != b.TargetSeq:
		return fmt.Sprintf("target %d and %d", a.TargetSeq, b.TargetSeq)
	case !slices.Equal(a.TargetUserIDs, b.TargetUserIDs):
		return fmt.Sprintf("about %v and %v", a.TargetUserIDs, b.TargetUserIDs)
	case !a.CreatedAt.Equal(b.CreatedAt):
		return fmt.Sprintf("time %s and %s", a.CreatedAt.Format(time.RFC3339Nano), b.CreatedAt.Format(time.RFC3339Nano))
	}
	return ""
}

func recalled(e gochat.Entry) bool { return e.Status == gochat.StatusRecalled }

func (h *history) checkOnce() error {
	where := map[[2]string]string{}
	for conversation, log := range h.logs {
		for _, e := range log {
			if e.Kind != gochat.KindMessage || e.ClientMsgID == "" {
				continue
			}
			key, here := [2]string{e.FromUserID, e.ClientMsgID}, fmt.Sprintf("%s seq %d", conversation, e.Seq)
			if there, twice := where[key]; twice {
				return broken(Once, "%s of user %s is at %s and at %s", e.ClientMsgID, e.FromUserID, there, here).at(conversation, e.Seq)
			}
			where[key] = here
			send := h.sends[key]
			switch {
			case send == nil:
				return broken(Stored, "%s holds a message that nobody sent", here).at(conversation, e.Seq)
			case send.Refusal != "":
				return broken(RefusedGone, "%s of user %s, sent at %s and refused (%s), is at %s",
					e.ClientMsgID, e.FromUserID, send.Started, send.Refusal, here).at(conversation, e.Seq)
			}
		}
	}
	return nil
}

// checkSends holds every ack against the history.
func (h *history) checkSends() error {
	for i := range h.record.Sends {
		s := &h.record.Sends[i]
		for _, seq := range s.Seqs {
			if seq != s.Seqs[0] {
				return broken(Once, "%s of user %s was acknowledged as seq %d and as %d", s.ClientMsgID, s.User, s.Seqs[0], seq)
			}
		}
		if len(s.Seqs) == 0 {
			continue
		}
		e, ok := h.entry(s.Conversation, s.Seqs[0])
		switch {
		case !ok:
			return broken(Stored, "%s of user %s is not there", s.ClientMsgID, s.User).at(s.Conversation, s.Seqs[0])
		case e.Kind != gochat.KindMessage || e.FromUserID != s.User || e.ClientMsgID != s.ClientMsgID:
			return broken(Stored, "in the place of %s of user %s is %s %s of user %s", s.ClientMsgID, s.User, e.Kind, e.ClientMsgID, e.FromUserID).
				at(s.Conversation, e.Seq)
		case e.Content != s.Content && len(h.changes[s.Conversation][e.Seq]) == 0:
			return broken(Stored, "%s of user %s holds %q, not %q", s.ClientMsgID, s.User, e.Content, s.Content).at(s.Conversation, e.Seq)
		}
	}
	return nil
}

// entry returns an entry of the history. A conversation that nobody reads any
// more has none.
func (h *history) entry(conversation string, seq int64) (gochat.Entry, bool) {
	log := h.logs[conversation]
	if seq < 1 || seq > int64(len(log)) {
		return gochat.Entry{}, false
	}
	return log[seq-1], true
}

// checkOrder: what was acknowledged before the next was sent comes before it,
// and so does what was sent before it in one lot.
func (h *history) checkOrder() error {
	bySender := map[[2]string][]*Send{}
	for i := range h.record.Sends {
		if s := &h.record.Sends[i]; len(s.Seqs) > 0 {
			key := [2]string{s.User, s.Conversation}
			bySender[key] = append(bySender[key], s)
		}
	}
	for _, sends := range bySender {
		slices.SortFunc(sends, func(a, b *Send) int { return cmp.Compare(a.Seqs[0], b.Seqs[0]) })
		places := map[int64]*Send{} // the last of each lot
		var latest *Send            // of the messages so far, the one that was begun last
		for _, s := range sends {
			if latest != nil && s.Acked < latest.Started {
				return misordered(s, latest)
			}
			if before := places[s.Lot]; s.Lot != 0 && before != nil && before.Place > s.Place {
				return misordered(s, before)
			}
			places[s.Lot] = s
			if latest == nil || s.Started > latest.Started {
				latest = s
			}
		}
	}
	return nil
}

func misordered(first, second *Send) error {
	return broken(Order, "user %s sent %s before %s, but they have the seqs %d and %d of conversation %s",
		first.User, first.ClientMsgID, second.ClientMsgID, first.Seqs[0], second.Seqs[0], first.Conversation).at(first.Conversation, second.Seqs[0])
}

// checkChanges holds every edit and recall that was answered against the log.
func (h *history) checkChanges() error {
	for conversation, bySeq := range h.changes {
		for seq, changes := range bySeq {
			e, ok := h.entry(conversation, seq)
			if !ok {
				continue // nobody reads it any more
			}
			if err := h.checkChanged(conversation, e, changes); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *history) checkChanged(conversation string, e gochat.Entry, changes []*Change) error {
	edits, recalls := 0, 0
	for _, event := range h.logs[conversation] {
		if event.TargetSeq == e.Seq && event.Kind == gochat.KindEdit {
			edits++
		} else if event.TargetSeq == e.Seq && event.Kind == gochat.KindRecall {
			recalls++
		}
	}
	done, isRecalled := 0, false
	for _, c := range changes {
		if c.Done > 0 && c.Recall {
			isRecalled = true
		} else if c.Done > 0 {
			done++
		}
	}
	where := fmt.Sprintf("conversation %s seq %d", conversation, e.Seq)
	switch {
	case edits < done:
		return broken(Changed, "%s was edited %d times, the log has %d edits", where, done, edits).at(conversation, e.Seq)
	case isRecalled && recalls != 1:
		return broken(Changed, "%s was recalled, the log has %d recalls", where, recalls).at(conversation, e.Seq)
	case recalls > 0 && (e.Content != "" || !recalled(e)):
		return broken(Changed, "%s is recalled but reads %q, status %s", where, e.Content, e.Status).at(conversation, e.Seq)
	case recalls > 0:
		return nil
	}
	return h.checkContent(where, e, changes, edits)
}

// checkContent: the content is that of the last edit, or of one that nothing
// tells from the last.
func (h *history) checkContent(where string, e gochat.Entry, changes []*Change, edits int) error {
	if edits == 0 {
		send := h.sends[[2]string{e.FromUserID, e.ClientMsgID}]
		if send != nil && e.Content != send.Content {
			return broken(Changed, "%s reads %q without an edit", where, e.Content)
		}
		return nil
	}
	for _, c := range changes {
		if c.Recall || c.Content != e.Content || c.Done == 0 && !c.Unknown {
			continue
		}
		for _, later := range changes {
			if !later.Recall && later.Done > 0 && c.Done > 0 && later.Started > c.Done {
				return broken(Changed, "%s reads %q, which a later edit replaced", where, e.Content)
			}
		}
		return nil
	}
	return broken(Changed, "%s reads %q, which no edit wrote", where, e.Content)
}
