package sqlstore

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

// maxPage bounds one page of a log, whoever asks.
const maxPage = 10_000

// The four ways through a log. A shown page leaves out what its reader hid.
const (
	notHidden = " AND NOT EXISTS (SELECT 1 FROM hidden h WHERE h.user_id = ?4 AND h.conversation_id = m.conversation_id AND h.seq = m.seq)"

	LogBefore   = "SELECT " + eventColumns + " FROM messages m WHERE m.conversation_id = ?1 AND m.seq < ?2 ORDER BY m.seq DESC LIMIT ?3"
	LogAfter    = "SELECT " + eventColumns + " FROM messages m WHERE m.conversation_id = ?1 AND m.seq > ?2 ORDER BY m.seq LIMIT ?3"
	ShownBefore = "SELECT " + eventColumns + " FROM messages m WHERE m.conversation_id = ?1 AND m.seq < ?2 AND m.Kind IN " + shownKinds + notHidden + " ORDER BY m.seq DESC LIMIT ?3"
	ShownAfter  = "SELECT " + eventColumns + " FROM messages m WHERE m.conversation_id = ?1 AND m.seq > ?2 AND m.Kind IN " + shownKinds + notHidden + " ORDER BY m.seq LIMIT ?3"
)

// Messages implements repo.Store.
func (s *Store) Messages(ctx context.Context, r *repopb.GetMessagesRequest) (*repopb.GetMessagesResponse, error) {
	limit := int64(r.GetLimit())
	if limit < 1 || limit > maxPage {
		return nil, errs.InvalidField("limit", "must be 1 to %d", maxPage)
	}
	var resp *repopb.GetMessagesResponse
	err := s.engine.ReadLists(ctx, func(q Conn) error {
		resp = &repopb.GetMessagesResponse{}
		c, err := s.readable(q, r.GetConversationId(), r.GetUserId())
		if err != nil {
			return err
		}
		from := r.GetBeforeSeq()
		if r.GetAfterSet() {
			from = r.GetAfterSeq()
		} else if from == 0 {
			from = math.MaxInt64
		}
		query := map[[2]bool]string{
			{true, true}: LogAfter, {true, false}: ShownAfter, {false, true}: LogBefore, {false, false}: ShownBefore,
		}[[2]bool{r.GetAfterSet(), r.GetIncludeAll()}]
		resp.Events, err = readEvents(q, c, query, from, r.GetUserId(), limit+1)
		if err != nil {
			return err
		}
		if resp.HasMore = int64(len(resp.GetEvents())) > limit; resp.HasMore {
			resp.Events = resp.Events[:limit]
		}
		if !r.GetAfterSet() {
			slices.Reverse(resp.GetEvents())
		}
		if r.GetIncludeAll() {
			return blankHidden(q, c.ID, r.GetUserId(), resp.GetEvents())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// readable returns a conversation that a user may read now; user 0 is the server itself.
func (s *Store) readable(q Conn, conversationID, userID int64) (*Conversation, error) {
	if userID != 0 {
		m, found, err := LoadMember(q, conversationID, userID)
		if err != nil {
			return nil, fmt.Errorf("read member: %w", err)
		}
		if !found || !m.active() {
			return nil, errNoConversation
		}
	}
	c, ok := s.engine.Head(conversationID)
	if !ok {
		var err error
		if c, ok, err = LoadConversation(q, conversationID); err != nil {
			return nil, fmt.Errorf("read conversation: %w", err)
		}
	}
	if !ok {
		return nil, errNoConversation
	}
	return &c, nil
}

func readEvents(q Conn, c *Conversation, query string, from, userID, limit int64) ([]*repopb.Event, error) {
	var events []*repopb.Event
	args := []any{c.ID, from, limit}
	if query == ShownBefore || query == ShownAfter {
		args = append(args, userID)
	}
	err := q.Query(query, func(r Row) error {
		ev, err := scanEvent(r, c)
		events = append(events, ev)
		return err
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	return events, nil
}

// blankHidden takes the content from what a user hid, and from its edits: the log keeps its seqs without holes.
func blankHidden(q Conn, conversationID, userID int64, events []*repopb.Event) error {
	if len(events) == 0 || userID == 0 {
		return nil
	}
	hidden := map[int64]bool{}
	err := q.Query("SELECT seq FROM hidden WHERE user_id = ? AND conversation_id = ? AND seq <= ?", func(r Row) error {
		hidden[r.Int64(0)] = true
		return nil
	}, userID, conversationID, events[len(events)-1].GetSeq())
	if err != nil {
		return fmt.Errorf("read hidden messages: %w", err)
	}
	for _, ev := range events {
		if hidden[ev.GetSeq()] || ev.GetTargetSeq() != 0 && hidden[ev.GetTargetSeq()] {
			ev.Content = ""
		}
	}
	return nil
}
