package sqlite

import (
	"slices"
	"sync"

	"github.com/gochat-im/gochat/repo/internal/sqlstore"
)

// list is a user's conversations in their order. A commit only notes what it
// moved, once for all lists: the next reader puts it in its place. So a commit
// costs the same however many lists its conversations are in, and a read what
// happened since the last one, at most a look at each conversation.
type list struct {
	rows map[int64]*listRow // by conversation, of those whom the user is in now; a commit changes it

	mu    sync.Mutex // guards what follows among readers, who share the state's lock; a commit has that to itself
	order []*listRow
	seen  uint64 // how many moves are in the order
	stale bool   // moves alone do not bring the order up to date
}

// listRow is one conversation in a list.
type listRow struct {
	member *sqlstore.Member
	place  sqlstore.Place
	moved  bool // it is not where it belongs in the order
	gone   bool // the user left
}

func newList(members []*sqlstore.Member) *list {
	l := &list{rows: make(map[int64]*listRow, len(members)), order: make([]*listRow, 0, len(members))}
	for _, m := range members {
		l.add(m)
	}
	return l
}

func (l *list) add(m *sqlstore.Member) {
	r := &listRow{member: m, moved: true}
	l.rows[m.ConversationID] = r
	l.order = append(l.order, r)
	l.stale = true
}

// change follows a commit that saved a member's row.
func (l *list) change(m *sqlstore.Member) {
	r, ok := l.rows[m.ConversationID]
	switch {
	case m.LeftAt == 0 && ok:
		r.member = m
	case m.LeftAt == 0:
		l.add(m)
	case ok:
		r.gone, l.stale = true, true
		delete(l.rows, m.ConversationID)
	}
}

// settle brings the order up to date. missing are conversations that it needs and that are not in memory.
func (l *list) settle(moved *moves, conversations map[int64]*sqlstore.Conversation) (missing []int64) {
	behind := moved.n - l.seen
	if behind == 0 && !l.stale {
		return nil
	}
	if l.stale || behind > uint64(min(len(l.rows), len(moved.ring))) {
		for id, r := range l.rows {
			if c, ok := conversations[id]; ok {
				r.move(c.Place())
			} else {
				missing = append(missing, id)
			}
		}
		if len(missing) > 0 {
			return missing
		}
	} else {
		for i := l.seen; i != moved.n; i++ {
			p := moved.ring[i%uint64(len(moved.ring))]
			if r, ok := l.rows[p.ID]; ok {
				r.move(p)
			}
		}
	}
	l.seen, l.stale = moved.n, false
	l.sort()
	return nil
}

func (r *listRow) move(to sqlstore.Place) {
	if r.place != to {
		r.place, r.moved = to, true
	}
}

// sort merges what moved, usually little, into what did not.
func (l *list) sort() {
	all := l.order
	var moved []*listRow
	kept := all[:0]
	for _, r := range all {
		switch {
		case r.gone:
		case r.moved:
			r.moved = false
			moved = append(moved, r)
		default:
			kept = append(kept, r)
		}
	}
	slices.SortFunc(moved, func(a, b *listRow) int { return a.place.Compare(b.place) })
	l.order = all[:len(kept)+len(moved)]
	clear(all[len(l.order):])
	for to, i := len(l.order)-1, len(kept)-1; len(moved) > 0; to-- {
		if last := moved[len(moved)-1]; i >= 0 && kept[i].place.Compare(last.place) > 0 {
			l.order[to] = kept[i]
			i--
		} else {
			l.order[to] = last
			moved = moved[:len(moved)-1]
		}
	}
}

// page returns the rows behind a place, up to limit, and whether there are more.
func (l *list) page(behind sqlstore.Place, limit int) (rows []*listRow, more bool) {
	from := 0
	if behind != (sqlstore.Place{}) {
		at, found := slices.BinarySearchFunc(l.order, behind, func(r *listRow, p sqlstore.Place) int { return r.place.Compare(p) })
		if from = at; found {
			from++
		}
	}
	to := min(from+limit, len(l.order))
	return l.order[from:to], to < len(l.order)
}

// movesKept is how many moves are remembered: a reader for whom they are too few looks at every conversation.
const movesKept = 8192

// moves are the latest new places of conversations, in the order of the commits that brought them.
type moves struct {
	ring [movesKept]sqlstore.Place
	n    uint64 // how many there ever were
}

func (m *moves) add(p sqlstore.Place) {
	m.ring[m.n%uint64(len(m.ring))] = p
	m.n++
}
