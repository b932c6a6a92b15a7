package sqlite

import (
	"sync"

	"github.com/gochat-im/gochat/repo/internal/sqlstore"
)

// state is what the store keeps in memory of the committed data: conversations
// and users' lists of memberships. The writer publishes every commit here
// before it answers, so an entry is never behind what a caller was told.
type state struct {
	maxConversations, maxMemberships int

	mu            sync.RWMutex // guards what follows
	conversations map[int64]sqlstore.Conversation
	lists         map[int64]map[int64]sqlstore.Member // user → conversation → row, of those whom the user is in now
	memberships   int
	evictions     uint64
	loading       map[*listLoad]struct{}
}

// listLoad is a list being read from the database.
type listLoad struct {
	userID int64
	stale  bool // a commit changed the list meanwhile
}

func newState(maxConversations, maxMemberships int) *state {
	return &state{
		maxConversations: maxConversations, maxMemberships: maxMemberships,
		conversations: map[int64]sqlstore.Conversation{}, lists: map[int64]map[int64]sqlstore.Member{},
		loading: map[*listLoad]struct{}{},
	}
}

func (s *state) conversation(id int64) (sqlstore.Conversation, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	c, ok := s.conversations[id]
	return c, ok
}

// version is taken before the snapshot from which conversations are loaded.
func (s *state) version() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.evictions
}

// addConversations keeps what was loaded. What a commit changed since the
// snapshot is here already, unless it was evicted: then nothing is kept.
func (s *state) addConversations(version uint64, loaded []sqlstore.Conversation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.evictions != version {
		return
	}
	for i := range loaded {
		if _, ok := s.conversations[loaded[i].ID]; !ok {
			s.conversations[loaded[i].ID] = loaded[i]
		}
	}
	s.evict()
}

// beginList is called before the snapshot from which a list is loaded.
func (s *state) beginList(userID int64) *listLoad {
	l := &listLoad{userID: userID}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loading[l] = struct{}{}
	return l
}

// endList keeps a loaded list, unless a commit changed it since; list nil keeps nothing.
func (s *state) endList(l *listLoad, list map[int64]sqlstore.Member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.loading, l)
	if _, ok := s.lists[l.userID]; ok || l.stale || list == nil {
		return
	}
	s.lists[l.userID] = list
	s.memberships += len(list)
	s.evict()
}

// publish makes a commit's changes visible.
func (s *state) publish(convs map[int64]*sqlstore.Conversation, members []*sqlstore.Member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, c := range convs {
		s.conversations[id] = *c
	}
	for _, m := range members {
		for l := range s.loading {
			l.stale = l.stale || l.userID == m.UserID
		}
		list, ok := s.lists[m.UserID]
		if !ok {
			continue
		}
		s.memberships -= len(list)
		if m.LeftAt == 0 {
			list[m.ConversationID] = *m
		} else {
			delete(list, m.ConversationID)
		}
		s.memberships += len(list)
	}
	s.evict()
}

// evict drops some entries, whichever, when there are too many.
func (s *state) evict() {
	if n := len(s.conversations) - s.maxConversations; n > 0 {
		n += s.maxConversations / 16
		s.evictions++
		for id := range s.conversations {
			if n--; n < 0 {
				break
			}
			delete(s.conversations, id)
		}
	}
	for id, list := range s.lists {
		if s.memberships <= s.maxMemberships {
			break
		}
		s.memberships -= len(list)
		delete(s.lists, id)
	}
}
