package sqlite

import (
	"context"
	"fmt"
)

// entry is one of a user's conversations with the user's row in it, both of one moment.
type entry struct {
	m member
	c conversation
}

// overview returns a user's conversations. cached is false when the list is not in memory; missing are those whose
// conversation is not.
func (s *state) overview(userID int64) (entries []entry, missing []int64, cached bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	list, cached := s.lists[userID]
	if !cached {
		return nil, nil, false
	}
	entries = make([]entry, 0, len(list))
	for id, m := range list {
		if c, ok := s.conversations[id]; ok {
			entries = append(entries, entry{m, c})
		} else {
			missing = append(missing, id)
		}
	}
	return entries, missing, true
}

// overviewTries is how often the caches are filled before the database is read as a whole: they may be too small.
const overviewTries = 3

// overview returns a user's conversations as of one moment: from memory, which is filled when it lacks some.
func (s *Store) overview(ctx context.Context, userID int64) ([]entry, error) {
	for range overviewTries {
		entries, missing, cached := s.state.overview(userID)
		if cached && len(missing) == 0 {
			return entries, nil
		}
		var err error
		if cached {
			err = s.loadConversations(ctx, missing)
		} else {
			err = s.loadList(ctx, userID)
		}
		if err != nil {
			return nil, err
		}
	}
	var entries []entry
	err := s.read(ctx, func(q *conn) error {
		list, err := readList(q, userID)
		if err != nil {
			return err
		}
		entries = make([]entry, 0, len(list))
		for id, m := range list {
			c, _, err := loadConversation(q, id)
			if err != nil {
				return fmt.Errorf("read conversation: %w", err)
			}
			entries = append(entries, entry{m, c})
		}
		return nil
	})
	return entries, err
}

const listQuery = "SELECT " + memberColumns + " FROM members WHERE user_id = ? AND left_at = 0"

func readList(q *conn, userID int64) (map[int64]member, error) {
	list := map[int64]member{}
	err := q.query(listQuery, func(r *stmt) error {
		m := scanMember(r)
		list[m.conversationID] = m
		return nil
	}, userID)
	if err != nil {
		return nil, fmt.Errorf("read memberships: %w", err)
	}
	return list, nil
}

func (s *Store) loadList(ctx context.Context, userID int64) error {
	load := s.state.beginList(userID)
	var list map[int64]member
	err := s.read(ctx, func(q *conn) (err error) {
		list, err = readList(q, userID)
		return err
	})
	if err != nil {
		list = nil
	}
	s.state.endList(load, list)
	return err
}

func (s *Store) loadConversations(ctx context.Context, ids []int64) error {
	version := s.state.version()
	loaded := make([]conversation, 0, len(ids))
	err := s.read(ctx, func(q *conn) error {
		for _, id := range ids {
			c, found, err := loadConversation(q, id)
			if err != nil {
				return fmt.Errorf("read conversation: %w", err)
			}
			if found {
				loaded = append(loaded, c)
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
