package gateway

import (
	"context"
	"time"

	"github.com/gochat-im/gochat/gateway/internal/wire"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

// Pages of one sync, each of logic's size, before it is cut short: a client
// that needs more asks again with the cursor.
const maxSyncPages = 10_000

// syncing is one sync: what was missed goes out while live events are held
// back; then those that the sync did not cover follow. Each entry reaches the
// connection once.
type syncing struct {
	s      *Server
	c      *conn
	hold   *liveHold
	sent   map[int64]int64 // by conversation: the last seq that the client has, by this sync or by its word
	young  map[int64]int64 // of sent: what may come live still
	left   map[int64]bool  // conversations that the client has left, as far as is known here: what follows a return comes live
	tooFar map[int64]wire.TooFar
	cursor int64
	next   *syncAsk // of the connection, known when this one is finished
}

// syncAsk is what a sync frame asks for.
type syncAsk struct {
	frameID string
	request *repopb.GetChangesRequest
}

// Syncs of one connection that wait for the one that runs; more are refused.
const maxWaitingSyncs = 4

// doSync starts to answer a sync frame in a goroutine of its own: the
// connection's other frames do not wait for its end. One sync runs at a time.
func (s *Server) doSync(c *conn, f *wire.Frame, userID int64) error {
	ask := &syncAsk{frameID: f.ID, request: &repopb.GetChangesRequest{UserId: userID, Have: f.Conversations}}
	if f.HasCursor && f.Cursor != "" {
		since, err := wire.ParseSyncCursor(f.Cursor)
		if err != nil {
			return err
		}
		ask.request.Since = since
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closing:
		return nil
	case c.sync == nil:
		c.sync = newHold(nil)
		s.readers.Add(1) // the reader that got the frame counts still
		go s.runSyncs(c, ask)
	case len(c.sync.next) >= maxWaitingSyncs:
		return errs.New(errs.RateLimited, "too many syncs at once").RetryAfter(time.Second)
	default:
		c.sync.next = append(c.sync.next, ask)
	}
	return nil
}

func newHold(next []*syncAsk) *liveHold {
	return &liveHold{drained: make(chan struct{}, 1), next: next}
}

// runSyncs answers syncs until none waits any more.
func (s *Server) runSyncs(c *conn, ask *syncAsk) {
	defer s.readers.Done()
	defer func() {
		if v := recover(); v != nil {
			s.panicked(v)
			c.close(closing{code: codeServerError, reason: "internal error", purge: true})
		}
	}()
	for ask != nil {
		ask = s.runSync(c, ask)
	}
}

// runSync answers one sync and returns the next.
func (s *Server) runSync(c *conn, ask *syncAsk) (next *syncAsk) {
	c.mu.Lock()
	y := &syncing{s: s, c: c, hold: c.sync, sent: map[int64]int64{}, young: map[int64]int64{}, left: map[int64]bool{}, tooFar: map[int64]wire.TooFar{}}
	c.mu.Unlock()
	ctx, span := s.traceFrame(context.Background(), &wire.Frame{Type: wire.TypeSync})
	err := y.pages(ctx, ask.request)
	// Live events that did not fit are in the log by now.
	for err == nil && !y.finish(ask.frameID, true) {
		again := &repopb.GetChangesRequest{UserId: ask.request.GetUserId(), Since: y.cursor}
		if len(y.left) > 0 { // and so is what was to come live
			again = ask.request
			clear(y.left)
		}
		err = y.pages(ctx, again)
	}
	if err != nil {
		y.finish(ask.frameID, false)
		y.failed(ask, err)
	}
	span.End(err)
	return y.next
}

// failed answers a sync that came to no end. A client whose position is not of this
// log has to begin anew.
func (y *syncing) failed(ask *syncAsk, err error) {
	if errs.From(err).Details["reason"] == "state_invalid" {
		y.c.close(closing{code: codeStateInvalid, reason: "what the client has is not of this server: sync in full"})
		return
	}
	y.s.refuse(y.c, &wire.Frame{ID: ask.frameID}, err)
}

// pages sends the pages of one run through the changes.
func (y *syncing) pages(ctx context.Context, req *repopb.GetChangesRequest) error {
	for range maxSyncPages {
		if err := y.waitForRoom(); err != nil {
			return err
		}
		call, cancel := context.WithTimeout(ctx, 4*callTimeout)
		resp, err := y.s.logic.Sync(call, req)
		cancel()
		if err != nil {
			return err
		}
		if err := y.page(resp); err != nil {
			return err
		}
		if resp.GetNext() == nil {
			y.cursor = resp.GetCursor()
			return nil
		}
		req = &repopb.GetChangesRequest{
			UserId: req.GetUserId(), Since: req.GetSince(), Have: req.GetHave(), Position: resp.GetNext(),
		}
	}
	return errs.New(errs.Unavailable, "too much to catch up with at once: sync again")
}

func (y *syncing) page(resp *repopb.GetChangesResponse) error {
	for _, e := range resp.GetEvents() {
		if err := y.entry(e); err != nil {
			return err
		}
	}
	for _, p := range resp.GetReads() {
		if _, err := y.emit(readFrame(p), false); err != nil {
			return err
		}
	}
	for _, v := range resp.GetHidden() {
		if _, err := y.emit(hiddenFrame(v), false); err != nil {
			return err
		}
	}
	for _, t := range resp.GetTooFar() {
		id := t.GetConversationId()
		y.tooFar[id] = wire.TooFar{ConversationID: wire.ID(id), AfterSeq: t.GetAfterSeq(), LastSeq: t.GetLastSeq()}
		y.sent[id] = max(y.sent[id], t.GetLastSeq())
	}
	return nil
}

// entry sends one entry of a log, unless the client has it already.
func (y *syncing) entry(e *repopb.Event) error {
	conversation := e.GetConversationId()
	if e.GetSeq() <= y.sent[conversation] || y.left[conversation] {
		return nil
	}
	f := eventFrame(e)
	f.class = classControl // not a live event: it is paced instead
	left, err := y.emit(f, aboutRemoval(e))
	if left {
		y.left[conversation] = true
	} else {
		y.sent[conversation] = e.GetSeq()
		if time.Since(time.UnixMilli(e.GetCreatedAt())) < lateLive {
			y.young[conversation] = e.GetSeq()
		}
	}
	return err
}

// emit queues one frame, unless the client got it live or has left its
// conversation, and waits while too much is queued. It reports the latter: it
// is wrong when a return is stored and has not been heard of here.
func (y *syncing) emit(f *outFrame, always bool) (left bool, err error) {
	c := y.c
	c.mu.Lock()
	left = !always && c.hub.tombs.has(c.userID, f.conversation, time.Now())
	skip := left || f.seq != 0 && c.seen.has(f.conversation, f.seq)
	if !skip {
		c.note(f)
	}
	flush := !skip && c.enqueueLocked(f)
	full := c.queued > c.hub.cfg.WebSocket.QueueSoftBytes/2
	c.mu.Unlock()
	if flush {
		c.hub.flusher.push(c)
	}
	if full {
		err = y.waitForRoom()
	}
	return left, err
}

// aboutRemoval: who has left still learns that from a sync.
func aboutRemoval(e *repopb.Event) bool {
	switch e.GetKind() {
	case repopb.EventKind_EVENT_KIND_MEMBER_LEFT, repopb.EventKind_EVENT_KIND_MEMBER_REMOVED, repopb.EventKind_EVENT_KIND_DISSOLVED:
		return true
	default:
		return false
	}
}

// waitForRoom paces a sync to the socket: a page is asked for when the last one is on its way.
func (y *syncing) waitForRoom() error {
	c := y.c
	timer := time.NewTimer(2 * c.hub.cfg.WebSocket.WriteTimeout)
	defer timer.Stop()
	for {
		c.mu.Lock()
		queued, closing := c.queued, c.closing
		c.mu.Unlock()
		if closing {
			return errs.New(errs.Unavailable, "the connection is closing")
		}
		if queued <= c.hub.cfg.WebSocket.QueueSoftBytes/2 {
			return nil
		}
		select {
		case <-y.hold.drained:
		case <-timer.C:
			c.close(tooSlow)
		}
	}
}

var tooSlow = closing{code: codeSlowConsumer, reason: "too slow", purge: true}

// finish ends the sync and lets the held events go; with answer it says so to
// the client first. It does nothing and reports false when some were forgotten.
func (y *syncing) finish(frameID string, answer bool) bool {
	c := y.c
	c.mu.Lock()
	flush := false
	if answer {
		if y.hold.overflowed {
			y.hold.overflowed = false
			c.mu.Unlock()
			return false
		}
		done := wire.SyncDone{Cursor: wire.FormatSyncCursor(y.cursor), Complete: len(y.tooFar) == 0}
		for _, t := range y.tooFar {
			done.TooFar = append(done.TooFar, t)
		}
		flush = c.enqueueLocked(controlFrame(wire.AppendObject(wire.NewText(256), "sync", frameID, done)))
	}
	c.sync = nil
	for _, f := range y.hold.frames {
		if f.seq > y.sent[f.conversation] {
			flush = c.enqueueEvent(f) || flush
		}
	}
	c.syncedLocked(y.young)
	if next := y.hold.next; len(next) > 0 && !c.closing {
		y.next, c.sync = next[0], newHold(next[1:])
	}
	c.mu.Unlock()
	if flush {
		c.hub.flusher.push(c)
	}
	return true
}
