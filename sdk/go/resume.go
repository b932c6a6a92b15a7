package gochat

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
)

// resume asks for what was missed, on a new connection.
func (l *logs) resume(userID string) {
	l.userID = userID
	if l.resumes > l.answered {
		l.syncing-- // of a connection that broke before its answer came
	}
	l.resumes++
	l.syncing++
	data := encodeFrame(l.resumeID(), "sync", syncRequest{Cursor: l.cursor, Conversations: l.have()})
	l.s.out.change(func() { l.s.out.sync = data })
}

// maxSyncSeqs bounds the seqs of a resume. Beyond, without a cursor, the
// positions of the conversations are listed over HTTP.
const maxSyncSeqs = 1000

// have returns the last seqs of the conversations that one is a member of;
// beside a cursor of those only that moved on since, the latest ones. So a resume
// that was cut short is continued by the next one, not begun again, and what came
// live is not sent again.
func (l *logs) have() map[string]int64 {
	var moved []string
	for id, log := range l.byID {
		if log.ended == 0 && (l.cursor == "" || log.moved > l.covered || log.pulling) {
			moved = append(moved, id)
		}
	}
	if len(moved) > maxSyncSeqs {
		if l.cursor == "" {
			return nil
		}
		slices.SortFunc(moved, func(a, b string) int { return cmp.Compare(l.byID[b].moved, l.byID[a].moved) })
		moved = moved[:maxSyncSeqs]
	}
	have := make(map[string]int64, len(moved))
	for _, id := range moved {
		have[id] = l.byID[id].expects()
	}
	return have
}

func (l *logs) resumeID() string { return "sync-" + strconv.FormatInt(l.resumes, 10) }

// synced takes in the answer to a resume.
func (l *logs) synced(f frame) {
	var answer syncAnswer
	if json.Unmarshal(f.Data, &answer) != nil || (f.ID != "" && f.ID != l.resumeID()) || l.answered == l.resumes {
		return
	}
	for _, t := range answer.TooFar {
		l.behind(t.ConversationID, t.LastSeq)
	}
	if !answer.Complete && len(answer.TooFar) == 0 && answer.Cursor != "" && answer.Cursor != l.cursor {
		l.cursor, l.covered = answer.Cursor, l.moves // there is more: go on from here
		data := encodeFrame(l.resumeID(), "sync", syncRequest{Cursor: answer.Cursor})
		l.s.out.change(func() { l.s.out.sync = data })
		return
	}
	l.answered = l.resumes
	if answer.Cursor != "" {
		l.cursor, l.covered = answer.Cursor, l.moves
	}
	if !l.listed {
		l.list()
	}
	l.settled()
}

// resumeFailed takes in the refusal of a resume: the cursor is not good any
// more, or the server is busy.
func (l *logs) resumeFailed(refusal *Error) {
	if l.answered == l.resumes {
		return
	}
	l.s.client.log.Debug("resume refused", "code", refusal.Code, "message", refusal.Message)
	if !refusal.Temporary() {
		l.forgetCursor()
	}
	l.s.breakConnection()
}

// saveCursor stores the cursor once everything up to it is stored: a session that begins with a cursor never asks for
// what was before it.
func (l *logs) saveCursor() {
	if l.cursor == l.saved {
		return
	}
	if err := l.s.cfg.Store.SetCursor(l.s.ctx, l.cursor); err != nil {
		l.s.end(err)
		return
	}
	l.saved = l.cursor
}

// forgetCursor makes the next resume a full one.
func (l *logs) forgetCursor() {
	l.cursor, l.listed = "", false
	l.saveCursor()
}

// stateInvalid takes in that the server does not have what the session holds.
// A cursor can be done without; logs cannot: then the store is of another
// server, or of what an older backup took from this one, and the session ends.
func (l *logs) stateInvalid(gone *DisconnectError) {
	if l.cursor == "" {
		l.s.end(gone)
		return
	}
	l.forgetCursor()
}

// list learns where every conversation stands, once for a cursor: the
// connection is attached already, so nothing falls between.
func (l *logs) list() {
	l.listed = true
	l.syncing++
	l.s.workers.Go(func() {
		var page Page
		for failures := 0; ; {
			answer, err := l.s.client.Conversations(l.s.ctx, page)
			if err != nil {
				l.s.client.log.Debug("conversations", "error", err)
				if !l.s.pause(backoff(failures)) {
					return
				}
				failures++
				continue
			}
			failures = 0
			l.s.post(func() { l.found(answer.Conversations) })
			if answer.NextCursor == "" {
				break
			}
			page.Cursor = answer.NextCursor
		}
		l.s.post(l.settled)
	})
}

// found takes in where conversations stand.
func (l *logs) found(conversations []Conversation) {
	for _, c := range conversations {
		if l.byID[c.ID] == nil && !l.s.cfg.FromStart {
			l.byID[c.ID] = newConvLog(c.LastSeq)
			continue
		}
		if c.LastSeq > 0 {
			l.behind(c.ID, c.LastSeq)
		}
	}
}
