package task

import "sync"

// orderShards keeps lanes off each other's locks; a power of two.
const orderShards = 32

// order remembers, for the conversations that were active last, up to which
// seq their events were delivered. It is bounded: each shard has two
// generations, and when the young one is full the old one is forgotten, so
// what was used lately stays. One conversation is always worked by one lane;
// the locks only guard the maps.
type order struct {
	shards [orderShards]orderShard
	half   int // entries of one generation
}

type orderShard struct {
	mu         sync.Mutex
	young, old map[int64]int64 // guarded by mu: conversation → last delivered seq
}

func newOrder(entries int) *order {
	o := &order{half: max(entries/orderShards/2, 1)}
	for i := range o.shards {
		o.shards[i].young = map[int64]int64{}
	}
	return o
}

func (o *order) shard(conversation int64) *orderShard {
	h := uint64(conversation) * 0x9E3779B97F4A7C15 // Fibonacci hashing: ids share their low time bits
	return &o.shards[h>>(64-5)]
}

// last returns the seq up to which the conversation was delivered.
func (o *order) last(conversation int64) (seq int64, known bool) {
	s := o.shard(conversation)
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq, known = s.young[conversation]; known {
		return seq, true
	}
	seq, known = s.old[conversation]
	return seq, known
}

// delivered moves the position forward, never back.
func (o *order) delivered(conversation, seq int64) {
	s := o.shard(conversation)
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq < s.young[conversation] || seq < s.old[conversation] {
		return
	}
	if len(s.young) >= o.half {
		if _, here := s.young[conversation]; !here {
			s.old, s.young = s.young, make(map[int64]int64, o.half)
		}
	}
	s.young[conversation] = seq
}

// size counts the entries, those in both generations twice.
func (o *order) size() int {
	n := 0
	for i := range o.shards {
		s := &o.shards[i]
		s.mu.Lock()
		n += len(s.young) + len(s.old)
		s.mu.Unlock()
	}
	return n
}
