package sqlstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

const (
	defaultMaxEvents = 500
	maxHiddenTold    = 1000
	maxLeftTold      = 10_000
)

// missed is one conversation that a sync visits: what its client has, and how far it goes.
type missed struct {
	c       Conversation
	after   int64 // the client has everything up to here…
	since   int64 // …or, when positive, everything up to this time
	only    int64 // when positive: this one event, of who left
	unknown bool  // the client did not name the conversation: it pages it
}

// errStateInvalid: the client holds what this store does not have, for it was put back to an earlier state or is another one.
var errStateInvalid = errs.New(errs.Conflict, "the position is not one of this server").With("reason", "state_invalid")

// errTooMuch: a sync tells of hidden messages and left groups in one go. Past its bounds the client starts anew, which
// finds them all, for not one may be missed in silence.
var errTooMuch = errs.New(errs.Conflict, "more has changed than a sync tells").With("reason", "state_invalid")

// maxCursorAhead is how far a cursor may lie ahead of the present one, in ms: processes' clocks differ.
const maxCursorAhead = 60_000

// Changes implements repo.Store. Conversations are visited by ascending id, so that a position is one place in all of
// them. What changes meanwhile in a part that was visited comes by the live stream, to which the client is attached.
func (s *Store) Changes(ctx context.Context, r *repopb.GetChangesRequest) (*repopb.GetChangesResponse, error) {
	resp := &repopb.GetChangesResponse{Cursor: r.GetPosition().GetCursor()}
	if resp.GetCursor() == 0 {
		cursor, err := s.engine.Cursor(ctx) // before anything is read
		if err != nil {
			return nil, err
		}
		resp.Cursor = cursor
	}
	if r.GetSince() == 0 && len(r.GetHave()) == 0 {
		return resp, nil
	}
	if r.GetSince() > resp.GetCursor()+maxCursorAhead {
		return nil, errStateInvalid
	}
	entries, err := s.engine.Overview(ctx, r.GetUserId())
	if err != nil {
		return nil, err
	}
	err = s.engine.Read(ctx, func(q Conn) error {
		resp.Events, resp.TooFar, resp.Reads, resp.Hidden, resp.Next = nil, nil, nil, nil, nil
		visit, err := findMissed(q, r, entries)
		if err != nil {
			return err
		}
		if r.GetPosition() == nil {
			if err := tellMarks(q, r, entries, resp); err != nil {
				return err
			}
		}
		slices.SortFunc(visit, func(a, b missed) int { return cmp.Compare(a.c.ID, b.c.ID) })
		return collect(q, r, visit, resp)
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// tellMarks adds the read pointers, and what the user hid, to a sync's first answer.
func tellMarks(q Conn, r *repopb.GetChangesRequest, entries []Entry, resp *repopb.GetChangesResponse) (err error) {
	if r.GetSince() == 0 {
		resp.Reads = knownPointers(entries, r.GetHave())
		return nil
	}
	resp.Reads = movedPointers(entries, r.GetSince())
	resp.Hidden, err = hiddenSince(q, r.GetUserId(), r.GetSince())
	return err
}

// findMissed compares what the client has with what there is: by its seq where it named one, else by its cursor. With
// neither it has nothing of the conversation.
func findMissed(q Conn, r *repopb.GetChangesRequest, entries []Entry) ([]missed, error) {
	var visit []missed
	present := make(map[int64]bool, len(entries))
	for i := range entries {
		m, c := entries[i].Member, entries[i].Conversation
		present[c.ID] = true
		seq, named := r.GetHave()[c.ID]
		switch {
		case named && seq > c.LastSeq:
			return nil, errStateInvalid
		case named && seq < c.LastSeq:
			visit = append(visit, missed{c: *c, after: max(seq, 0)})
		case named || c.LastSeq == 0:
		case r.GetSince() == 0:
			visit = append(visit, missed{c: *c, unknown: true})
		case c.UpdatedAt <= r.GetSince():
		case m.JoinedAt > r.GetSince() && m.JoinedSeq > 0:
			visit = append(visit, missed{c: *c, after: m.JoinedSeq - 1})
		default:
			visit = append(visit, missed{c: *c, since: r.GetSince()})
		}
	}
	return leftGroups(q, r, present, visit)
}

const LeftSinceQuery = "SELECT conversation_id, left_seq FROM members WHERE user_id = ? AND left_at > ? ORDER BY left_at LIMIT ?"

// leftGroups adds the ends of memberships that the client does not know of to visit.
func leftGroups(q Conn, r *repopb.GetChangesRequest, present map[int64]bool, visit []missed) ([]missed, error) {
	left := func(id, seq int64) {
		visit = append(visit, missed{c: Conversation{ID: id, Kind: repopb.ConversationType_CONVERSATION_TYPE_GROUP}, only: seq})
	}
	for id, seq := range r.GetHave() {
		if present[id] {
			continue
		}
		m, found, err := LoadMember(q, id, r.GetUserId())
		if err != nil {
			return nil, fmt.Errorf("read member: %w", err)
		}
		if found && m.LeftAt != 0 && m.LeftSeq > seq {
			left(id, m.LeftSeq)
		}
	}
	if r.GetSince() == 0 {
		return visit, nil
	}
	told := 0
	err := q.Query(LeftSinceQuery, func(row Row) error {
		told++
		if _, named := r.GetHave()[row.Int64(0)]; !named {
			left(row.Int64(0), row.Int64(1))
		}
		return nil
	}, r.GetUserId(), r.GetSince(), int64(maxLeftTold+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read left groups: %w", err)
	case told > maxLeftTold:
		return nil, errTooMuch
	}
	return visit, nil
}

// knownPointers are the read pointers in the conversations that the client named: it told no time, so all of them.
func knownPointers(entries []Entry, have map[int64]int64) []*repopb.ReadPointer {
	named := slices.DeleteFunc(slices.Clone(entries), func(e Entry) bool {
		_, ok := have[e.Conversation.ID]
		return !ok
	})
	return movedPointers(named, 0)
}

// movedPointers are the read pointers that moved after a time: one's own, and a one-to-one's peer's.
func movedPointers(entries []Entry, since int64) []*repopb.ReadPointer {
	var reads []*repopb.ReadPointer
	for i := range entries {
		m, c := entries[i].Member, entries[i].Conversation
		if m.ReadAt > since && m.ReadAt != m.JoinedAt {
			reads = append(reads, &repopb.ReadPointer{ConversationId: c.ID, UserId: m.UserID, Seq: m.ReadSeq})
		}
		if j := c.SideOf(m.UserID); j >= 0 {
			if peer := &c.Side[1-j]; peer.ReadAt > since && peer.ReadSeq > 0 {
				reads = append(reads, &repopb.ReadPointer{ConversationId: c.ID, UserId: peer.UserID, Seq: peer.ReadSeq})
			}
		}
	}
	return reads
}

func hiddenSince(q Conn, userID, since int64) ([]*repopb.Hidden, error) {
	var hidden []*repopb.Hidden
	err := q.Query("SELECT conversation_id, seq FROM hidden WHERE user_id = ? AND hidden_at > ? ORDER BY hidden_at LIMIT ?", func(r Row) error {
		hidden = append(hidden, &repopb.Hidden{ConversationId: r.Int64(0), Seq: r.Int64(1)})
		return nil
	}, userID, since, int64(maxHiddenTold+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read hidden messages: %w", err)
	case len(hidden) > maxHiddenTold:
		return nil, errTooMuch
	}
	return hidden, nil
}

// collect fills an answer from the position on until it is full. A conversation counts as one event even when it only
// says that it is too far.
func collect(q Conn, r *repopb.GetChangesRequest, visit []missed, resp *repopb.GetChangesResponse) error {
	budget := int64(r.GetMaxEvents())
	if budget <= 0 {
		budget = defaultMaxEvents
	}
	perConversation := int64(r.GetMaxPerConversation())
	if perConversation <= 0 {
		perConversation = defaultMaxEvents
	}
	at := r.GetPosition()
	for i := range visit {
		v := &visit[i]
		if v.c.ID < at.GetConversationId() {
			continue
		}
		resumed := at != nil && v.c.ID == at.GetConversationId()
		if budget <= 0 {
			resp.Next = &repopb.GetChangesPosition{ConversationId: v.c.ID, Seq: -1, Cursor: resp.GetCursor()}
			return nil
		}
		after, err := v.start(q)
		if err != nil {
			return err
		}
		if resumed && at.GetSeq() >= 0 {
			after = at.GetSeq()
		} else if v.unknown || v.only == 0 && v.c.LastSeq-after > perConversation {
			resp.TooFar = append(resp.TooFar, &repopb.TooFar{ConversationId: v.c.ID, AfterSeq: after, LastSeq: v.c.LastSeq})
			budget--
			continue
		}
		limit := budget
		if v.only != 0 {
			limit = 1
		}
		events, err := readEvents(q, &v.c, LogAfter, after, r.GetUserId(), limit)
		if err != nil {
			return err
		}
		if v.only == 0 { // nothing of after the moment at which the user was a member
			events = slices.DeleteFunc(events, func(ev *repopb.Event) bool { return ev.GetSeq() > v.c.LastSeq })
		}
		if err := blankHidden(q, v.c.ID, r.GetUserId(), events); err != nil {
			return err
		}
		resp.Events = append(resp.Events, events...)
		budget -= int64(len(events))
		if n := len(events); budget <= 0 && v.only == 0 && n > 0 && events[n-1].GetSeq() < v.c.LastSeq {
			resp.Next = &repopb.GetChangesPosition{ConversationId: v.c.ID, Seq: events[n-1].GetSeq(), Cursor: resp.GetCursor()}
			return nil
		}
	}
	return nil
}

// start is the last seq that the client has. Times grow with seqs, so the search from the end costs what is new.
func (v *missed) start(q Conn) (int64, error) {
	switch {
	case v.only != 0:
		return v.only - 1, nil
	case v.since == 0:
		return v.after, nil
	}
	seq, _, err := q.QueryInt("SELECT seq FROM messages WHERE conversation_id = ? AND created_at <= ? ORDER BY seq DESC LIMIT 1", v.c.ID, v.since)
	if err != nil {
		return 0, fmt.Errorf("find what is new: %w", err)
	}
	return seq, nil
}
