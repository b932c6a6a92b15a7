package limit

import (
	"container/list"
	"sync"
)

// shards keep unrelated keys from waiting for each other.
const shards = 16

// table has a V for each of a bounded number of keys; the one that was quiet longest makes room.
type table[V any] struct{ shards [shards]shard[V] }

type shard[V any] struct {
	mu      sync.Mutex // guards what follows
	max     int
	order   *list.List // of *entry[V], the quietest last
	entries map[string]*list.Element
}

type entry[V any] struct {
	key   string
	value V
}

// newTable returns a table for at most maxKeys keys, rounded up to a multiple of 16.
func newTable[V any](maxKeys int) *table[V] {
	t := &table[V]{}
	for i := range t.shards {
		t.shards[i] = shard[V]{max: max(1, (maxKeys+shards-1)/shards), order: list.New(), entries: map[string]*list.Element{}}
	}
	return t
}

// with calls fn, which must be quick, with the value of key. When there is none it makes a zero one, or calls nothing.
func (t *table[V]) with(key string, create bool, fn func(*V)) {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[key]
	switch {
	case ok:
		s.order.MoveToFront(e)
	case !create:
		return
	default:
		if s.order.Len() >= s.max {
			oldest := s.order.Back()
			delete(s.entries, oldest.Value.(*entry[V]).key)
			s.order.Remove(oldest)
		}
		e = s.order.PushFront(&entry[V]{key: key})
		s.entries[key] = e
	}
	fn(&e.Value.(*entry[V]).value)
}

func (t *table[V]) drop(key string) {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.entries[key]; ok {
		s.order.Remove(e)
		delete(s.entries, key)
	}
}

// shard picks by FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/.
func (t *table[V]) shard(key string) *shard[V] {
	h := uint32(2166136261)
	for i := range len(key) {
		h = (h ^ uint32(key[i])) * 16777619
	}
	return &t.shards[h%shards]
}
