package sqlite

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/gochat-im/gochat/repo/repopb"
)

const (
	defaultMaxEvents = 500
	maxHiddenTold    = 1000
)

// missed is one conversation that a sync visits: what its client has, and how far it goes.
type missed struct {
	c       conversation
	after   int64 // the client has everything up to here…
	since   int64 // …or, when positive, everything up to this time
	only    int64 // when positive: this one event, of who left
	unknown bool  // the client did not name the conversation: it pages it
}

// Changes implements repo.Store. Conversations are visited by ascending id, so that a position is one place in all of
// them. What changes meanwhile in a part that was visited comes by the live stream, to which the client is attached.
func (s *Store) Changes(ctx context.Context, r *repopb.GetChangesRequest) (*repopb.GetChangesResponse, error) {
	resp := &repopb.GetChangesResponse{Cursor: r.GetPosition().GetCursor()}
	if resp.GetCursor() == 0 {
		resp.Cursor = s.clock.cursor() // before anything is read
	}
	if r.GetSince() == 0 && len(r.GetHave()) == 0 {
		return resp, nil
	}
	entries, err := s.overview(ctx, r.GetUserId())
	if err != nil {
		return nil, err
	}
	first := r.GetPosition() == nil
	err = s.read(ctx, func(q *conn) error {
		resp.Events, resp.TooFar, resp.Reads, resp.Hidden, resp.Next = nil, nil, nil, nil, nil
		var visit []missed
		var err error
		if len(r.GetHave()) > 0 {
			visit, err = s.missedBySeq(q, r, entries)
		} else {
			visit, err = s.missedSince(q, r, entries)
			if err == nil && first {
				resp.Reads = movedPointers(entries, r.GetSince())
				resp.Hidden, err = hiddenSince(q, r.GetUserId(), r.GetSince())
			}
		}
		if err != nil {
			return err
		}
		slices.SortFunc(visit, func(a, b missed) int { return cmp.Compare(a.c.id, b.c.id) })
		return collect(q, r, visit, resp)
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// missedBySeq compares what the client has with what there is.
func (s *Store) missedBySeq(q *conn, r *repopb.GetChangesRequest, entries []entry) ([]missed, error) {
	var visit []missed
	present := make(map[int64]bool, len(entries))
	for i := range entries {
		c := &entries[i].c
		present[c.id] = true
		seq, known := r.GetHave()[c.id]
		if seq < c.lastSeq {
			visit = append(visit, missed{c: *c, after: max(seq, 0), unknown: !known})
		}
	}
	for id, seq := range r.GetHave() {
		if present[id] {
			continue
		}
		m, found, err := loadMember(q, id, r.GetUserId())
		if err != nil {
			return nil, fmt.Errorf("read member: %w", err)
		}
		if found && m.leftAt != 0 && m.leftSeq > seq {
			visit = append(visit, missed{c: conversation{id: id, kind: repopb.ConversationType_CONVERSATION_TYPE_GROUP}, only: m.leftSeq})
		}
	}
	return visit, nil
}

const leftSinceQuery = "SELECT conversation_id, left_seq FROM members WHERE user_id = ? AND left_at > ? ORDER BY left_at LIMIT ?"

// missedSince looks for what happened after a time.
func (s *Store) missedSince(q *conn, r *repopb.GetChangesRequest, entries []entry) ([]missed, error) {
	var visit []missed
	for i := range entries {
		m, c := &entries[i].m, &entries[i].c
		switch {
		case c.updatedAt <= r.GetSince():
		case m.joinedAt > r.GetSince() && m.joinedSeq > 0:
			visit = append(visit, missed{c: *c, after: m.joinedSeq - 1})
		default:
			visit = append(visit, missed{c: *c, since: r.GetSince()})
		}
	}
	err := q.query(leftSinceQuery, func(row *stmt) error {
		visit = append(visit, missed{
			c: conversation{id: row.int64(0), kind: repopb.ConversationType_CONVERSATION_TYPE_GROUP}, only: row.int64(1),
		})
		return nil
	}, r.GetUserId(), r.GetSince(), int64(maxPage))
	if err != nil {
		return nil, fmt.Errorf("read left groups: %w", err)
	}
	return visit, nil
}

// movedPointers are the read pointers that moved after a time: one's own, and a one-to-one's peer's.
func movedPointers(entries []entry, since int64) []*repopb.ReadPointer {
	var reads []*repopb.ReadPointer
	for i := range entries {
		m, c := &entries[i].m, &entries[i].c
		if m.readAt > since && m.readAt != m.joinedAt {
			reads = append(reads, &repopb.ReadPointer{ConversationId: c.id, UserId: m.userID, Seq: m.readSeq})
		}
		if j := c.sideOf(m.userID); j >= 0 {
			if peer := &c.side[1-j]; peer.readAt > since && peer.readSeq > 0 {
				reads = append(reads, &repopb.ReadPointer{ConversationId: c.id, UserId: peer.userID, Seq: peer.readSeq})
			}
		}
	}
	return reads
}

func hiddenSince(q *conn, userID, since int64) ([]*repopb.Hidden, error) {
	var hidden []*repopb.Hidden
	err := q.query("SELECT conversation_id, seq FROM hidden WHERE user_id = ? AND hidden_at > ? ORDER BY hidden_at LIMIT ?", func(r *stmt) error {
		hidden = append(hidden, &repopb.Hidden{ConversationId: r.int64(0), Seq: r.int64(1)})
		return nil
	}, userID, since, int64(maxHiddenTold))
	if err != nil {
		return nil, fmt.Errorf("read hidden messages: %w", err)
	}
	return hidden, nil
}

// collect fills an answer from the position on until it is full. A conversation counts as one event even when it only
// says that it is too far.
func collect(q *conn, r *repopb.GetChangesRequest, visit []missed, resp *repopb.GetChangesResponse) error {
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
		if v.c.id < at.GetConversationId() {
			continue
		}
		resumed := at != nil && v.c.id == at.GetConversationId()
		if budget <= 0 {
			resp.Next = &repopb.GetChangesPosition{ConversationId: v.c.id, Seq: -1, Cursor: resp.GetCursor()}
			return nil
		}
		after, err := v.start(q)
		if err != nil {
			return err
		}
		if resumed && at.GetSeq() >= 0 {
			after = at.GetSeq()
		} else if v.unknown || v.only == 0 && v.c.lastSeq-after > perConversation {
			resp.TooFar = append(resp.TooFar, &repopb.TooFar{ConversationId: v.c.id, AfterSeq: after, LastSeq: v.c.lastSeq})
			budget--
			continue
		}
		limit := budget
		if v.only != 0 {
			limit = 1
		}
		events, err := readEvents(q, &v.c, logAfter, after, r.GetUserId(), limit)
		if err != nil {
			return err
		}
		if err := blankHidden(q, v.c.id, r.GetUserId(), events); err != nil {
			return err
		}
		resp.Events = append(resp.Events, events...)
		budget -= int64(len(events))
		if n := len(events); budget <= 0 && v.only == 0 && n > 0 && events[n-1].GetSeq() < v.c.lastSeq {
			resp.Next = &repopb.GetChangesPosition{ConversationId: v.c.id, Seq: events[n-1].GetSeq(), Cursor: resp.GetCursor()}
			return nil
		}
	}
	return nil
}

// start is the last seq that the client has. Times grow with seqs, so the search from the end costs what is new.
func (v *missed) start(q *conn) (int64, error) {
	switch {
	case v.only != 0:
		return v.only - 1, nil
	case v.since == 0:
		return v.after, nil
	}
	seq, _, err := q.queryInt("SELECT seq FROM messages WHERE conversation_id = ? AND created_at <= ? ORDER BY seq DESC LIMIT 1", v.c.id, v.since)
	if err != nil {
		return 0, fmt.Errorf("find what is new: %w", err)
	}
	return seq, nil
}
