package gochat

import (
	"encoding/json"
	"time"
)

// logs are a session's conversations, kept in order and without gaps. Only the
// session's loop touches them.
type logs struct {
	s      *Session
	userID string
	cursor string // of the last resume
	saved  string // the cursor that the store has
	byID   map[string]*convLog
	listed bool // every conversation's position is known
	// moves counts how often a log moved on; a log that moved at covered or before
	// has nothing that the cursor does not cover.
	moves, covered int64
	// syncing counts what must end before the session is up to date: the answer
	// to a resume, the list of conversations, and pulls.
	syncing           int
	resumes, answered int64 // generations: an earlier connection's answer does not count
	pulls             chan struct{}
}

// maxPulls bounds the conversations that are pulled at a time.
const maxPulls = 4

func newLogs(s *Session, p Position) logs {
	l := logs{s: s, cursor: p.Cursor, saved: p.Cursor, listed: p.Cursor != "", byID: map[string]*convLog{}, pulls: make(chan struct{}, maxPulls)}
	for id, seq := range p.Seqs {
		l.byID[id] = newConvLog(seq)
		l.move(l.byID[id]) // since when is not known
	}
	return l
}

// handle does what a frame says.
func (l *logs) handle(f frame) {
	switch f.Type {
	case "message", "event":
		var e Entry
		if json.Unmarshal(f.Data, &e) == nil {
			l.live(e)
		}
	case "ack":
		var a Ack
		if json.Unmarshal(f.Data, &a) == nil {
			l.acked(a)
		}
	case "error":
		l.refused(f)
	case "read":
		var r readFrame
		if json.Unmarshal(f.Data, &r) == nil {
			l.s.emit(r.event())
		}
	case "delivered":
		var r readFrame
		if json.Unmarshal(f.Data, &r) == nil {
			l.s.emit(DeliveredEvent(r))
		}
	case "typing":
		var t TypingEvent
		var data struct {
			conversationFrame
			UserID string `json:"user_id"`
		}
		if json.Unmarshal(f.Data, &data) == nil {
			t.ConversationID, t.UserID = data.ConversationID, data.UserID
			l.s.emit(t)
		}
	case "sync":
		l.synced(f)
	}
}

func (r readFrame) event() ReadEvent {
	return ReadEvent(r)
}

// live takes in an entry that came over the socket.
func (l *logs) live(e Entry) {
	switch {
	case e.Kind == "hidden":
		l.s.emit(HiddenEvent{ConversationID: e.ConversationID, Seq: e.TargetSeq})
		return
	case e.ConversationID == "" || e.Seq <= 0:
		return
	case e.Kind == kindBehind:
		l.behind(e.ConversationID, e.Seq)
		return
	}
	log := l.log(e)
	if !e.ends(l.userID) {
		l.deliver(e.ConversationID, log, log.add(e))
		return
	}
	ready, over := log.end(e)
	l.deliver(e.ConversationID, log, ready)
	if over {
		l.s.emit(LeftEvent{ConversationID: e.ConversationID})
	}
}

// kindBehind is what a slow connection gets instead of entries: the seq that
// the conversation has reached.
const kindBehind = "behind"

// acked ends a send. One's own message comes to this connection as its ack
// only, so the entry is made from both.
func (l *logs) acked(a Ack) {
	p := l.s.out.answer(a.ClientMsgID, sendResult{ack: a})
	if p == nil {
		if a.ConversationID != "" && a.Seq > 0 {
			l.behind(a.ConversationID, a.Seq)
		}
		return
	}
	e := Entry{
		Kind: KindMessage, ConversationID: a.ConversationID, Seq: a.Seq, CreatedAt: a.CreatedAt, ID: a.MessageID,
		FromUserID: l.userID, Content: p.message.Content, MessageType: p.message.MessageType,
		ClientMsgID: a.ClientMsgID, Status: StatusSent,
	}
	log := l.log(e)
	l.deliver(e.ConversationID, log, log.add(e))
}

// refused ends a send, or a resume that the server does not understand.
func (l *logs) refused(f frame) {
	var w wireError
	if json.Unmarshal(f.Data, &w) != nil {
		return
	}
	if w.ClientMsgID != "" && l.s.out.answer(w.ClientMsgID, sendResult{err: w.err()}) != nil {
		return
	}
	if f.ID != "" && f.ID == l.resumeID() {
		l.resumeFailed(w.err())
		return
	}
	l.s.client.log.Debug("error frame", "code", w.Code, "message", w.Message)
}

// log returns the conversation's log, begun if there is none.
func (l *logs) log(e Entry) *convLog {
	log := l.byID[e.ConversationID]
	if log == nil {
		log = newConvLog(l.beginning(e))
		l.byID[e.ConversationID] = log
	}
	return log
}

// recent is how far back a conversation that appears is taken from its
// beginning even by a session that does not want history.
const recent = 100

// beginning returns the seq after which the log of a conversation begins that
// is first heard of by e.
func (l *logs) beginning(e Entry) int64 {
	switch {
	case l.s.cfg.FromStart:
		return 0
	case !l.listed || e.Seq > recent:
		return e.Seq - 1
	}
	return 0
}

// behind notes that a conversation has reached seq.
func (l *logs) behind(conversationID string, seq int64) {
	log := l.log(Entry{ConversationID: conversationID, Seq: seq})
	log.heard(seq)
	l.closeGap(conversationID, log, 0)
}

func (l *logs) move(log *convLog) {
	l.moves++
	log.moved = l.moves
}

// deliver stores the entries that are next and hands them out.
func (l *logs) deliver(id string, log *convLog, ready []Entry) {
	if len(ready) > 0 {
		if err := l.s.cfg.Store.Append(l.s.ctx, id, ready); err != nil {
			l.s.end(err)
			return
		}
		l.move(log)
		for _, e := range ready {
			l.s.emit(EntryEvent{Entry: e})
		}
	}
	l.closeGap(id, log, l.s.cfg.GapWait)
}

// closeGap sees to it that what is missing is pulled, if it has not come by
// itself after wait.
func (l *logs) closeGap(id string, log *convLog, wait time.Duration) {
	if log.pulling || !log.gap() {
		return
	}
	log.pulling = true
	l.syncing++
	time.AfterFunc(wait, func() {
		l.s.post(func() {
			if !log.gap() {
				l.pulled(id, log, 0)
				return
			}
			after, known := log.last, log.known
			l.s.workers.Go(func() { l.pull(id, log, after, known) })
		})
	})
}
