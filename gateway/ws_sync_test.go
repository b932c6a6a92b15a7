package gateway

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gochat-im/gochat/gateway/internal/wire"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

func TestSyncSendsEachEntryOnce(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	var calls []*repopb.GetChangesRequest
	h.logic.sync = func(r *repopb.GetChangesRequest) (*repopb.GetChangesResponse, error) {
		calls = append(calls, r)
		if r.GetPosition() == nil {
			// Live while the sync runs: 4 is covered by its second page, 6 is not.
			h.deliver(message(42, 6, 7), message(42, 4, 7), message(50, 1, 7), message(60, 8, 7), message(60, 9, 7))
			return &repopb.GetChangesResponse{
				Events: []*repopb.Event{event(41, 1), event(42, 1), event(42, 2)},
				Next:   &repopb.GetChangesPosition{ConversationId: 42, Seq: 2, Cursor: 1000},
			}, nil
		}
		return &repopb.GetChangesResponse{
			Events: []*repopb.Event{event(42, 3), event(42, 4), event(42, 5)},
			Reads:  []*repopb.ReadPointer{{ConversationId: 42, UserId: 7, Seq: 2}},
			Hidden: []*repopb.Hidden{{ConversationId: 42, Seq: 1}},
			TooFar: []*repopb.TooFar{{ConversationId: 60, AfterSeq: 1, LastSeq: 8}},
			Cursor: 1000,
		}, nil
	}
	c := h.connect(7, 70)
	h.deliver(message(41, 1, 7)) // live before the sync
	if r := c.expect("message"); r.str("id") != "41-1" {
		t.Fatal(r)
	}
	c.send(`{"type":"sync","id":"s","data":{"conversations":{"42":0,"60":1}}}`)
	for _, id := range []string{"42-1", "42-2", "42-3", "42-4", "42-5"} {
		if r := c.expect("message"); r.str("id") != id {
			t.Fatalf("got %s, want %s", r.str("id"), id)
		}
	}
	c.expect("read")
	if r := c.expect("event"); r.str("kind") != "hidden" {
		t.Fatal(r)
	}
	done := c.expect("sync")
	if done.ID != "s" || fmt.Sprint(done.fields["too_far"]) != "[map[after_seq:1 conversation_id:60 last_seq:8]]" || done.fields["complete"] != false {
		t.Errorf("%s", done.Data)
	}
	for _, id := range []string{"42-6", "50-1", "60-9"} {
		if r := c.expect("message"); r.str("id") != id {
			t.Fatalf("got %s, want %s", r.str("id"), id)
		}
	}
	if calls[0].GetUserId() != 7 || calls[0].GetHave()[60] != 1 || calls[1].GetPosition().GetSeq() != 2 {
		t.Errorf("asked %v", calls)
	}
	h.deliver(message(42, 7, 7))
	c.expect("message")

	h.logic.sync = func(r *repopb.GetChangesRequest) (*repopb.GetChangesResponse, error) {
		if r.GetSince() != 1000 {
			t.Errorf("since %d", r.GetSince())
		}
		return &repopb.GetChangesResponse{Cursor: 2000}, nil
	}
	c.send(`{"type":"sync","data":{"cursor":"` + done.str("cursor") + `"}}`)
	if r := c.expect("sync"); r.fields["complete"] != true || r.str("cursor") != wire.FormatSyncCursor(2000) {
		t.Errorf("%s", r.Data)
	}
}

