package sqlite

import (
	"sync"

	"github.com/gochat-im/gochat/repo/internal/sqlstore"
)

// state is what the store keeps in memory of the committed data: conversations
// and users' lists of memberships. The writer publishes every commit here
// before it answers, so an entry is never behind what a caller was told. What
// it holds of a conversation or a member is replaced and never changed.
type state struct {
	maxConversations, maxMemberships int

	mu            sync.RWMutex // guards what follows
	conversations map[int64]*sqlstore.Conversation
	moves         moves
	lists         map[int64]*list // by user
	memberships   int             // rows of all lists
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
		conversations: map[int64]*sqlstore.Conversation{}, lists: map[int64]*list{},
		loading: map[*listLoad]struct{}{},
	}
}

func (s *state) conversation(id int64) (sqlstore.Conversation, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if c, ok := s.conversations[id]; ok {
		return *c, true
	}
	return sqlstore.Conversation{}, false
}

// version is taken before the snapshot from which conversations are loaded.
func (s *state) version() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.evictions
}

// addConversations keeps what was loaded. What a commit changed since the
// snapshot is here already, unless it was evicted: then nothing is kept.
func (s *state) addConversations(version uint64, loaded []*sqlstore.Conversation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.evictions != version {
		return
	}
	for _, c := range loaded {
		if _, ok := s.conversations[c.ID]; !ok {
			s.conversations[c.ID] = c
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

// endList keeps a loaded list, unless a commit changed it since or it could not be loaded.
func (s *state) endList(l *listLoad, members []*sqlstore.Member, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.loading, l)
	if _, ok := s.lists[l.userID]; ok || l.stale || err != nil {
		return
	}
	s.lists[l.userID] = newList(members)
	s.memberships += len(members)
	s.evict()
}

// publish makes a commit's changes visible. They are the state's from now on.
func (s *state) publish(convs map[int64]*sqlstore.Conversation, members []*sqlstore.Member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, c := range convs {
		if old, ok := s.conversations[id]; !ok || old.Place() != c.Place() {
			s.moves.add(c.Place())
		}
		s.conversations[id] = c
	}
	for _, m := range members {
		for l := range s.loading {
			l.stale = l.stale || l.userID == m.UserID
		}
		if l, ok := s.lists[m.UserID]; ok {
			s.memberships -= len(l.rows)
			l.change(m)
			s.memberships += len(l.rows)
		}
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
	for id, l := range s.lists {
		if s.memberships <= s.maxMemberships {
			break
		}
		s.memberships -= len(l.rows)
		delete(s.lists, id)
	}
}
