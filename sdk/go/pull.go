package gochat

import "time"

// pullPage is how many entries are asked for at a time.
const pullPage = 200

// pull pages a conversation's log over HTTP from after on, in a goroutine of
// its own, and hands the pages to the loop. known is the highest seq that was
// heard of before.
func (l *logs) pull(id string, log *convLog, after, known int64) {
	select {
	case l.pulls <- struct{}{}:
		defer func() { <-l.pulls }()
	case <-l.s.ctx.Done():
		return
	}
	for failures := 0; ; {
		page, err := l.s.client.History(l.s.ctx, HistoryQuery{ConversationID: id, AfterSeq: &after, Limit: pullPage, All: true})
		switch {
		case IsCode(err, CodeNotFound) || IsCode(err, CodeForbidden):
			l.s.post(func() { l.lost(id, log, known) })
			return
		case err != nil:
			l.s.client.log.Debug("history", "error", err)
			if !l.s.pause(backoff(failures)) {
				return
			}
			failures++
			continue
		}
		failures = 0
		if n := len(page.Messages); n > 0 {
			after = page.Messages[n-1].Seq
			entries := page.Messages
			l.s.post(func() { l.take(id, log, entries) })
		}
		if !page.HasMore || len(page.Messages) == 0 {
			break
		}
	}
	l.s.post(func() { l.pulled(id, log, pullAgain) })
}

// pullAgain is how long to wait when a pull did not bring what was announced.
const pullAgain = time.Second

// pause waits; false when the session is over.
func (s *Session) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// take takes in a page. Its entries are history: what ended an earlier
// membership is an entry like the others.
func (l *logs) take(id string, log *convLog, entries []Entry) {
	var ready []Entry
	for _, e := range entries {
		if log.ended == 0 {
			ready = append(ready, log.add(e)...)
		}
	}
	l.deliver(id, log, ready)
}

// pulled ends a pull.
func (l *logs) pulled(id string, log *convLog, again time.Duration) {
	log.pulling = false
	l.closeGap(id, log, again)
	l.settled()
}

// lost ends a pull of a conversation that one may not see any more. When more
// was heard of it since the pull began one is back, perhaps: that decides the
// next pull.
func (l *logs) lost(id string, log *convLog, known int64) {
	log.pulling = false
	if log.known > known {
		l.closeGap(id, log, 0)
		l.settled()
		return
	}
	if log.ended == 0 {
		log.close(log.known)
		l.s.emit(LeftEvent{ConversationID: id})
	}
	l.settled()
}

// settled notes that one of the things has ended that being up to date waits
// for.
func (l *logs) settled() {
	l.syncing--
	if l.syncing == 0 {
		l.saveCursor()
		l.s.emit(StateEvent{State: Synced})
	}
}