// A sync reads what is stored, and another process may deliver that later.
func TestWhatASyncSentComesLiveLater(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	stored := func(seq int64) *repopb.Event {
		e := event(42, seq)
		e.CreatedAt = time.Now().UnixMilli()
		return e
	}
	h.logic.sync = func(*repopb.GetChangesRequest) (*repopb.GetChangesResponse, error) {
		return &repopb.GetChangesResponse{Events: []*repopb.Event{stored(1), stored(2), stored(3)}, Cursor: 1000}, nil
	}
	c := h.connect(7, 70)
	c.send(`{"type":"sync","data":{}}`)
	for range 3 {
		c.expect("message")
	}
	c.expect("sync")
	h.deliver(message(42, 2, 7), message(42, 3, 7), message(42, 4, 7), message(43, 1, 7))
	for _, id := range []string{"42-4", "43-1"} {
		if r := c.expect("message"); r.str("id") != id {
			t.Fatalf("got %s, want %s", r.str("id"), id)
		}
	}
	c.nothing()
}

func TestSyncLooksAgainWhenTooMuchCameLive(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) { c.WebSocket.QueueSoftBytes, c.WebSocket.QueueBodyBytes = 16<<10, 32<<10 })
	run := 0
	h.logic.sync = func(r *repopb.GetChangesRequest) (*repopb.GetChangesResponse, error) {
		run++
		if run == 1 {
			for seq := int64(3); seq <= 12; seq++ {
				h.deliver(big(42, seq, 7))
			}
			return &repopb.GetChangesResponse{Events: []*repopb.Event{event(42, 1), event(42, 2), event(42, 3)}, Cursor: 1000}, nil
		}
		if r.GetSince() != 1000 {
			t.Errorf("since %d", r.GetSince())
		}
		var list []*repopb.Event
		for seq := int64(2); seq <= 12; seq++ {
			list = append(list, event(42, seq))
		}
		return &repopb.GetChangesResponse{Events: list, Cursor: 2000}, nil
	}
	c := h.connect(7, 70)
	c.send(`{"type":"sync","data":{}}`)
	for seq := 1; seq <= 12; seq++ {
		if r := c.expect("message"); r.num("seq") != seq {
			t.Fatalf("seq %d, want %d", r.num("seq"), seq)
		}
	}
	if r := c.expect("sync"); r.str("cursor") != wire.FormatSyncCursor(2000) {
		t.Errorf("%s", r.Data)
	}
	c.nothing()
	if run != 2 {
		t.Errorf("%d runs", run)
	}
}

func TestSyncLargerThanTheQueue(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) {
		c.WebSocket.WriteTimeout = patience
		c.WebSocket.QueueSoftBytes, c.WebSocket.QueueBodyBytes, c.WebSocket.QueueMaxBytes = 16<<10, 32<<10, 64<<10
	})
	const n = 200
	h.logic.sync = func(r *repopb.GetChangesRequest) (*repopb.GetChangesResponse, error) {
		var list []*repopb.Event
		for seq := int64(1); seq <= n; seq++ {
			list = append(list, big(42, seq).GetEvent())
		}
		return &repopb.GetChangesResponse{Events: list, Cursor: 5}, nil
	}
	c := h.connect(7, 70)
	c.send(`{"type":"sync","data":{"conversations":{"42":0}}}`)
	for seq := 1; seq <= n; seq++ {
		if r := c.expect("message"); r.num("seq") != seq {
			t.Fatalf("seq %d, want %d", r.num("seq"), seq)
		}
	}
	c.expect("sync")
}

func TestSyncFails(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	h.logic.sync = func(*repopb.GetChangesRequest) (*repopb.GetChangesResponse, error) {
		h.deliver(message(42, 1, 7))
		return nil, errs.New(errs.Unavailable, "busy")
	}
	c := h.connect(7, 70)
	c.send(`{"type":"sync","id":"s","data":{"cursor":"forged"}}`)
	if r := c.expect("error"); r.num("code") != int(errs.Invalid) || r.ID != "s" {
		t.Errorf("%s", r.Data)
	}
	c.send(`{"type":"sync","id":"s","data":{}}`)
	c.expect("message") // nothing is lost
	if r := c.expect("error"); r.num("code") != int(errs.Unavailable) || r.ID != "s" {
		t.Errorf("%s", r.Data)
	}
}

