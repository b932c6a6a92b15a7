package sqlite

import (
	"sync"

	"github.com/gochat-im/gochat/repo/repopb"
)

// conversation is a conversation's state: its row and what its last log row says.
type conversation struct {
	id          int64
	kind        repopb.ConversationType
	name        string
	avatar      string
	createdAt   int64
	dissolvedAt int64
	large       bool

	lastSeq   int64
	total     int64 // messages
	updatedAt int64 // time of the last event
	shownSeq  int64 // newest entry that history shows
	side      [2]side
}

// side is one user of a one-to-one conversation, the lower id first. Empty in groups.
type side struct {
	userID       int64
	sent         int64
	readSeq      int64
	readAt       int64
	deliveredSeq int64
}

// sideOf returns the index of a user in a one-to-one, -1 for a stranger.
func (c *conversation) sideOf(userID int64) int {
	switch userID {
	case 0:
		return -1
	case c.side[0].userID:
		return 0
	case c.side[1].userID:
		return 1
	}
	return -1
}

// peerOf returns the other user of a one-to-one, 0 in a group.
func (c *conversation) peerOf(userID int64) int64 {
	if c.kind != repopb.ConversationType_CONVERSATION_TYPE_SINGLE {
		return 0
	}
	if c.side[0].userID == userID {
		return c.side[1].userID
	}
	return c.side[0].userID
}

func (c *conversation) setPointers(m *member) {
	if i := c.sideOf(m.userID); i >= 0 {
		s := &c.side[i]
		s.readSeq, s.readAt, s.deliveredSeq = m.readSeq, m.readAt, m.deliveredSeq
	}
}

type memberKey struct{ conversationID, userID int64 }

// member is one user's row in a conversation.
type member struct {
	conversationID, userID int64
	role                   repopb.Role
	mutedUntil             int64
	joinedAt, joinedSeq    int64
	leftAt, leftSeq        int64
	sent                   int64 // groups only
	readSeq                int64
	readCount              int64 // messages up to readSeq
	readSent               int64 // own ones among them
	readAt                 int64 // when the pointer moved
	deliveredSeq           int64
	silent, pinned         bool
}

func (m *member) key() memberKey { return memberKey{m.conversationID, m.userID} }

// active tells whether the user is in the conversation now.
func (m *member) active() bool { return m != nil && m.leftAt == 0 }

// sentIn is how many messages the member has sent so far.
func (m *member) sentIn(c *conversation) int64 {
	if i := c.sideOf(m.userID); i >= 0 {
		return c.side[i].sent
	}
	return m.sent
}

func (m *member) unread(c *conversation) int64 {
	return (c.total - m.readCount) - (m.sentIn(c) - m.readSent)
}

// state is what the store keeps in memory of the committed data: conversations
// and users' lists of memberships. The writer publishes every commit here
// before it answers, so an entry is never behind what a caller was told.
type state struct {
	maxConversations, maxMemberships int

	mu            sync.RWMutex // guards what follows
	conversations map[int64]conversation
	lists         map[int64]map[int64]member // user → conversation → row, of those whom the user is in now
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
		conversations: map[int64]conversation{}, lists: map[int64]map[int64]member{},
		loading: map[*listLoad]struct{}{},
	}
}

func (s *state) conversation(id int64) (conversation, bool) {
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
func (s *state) addConversations(version uint64, loaded []conversation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.evictions != version {
		return
	}
	for i := range loaded {
		if _, ok := s.conversations[loaded[i].id]; !ok {
			s.conversations[loaded[i].id] = loaded[i]
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
func (s *state) endList(l *listLoad, list map[int64]member) {
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
func (s *state) publish(convs map[int64]*conversation, members []*member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, c := range convs {
		s.conversations[id] = *c
	}
	for _, m := range members {
		for l := range s.loading {
			l.stale = l.stale || l.userID == m.userID
		}
		list, ok := s.lists[m.userID]
		if !ok {
			continue
		}
		s.memberships -= len(list)
		if m.leftAt == 0 {
			list[m.conversationID] = *m
		} else {
			delete(list, m.conversationID)
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
