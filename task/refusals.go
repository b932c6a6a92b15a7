package task

import (
	"sync"

	"github.com/gochat-im/gochat/repo/repopb"
)

// refusals remember the last messages that the store refused: what was refused
// stays refused. A logic that dies between its publication and its commit leaves
// a second copy of a message in the topic, and the store would judge that one
// otherwise when its sender has joined meanwhile. Both copies come to the same
// process, unless it changes in between.
type refusals struct {
	mu   sync.Mutex // guards what follows
	by   map[attempt]*repopb.CreateMessageResult
	ring []attempt // of by
	next int       // the oldest, once the ring is full
}

// attempt is one try to send a message: its copies are the same one, what the
// client sends again is another.
type attempt struct {
	conversation, sender   int64
	clientMsgID, requestID string
}

func attemptOf(m *repopb.NewMessage) attempt {
	return attempt{m.GetConversationId(), m.GetSenderId(), m.GetClientMsgId(), m.GetRequestId()}
}

// refusalsKept bounds the memory, to about 3 MB.
const refusalsKept = 10_000

// split returns what became of the messages that were refused before, by their
// index, and the others.
func (r *refusals) split(messages []*repopb.NewMessage) (before map[int]*repopb.CreateMessageResult, others []*repopb.NewMessage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.by) == 0 {
		return nil, messages
	}
	for i, m := range messages {
		if result := r.by[attemptOf(m)]; result != nil {
			if before == nil {
				before = map[int]*repopb.CreateMessageResult{}
			}
			before[i] = result
		}
	}
	if before == nil {
		return nil, messages
	}
	for i, m := range messages {
		if before[i] == nil {
			others = append(others, m)
		}
	}
	return before, others
}

// note remembers what the store refused of the messages.
func (r *refusals) note(messages []*repopb.NewMessage, results []*repopb.CreateMessageResult) {
	for i, result := range results {
		if result.GetCode() != 0 {
			r.add(attemptOf(messages[i]), result)
		}
	}
}

func (r *refusals) add(a attempt, result *repopb.CreateMessageResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = map[attempt]*repopb.CreateMessageResult{}
	}
	if r.by[a] != nil {
		return
	}
	if len(r.ring) < refusalsKept {
		r.ring = append(r.ring, a)
	} else {
		delete(r.by, r.ring[r.next])
		r.ring[r.next] = a
		r.next = (r.next + 1) % len(r.ring)
	}
	r.by[a] = result
}

// merge puts the results of others back between those that were refused before.
func merge(before map[int]*repopb.CreateMessageResult, others []*repopb.CreateMessageResult) []*repopb.CreateMessageResult {
	if before == nil {
		return others
	}
	results := make([]*repopb.CreateMessageResult, 0, len(before)+len(others))
	for i := range len(before) + len(others) {
		if result := before[i]; result != nil {
			results = append(results, result)
		} else {
			results, others = append(results, others[0]), others[1:]
		}
	}
	return results
}