// A second sync of a connection sends what is missing, and nothing that came live.
func TestSecondSyncRepeatsNothing(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	answers := [][]*repopb.Event{{event(42, 1)}, {event(42, 2), event(42, 3), event(42, 4), event(42, 5)}}
	h.logic.sync = func(*repopb.GetChangesRequest) (*repopb.GetChangesResponse, error) {
		answer := &repopb.GetChangesResponse{Events: answers[0], Cursor: 1000}
		answers = answers[1:]
		return answer, nil
	}
	c := h.connect(7, 70)
	c.send(`{"type":"sync","data":{"conversations":{"42":0}}}`)
	c.expect("message")
	c.expect("sync")
	h.deliver(message(42, 2, 7), message(42, 5, 7)) // 3 and 4 never come
	for _, seq := range []int{2, 5} {
		if r := c.expect("message"); r.num("seq") != seq {
			t.Fatalf("seq %d, want %d", r.num("seq"), seq)
		}
	}
	c.send(`{"type":"sync","data":{"conversations":{"42":2}}}`)
	for _, seq := range []int{3, 4} {
		if r := c.expect("message"); r.num("seq") != seq {
			t.Fatalf("seq %d, want %d", r.num("seq"), seq)
		}
	}
	c.expect("sync")
	c.nothing()
}

// A body that a slow socket was spared is not taken for one that it has.
func TestSyncSendsWhatASlowSocketWasSpared(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) { c.WebSocket.QueueSoftBytes, c.WebSocket.QueueBodyBytes = 16<<10, 16<<10 })
	h.logic.sync = func(*repopb.GetChangesRequest) (*repopb.GetChangesResponse, error) {
		return &repopb.GetChangesResponse{Events: []*repopb.Event{event(42, 1), event(42, 2), event(42, 3)}, Cursor: 1000}, nil
	}
	c := h.connect(7, 70)
	conn := h.hub.ofUser(7)[0]
	conn.mu.Lock()
	conn.scheduled = true // so that what follows stays in the queue
	conn.mu.Unlock()
	h.deliver(big(42, 1, 7), big(42, 2, 7))
	h.hub.flusher.push(conn)
	c.expect("message")
	if r := c.expect("event"); r.str("kind") != "behind" || r.num("seq") != 2 {
		t.Fatalf("%s", r.Data)
	}
	c.send(`{"type":"sync","data":{"conversations":{"42":1}}}`)
	for _, seq := range []int{2, 3} {
		if r := c.expect("message"); r.num("seq") != seq {
			t.Fatalf("seq %d, want %d", r.num("seq"), seq)
		}
	}
	c.expect("sync")
}

// Who came back, where that is not known yet, gets what follows the return once:
// what the sync may not send comes live after it.
func TestSyncBeforeAReturnIsKnown(t *testing.T) {
	t.Parallel()
	for name, pages := range map[string][][]int64{"both too early": {{6, 7}, nil}, "the second in time": {{6}, {7}}, "the first had before": {nil, {6, 7}}} {
		for _, overflow := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, overflow %v", name, overflow), func(t *testing.T) {
				t.Parallel()
				h := start(t, func(c *Config) { c.WebSocket.QueueSoftBytes, c.WebSocket.QueueBodyBytes = 16<<10, 32<<10 })
				page := 0
				h.logic.sync = func(r *repopb.GetChangesRequest) (*repopb.GetChangesResponse, error) {
					resp := &repopb.GetChangesResponse{Cursor: 1000}
					switch page++; page {
					case 1, 2:
						for _, seq := range pages[page-1] {
							resp.Events = append(resp.Events, event(42, seq))
						}
					default: // everything, or what is new
						for seq := int64(6); seq <= 7 && r.GetSince() < 1000; seq++ {
							resp.Events = append(resp.Events, event(42, seq))
						}
					}
					switch page {
					case 1:
						resp.Next = &repopb.GetChangesPosition{ConversationId: 42, Seq: 6, Cursor: 1000}
					case 2:
						back := message(42, 6, 7)
						back.AttachUserIds = []int64{7}
						h.deliver(back, message(42, 7, 7))
						for seq := int64(1); overflow && seq <= 8; seq++ {
							h.deliver(big(43, seq, 7))
						}
					default:
						for seq := int64(1); seq <= 8; seq++ {
							resp.Events = append(resp.Events, event(43, seq))
						}
					}
					return resp, nil
				}
				c := h.connect(7, 70)
				h.deliver(removal(42, 5, 7))
				c.expect("message")
				c.send(`{"type":"sync","data":{"cursor":"` + wire.FormatSyncCursor(500) + `"}}`)
				var got []int
				for {
					r, err := c.read()
					if err != nil {
						t.Fatal(err)
					}
					if r.str("conversation_id") == "42" {
						got = append(got, r.num("seq"))
					}
					if r.Type == "sync" {
						c.send(`{"type":"ping"}`) // what was held follows
					}
					if r.Type == "pong" {
						break
					}
				}
				if !slices.Equal(got, []int{6, 7}) {
					t.Errorf("got %v", got)
				}
			})
		}
	}
}

