package postgres

import (
	"sync"

	"github.com/gochat-im/gochat/repo/internal/sqlstore"
)

// maxHeads bounds what is remembered, in conversations and members' rows, of some 200 bytes each.
const maxHeads = 50_000

// heads remembers the conversations that this process stored messages in, as
// the last of those transactions left them. Whatever changes who may write in
// a conversation, or what its next message depends on, takes a seq of its log.
// So what is remembered is true as long as its next seq is free, which the
// primary key of the messages decides in the very transaction that relies on it.
//
// Only a log that lost its end could have a seq free for another reason, as
// when a replica took over that had not got everything. Then the connections
// are new, and a new connection makes all be forgotten.
type heads struct {
	mu         sync.Mutex // guards what follows
	connection uint64     // counts the connections
	young, old map[int64]*head
	size       int // conversations and members of young, which becomes old when it is full
}

// head is one conversation. steady means that nobody else wrote in it between
// two of this process's transactions: only then is it worth a try.
type head struct {
	state  *sqlstore.Conversation
	rows   map[int64]*sqlstore.Member // of those who wrote in it
	steady bool
}

func newHeads() *heads { return &heads{young: map[int64]*head{}} }

// connected is called for every new connection, before it is used, and current
// once a transaction has one: a transaction that began before another
// connection was made is not remembered.
func (h *heads) connected() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.connection++
	h.young, h.old, h.size = map[int64]*head{}, nil, 0
}

func (h *heads) current() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.connection
}

// recall fills k when everything in it is remembered, and every conversation is steady.
func (h *heads) recall(k *known) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, id := range k.conversations {
		c := h.find(id)
		if c == nil || !c.steady {
			return false
		}
		k.states[i] = c.state
	}
	for i, key := range k.members {
		if k.rows[i] = h.find(key.ConversationID).rows[key.UserID]; k.rows[i] == nil {
			return false
		}
	}
	return true
}

func (h *heads) find(id int64) *head {
	if c, ok := h.young[id]; ok {
		return c
	}
	return h.old[id]
}

// keep remembers what a transaction left: one that began with what it knew and
// when the connections were current. after and changed are its own from now on.
func (h *heads) keep(current uint64, began *known, after map[int64]*sqlstore.Conversation, changed []*sqlstore.Member) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.connection != current {
		return
	}
	for i, id := range began.conversations {
		if began.states[i] == nil {
			continue
		}
		c := h.find(id)
		h.forget(id)
		if c == nil || c.state.LastSeq != began.states[i].LastSeq {
			c = &head{rows: map[int64]*sqlstore.Member{}}
		} else {
			c.steady = true
		}
		c.state = after[id]
		h.add(id, c)
	}
	for i, key := range began.members {
		if began.rows[i] != nil {
			h.addRow(key, began.rows[i])
		}
	}
	for _, m := range changed {
		h.addRow(m.Key(), m)
	}
}

func (h *heads) forget(id int64) {
	if c, ok := h.young[id]; ok {
		h.size -= 1 + len(c.rows)
		delete(h.young, id)
	}
}

func (h *heads) add(id int64, c *head) {
	if h.size >= maxHeads/2 {
		h.young, h.old, h.size = map[int64]*head{}, h.young, 0
	}
	h.young[id] = c
	h.size += 1 + len(c.rows)
}

func (h *heads) addRow(key sqlstore.MemberKey, m *sqlstore.Member) {
	c, ok := h.young[key.ConversationID]
	if !ok || c.rows[key.UserID] == m {
		return
	}
	before := len(c.rows)
	c.rows[key.UserID] = m
	h.size += len(c.rows) - before
}
