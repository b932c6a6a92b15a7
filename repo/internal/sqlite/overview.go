package sqlite

import (
	"context"
	"fmt"

	"github.com/gochat-im/gochat/repo/internal/sqlstore"
)

// overview returns a user's conversations. cached is false when the list is not in memory; missing are those whose
// conversation is not.
func (s *state) overview(userID int64) (entries []sqlstore.Entry, missing []int64, cached bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	list, cached := s.lists[userID]
	if !cached {
		return nil, nil, false
	}
	entries = make([]sqlstore.Entry, 0, len(list))
	for id, m := range list {
		if c, ok := s.conversations[id]; ok {
			entries = append(entries, sqlstore.Entry{Member: m, Conversation: c})
		} else {
			missing = append(missing, id)
		}
	}
	return entries, missing, true
}

// overviewTries is how often the caches are filled before the database is read as a whole: they may be too small.
const overviewTries = 3

// Overview implements sqlstore.Engine: from memory, which is filled when it lacks some.
func (s *Store) Overview(ctx context.Context, userID int64) ([]sqlstore.Entry, error) {
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
	var entries []sqlstore.Entry
	err := s.Read(ctx, func(q sqlstore.Conn) error {
		list, err := sqlstore.ReadList(q, userID)
		if err != nil {
			return err
		}
		entries = make([]sqlstore.Entry, 0, len(list))
		for id, m := range list {
			c, _, err := sqlstore.LoadConversation(q, id)
			if err != nil {
				return fmt.Errorf("read conversation: %w", err)
			}
			entries = append(entries, sqlstore.Entry{Member: m, Conversation: c})
		}
		return nil
	})
	return entries, err
}

func (s *Store) loadList(ctx context.Context, userID int64) error {
	load := s.state.beginList(userID)
	var list map[int64]sqlstore.Member
	err := s.Read(ctx, func(q sqlstore.Conn) (err error) {
		list, err = sqlstore.ReadList(q, userID)
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
	loaded := make([]sqlstore.Conversation, 0, len(ids))
	err := s.Read(ctx, func(q sqlstore.Conn) error {
		for _, id := range ids {
			c, found, err := sqlstore.LoadConversation(q, id)
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