// Other frames are answered while a sync runs; more syncs wait for their turn, up to a bound.
func TestSyncKeepsNoOtherFrameWaiting(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	goOn := make(chan struct{})
	var calls atomic.Int64
	h.logic.sync = func(*repopb.GetChangesRequest) (*repopb.GetChangesResponse, error) {
		n := calls.Add(1)
		<-goOn
		return &repopb.GetChangesResponse{Cursor: n}, nil
	}
	c := h.connect(7, 70)
	for i := range maxWaitingSyncs + 2 {
		c.send(fmt.Sprintf(`{"type":"sync","id":"%d","data":{"conversations":{"42":0}}}`, i))
	}
	if r := c.expect("error"); r.num("code") != int(errs.RateLimited) || r.ID != fmt.Sprint(maxWaitingSyncs+1) {
		t.Fatalf("%s %s", r.ID, r.Data)
	}
	c.nothing()
	h.deliver(message(42, 1, 7)) // waits for the sync
	c.nothing()
	close(goOn)
	if r := c.expect("sync"); r.ID != "0" {
		t.Errorf("answer to %s", r.ID)
	}
	c.expect("message")
	for i := range maxWaitingSyncs {
		if r := c.expect("sync"); r.ID != fmt.Sprint(i+1) {
			t.Errorf("answer to %s, want %d", r.ID, i+1)
		}
	}
	c.nothing()
}

func TestSyncOfAnotherServersPosition(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	h.logic.sync = func(*repopb.GetChangesRequest) (*repopb.GetChangesResponse, error) {
		return nil, errs.New(errs.Conflict, "the position is not one of this server").With("reason", "state_invalid")
	}
	c := h.connect(7, 70)
	c.send(`{"type":"sync","data":{"conversations":{"42":9}}}`)
	if r := c.expectClose(codeStateInvalid); r.fields["reconnect"] != true {
		t.Errorf("%s", r.Data)
	}
}

func TestSeenSeqsAreBounded(t *testing.T) {
	t.Parallel()
	var s seenSeqs
	for seq := int64(1); seq <= 100; seq++ {
		s.add(1, seq)
		s.add(2, 2*seq)
	}
	s.add(1, 200)
	if s.count != 102 || !s.has(1, 50) || s.has(1, 150) || !s.has(1, 200) || !s.has(2, 100) || s.has(2, 101) || s.has(3, 1) {
		t.Errorf("%d ranges", s.count)
	}
	for i := range int64(2 * maxSeen) {
		s.add(i+10, 5)
		if !s.has(i+10, 5) {
			t.Fatalf("the latest is forgotten")
		}
	}
	n := 0
	for _, list := range s.ranges {
		n += len(list)
	}
	if s.count > maxSeen || n != s.count {
		t.Errorf("%d ranges, %d counted", n, s.count)
	}
}
