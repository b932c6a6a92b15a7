package gochat

// maxPending bounds the entries that wait for a gap to close, in each
// conversation. What comes beyond is pulled again later.
const maxPending = 256

// convLog puts the entries of one conversation in order.
type convLog struct {
	last    int64           // everything up to it was handed out
	known   int64           // the highest seq heard of
	pending map[int64]Entry // beyond a gap
	ended   int64           // seq at which one left; 0 while a member
	pulling bool            // the gap is being pulled, or about to be
	moved   int64           // when last did, by logs.moves
}

func newConvLog(last int64) *convLog {
	return &convLog{last: last, known: last, pending: map[int64]Entry{}}
}

// gap reports whether entries are missing that one may see.
func (l *convLog) gap() bool { return l.ended == 0 && l.known > l.last }

// expects returns the seq up to which a resume need not send entries: they are
// here, or pulled.
func (l *convLog) expects() int64 {
	if l.pulling {
		return l.known
	}
	return l.last
}

// heard notes that the conversation has reached seq.
func (l *convLog) heard(seq int64) {
	if seq > l.known {
		l.known = seq
	}
}

// add takes in one entry and returns those that are next in order now.
func (l *convLog) add(entry Entry) []Entry {
	if entry.Seq <= l.last {
		return nil
	}
	if l.ended > 0 {
		if entry.Seq <= l.ended {
			return nil // late, of the time before the end
		}
		l.ended = 0 // a rejoin
	}
	l.heard(entry.Seq)
	if entry.Seq > l.last+1 {
		if len(l.pending) < maxPending {
			l.pending[entry.Seq] = entry
		}
		return nil
	}
	ready := []Entry{entry}
	l.last++
	for {
		next, ok := l.pending[l.last+1]
		if !ok {
			break
		}
		delete(l.pending, l.last+1)
		ready = append(ready, next)
		l.last++
	}
	return ready
}

// end notes that one's membership ended at seq, and returns the ending entry
// when it is next in order. What lies between cannot be pulled any more.
func (l *convLog) end(entry Entry) (ready []Entry, ended bool) {
	if entry.Seq < l.known || entry.Seq <= l.ended {
		return l.add(entry), false // of an earlier membership
	}
	ready = l.add(entry)
	l.close(entry.Seq)
	return ready, true
}

// close ends the log at seq until a later entry says that it goes on.
func (l *convLog) close(seq int64) {
	l.ended = max(seq, l.last, 1)
	l.known = l.last
	clear(l.pending)
}
