package sqlite

import (
	"context"
	"fmt"
	"slices"

	"github.com/gochat-im/gochat/repo/internal/sqlstore"
)

// overview returns a user's conversations, in no order. cached is false when the list is not in memory; missing are
// those whose conversation is not.
func (s *state) overview(userID int64) (entries []sqlstore.Entry, missing []int64, cached bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	l, cached := s.lists[userID]
	if !cached {
		return nil, nil, false
	}
	entries = make([]sqlstore.Entry, 0, len(l.rows))
	for id, r := range l.rows {
		if c, ok := s.conversations[id]; ok {
			entries = append(entries, sqlstore.Entry{Member: r.member, Conversation: c})
		} else {
			missing = append(missing, id)
		}
	}
	return entries, missing, true
}

// page is overview of the part of the list behind a place.
func (s *state) page(userID int64, behind sqlstore.Place, limit int) (entries []sqlstore.Entry, more bool, missing []int64, cached bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	l, cached := s.lists[userID]
	if !cached {
		return nil, false, nil, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if missing = l.settle(&s.moves, s.conversations); len(missing) > 0 {
		return nil, false, missing, true
	}
	rows, more := l.page(behind, limit)
	entries = make([]sqlstore.Entry, 0, len(rows))
	for _, r := range rows {
		if c, ok := s.conversations[r.place.ID]; ok {
			entries = append(entries, sqlstore.Entry{Member: r.member, Conversation: c})
		} else {
			missing = append(missing, r.place.ID)
		}
	}
	return entries, more, missing, true
}

// overviewTries is how often the caches are filled before the database is read as a whole: they may be too small.
const overviewTries = 3

// fromMemory runs read, which is overview or page, until it lacks nothing; false when it always does.
func (s *Store) fromMemory(ctx context.Context, userID int64, read func() (missing []int64, cached bool)) (bool, error) {
	for range overviewTries {
		missing, cached := read()
		if cached && len(missing) == 0 {
			return true, nil
		}
		var err error
		if cached {
			err = s.loadConversations(ctx, missing)
		} else {
			err = s.loadList(ctx, userID)
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

// Overview implements sqlstore.Engine: from memory, which is filled when it lacks some.
func (s *Store) Overview(ctx context.Context, userID int64) (entries []sqlstore.Entry, err error) {
	done, err := s.fromMemory(ctx, userID, func() (missing []int64, cached bool) {
		entries, missing, cached = s.state.overview(userID)
		return missing, cached
	})
	if done || err != nil {
		return entries, err
	}
	return s.readOverview(ctx, userID)
}

// Page implements sqlstore.Engine, from memory as well.
func (s *Store) Page(ctx context.Context, userID int64, behind sqlstore.Place, limit int) (entries []sqlstore.Entry, more bool, err error) {
	done, err := s.fromMemory(ctx, userID, func() (missing []int64, cached bool) {
		entries, more, missing, cached = s.state.page(userID, behind, limit)
		return missing, cached
	})
	if done || err != nil {
		return entries, more, err
	}
	if entries, err = s.readOverview(ctx, userID); err != nil {
		return nil, false, err
	}
	if behind != (sqlstore.Place{}) {
		entries = slices.DeleteFunc(entries, func(e sqlstore.Entry) bool { return e.Conversation.Place().Compare(behind) <= 0 })
	}
	slices.SortFunc(entries, func(a, b sqlstore.Entry) int { return a.Conversation.Place().Compare(b.Conversation.Place()) })
	n := min(limit, len(entries))
	return entries[:n], n < len(entries), nil
}

// readOverview reads what does not fit into memory.
func (s *Store) readOverview(ctx context.Context, userID int64) ([]sqlstore.Entry, error) {
	var entries []sqlstore.Entry
	err := s.Read(ctx, func(q sqlstore.Conn) error {
		members, err := sqlstore.ReadList(q, userID)
		if err != nil {
			return err
		}
		entries = make([]sqlstore.Entry, len(members))
		for i, m := range members {
			c, _, err := sqlstore.LoadConversation(q, m.ConversationID)
			if err != nil {
				return fmt.Errorf("read conversation: %w", err)
			}
			entries[i] = sqlstore.Entry{Member: m, Conversation: &c}
		}
		return nil
	})
	return entries, err
}

func (s *Store) loadList(ctx context.Context, userID int64) error {
	load := s.state.beginList(userID)
	var members []*sqlstore.Member
	err := s.Read(ctx, func(q sqlstore.Conn) (err error) {
		members, err = sqlstore.ReadList(q, userID)
		return err
	})
	s.state.endList(load, members, err)
	return err
}

func (s *Store) loadConversations(ctx context.Context, ids []int64) error {
	version := s.state.version()
	loaded := make([]*sqlstore.Conversation, 0, len(ids))
	err := s.Read(ctx, func(q sqlstore.Conn) error {
		for _, id := range ids {
			c, found, err := sqlstore.LoadConversation(q, id)
			if err != nil {
				return fmt.Errorf("read conversation: %w", err)
			}
			if found {
				loaded = append(loaded, &c)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.state.addConversations(version, loaded)
	return nil
}
