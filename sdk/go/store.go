package gochat

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// Store is where a session keeps its copy of the conversations' logs. A session
// calls it from one goroutine. Any error ends the session: without its log it
// cannot keep its promise to the application.
type Store interface {
	// Load returns where the logs stand: the last seq of each conversation, and
	// the cursor of the last resume ("" when there is none).
	Load(ctx context.Context) (Position, error)
	// Append adds entries to a conversation's log. Their seqs ascend without a
	// hole. The first follows the last stored one, unless the log is new.
	Append(ctx context.Context, conversationID string, entries []Entry) error
	// SetCursor replaces the cursor.
	SetCursor(ctx context.Context, cursor string) error
}

// Position is where a store stands.
type Position struct {
	Cursor string
	Seqs   map[string]int64
}

// MemoryStore keeps the logs in memory, every message as it stands after the
// edits and recalls that followed. It is safe for concurrent use; the zero
// value is ready.
type MemoryStore struct {
	mu     sync.Mutex // guards what follows
	cursor string
	logs   map[string][]Entry
}

// Load implements [Store].
func (m *MemoryStore) Load(context.Context) (Position, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := Position{Cursor: m.cursor, Seqs: make(map[string]int64, len(m.logs))}
	for id, log := range m.logs {
		p.Seqs[id] = log[len(log)-1].Seq
	}
	return p, nil
}

// Append implements [Store].
func (m *MemoryStore) Append(_ context.Context, conversationID string, entries []Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	log := m.logs[conversationID]
	for _, entry := range entries {
		if len(log) > 0 && entry.Seq != log[len(log)-1].Seq+1 {
			return fmt.Errorf("gochat: append seq %d after %d", entry.Seq, log[len(log)-1].Seq)
		}
		log = append(log, entry)
		applyChange(log, entry)
	}
	if m.logs == nil {
		m.logs = map[string][]Entry{}
	}
	if len(log) > 0 {
		m.logs[conversationID] = log
	}
	return nil
}

// applyChange changes the message that an edit or recall is about.
func applyChange(log []Entry, change Entry) {
	i := change.TargetSeq - log[0].Seq
	if change.TargetSeq == 0 || i < 0 || i >= int64(len(log)) {
		return
	}
	target := &log[i]
	switch change.Kind {
	case KindEdit:
		if target.Status == StatusRecalled {
			return
		}
		target.Content = change.Content
	case KindRecall:
		target.Content, target.Status = "", StatusRecalled
	default:
		return
	}
	at := change.CreatedAt
	target.UpdatedAt = &at
}

// SetCursor implements [Store].
func (m *MemoryStore) SetCursor(_ context.Context, cursor string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cursor = cursor
	return nil
}

// Log returns a copy of a conversation's log.
func (m *MemoryStore) Log(conversationID string) []Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.logs[conversationID])
}

// Conversations returns the ids of the conversations that have a log, sorted.
func (m *MemoryStore) Conversations() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.logs))
}
