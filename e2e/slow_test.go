package e2e

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// A client that does not read costs nobody else anything, and gets an unbroken run of messages, where the conversation
// stands in place of those that were left out, and the rest from the history.
func TestSlowSocket(t *testing.T) {
	t.Parallel()
	s := deploy(t, "GOCHAT_GATEWAY_WEBSOCKET_WRITE_TIMEOUT=5m", "GOCHAT_GATEWAY_LIMITS_SEND_RATE=100000", "GOCHAT_GATEWAY_LIMITS_SEND_BURST=100000")
	alice, bob, carol := register(t, s, "alice"), register(t, s, "bob"), register(t, s, "carol")
	chat := group(t, alice, nil, bob, carol)
	slow, fast := bob.dial(t), carol.dial(t)
	first := num(alice.say(t, chat, "before"), "seq")
	slow.until(t, "message")
	fast.until(t, "message")
	last := first
	eventually(t, "bodies are left out", func() bool {
		for range 20 {
			last = num(alice.say(t, chat, long(last+1)), "seq")
			if f, _ := fast.until(t, "message"); num(f.Data, "seq") != last {
				t.Fatalf("the fast one got seq %d, want %d", num(f.Data, "seq"), last)
			}
		}
		return bob.s.gateway().metric(t, "gochat_gateway_dropped_total") > 0
	})
	next, pulled := first+1, int64(0)
	for next <= last {
		switch f := slow.next(t); {
		case f.Type == "message" && num(f.Data, "seq") == next && str(f.Data, "content") == long(next):
			next++
		case f.Type == "event" && str(f.Data, "kind") == "behind" && num(f.Data, "seq") >= next:
			for stands := num(f.Data, "seq"); next <= stands; next, pulled = next+1, pulled+1 {
				page := bob.must(t, http.MethodGet, "/api/v1/messages/history?conversation_id="+chat+"&limit=1&after_seq="+strconv.FormatInt(next-1, 10), http.StatusOK, nil)
				if messages, _ := page["messages"].([]any); len(messages) != 1 || str(messages[0], "content") != long(next) {
					t.Fatalf("seq %d of the history: %v", next, page)
				}
			}
		default:
			t.Fatalf("got %s for seq %d, want seq %d", f.Type, num(f.Data, "seq"), next)
		}
	}
	if pulled == 0 {
		t.Error("nothing was left out")
	}
	alice.say(t, chat, "after")
	if f, _ := slow.until(t, "message"); num(f.Data, "seq") != last+1 {
		t.Errorf("after it caught up it got seq %d, want %d", num(f.Data, "seq"), last+1)
	}
}

// A client that takes nothing for the write timeout is told to come back, and misses nothing then.
func TestStalledSocketIsClosed(t *testing.T) {
	t.Parallel()
	s := deploy(t, "GOCHAT_GATEWAY_WEBSOCKET_WRITE_TIMEOUT=500ms", "GOCHAT_GATEWAY_LIMITS_SEND_RATE=100000", "GOCHAT_GATEWAY_LIMITS_SEND_BURST=100000")
	alice, bob := register(t, s, "alice"), register(t, s, "bob")
	chat := single(t, alice, bob)
	stalled := bob.dial(t)
	last := int64(0)
	eventually(t, "the socket is closed", func() bool {
		for range 20 {
			last = num(alice.say(t, chat, long(last+1)), "seq")
		}
		return bob.s.gateway().metric(t, "gochat_gateway_connections") == 0
	})
	got := int64(0)
	for {
		f, err := stalled.read(t.Context())
		if err != nil {
			break
		}
		if f.Type == "message" {
			if got++; num(f.Data, "seq") != got {
				t.Fatalf("got seq %d, want %d", num(f.Data, "seq"), got)
			}
		}
	}
	back := bob.dial(t)
	back.send(t, `{"type":"sync","data":{"conversations":{"`+chat+`":`+strconv.FormatInt(got, 10)+`}}}`)
	for got < last {
		if f, _ := back.until(t, "message"); num(f.Data, "seq") != got+1 || str(f.Data, "content") != long(got+1) {
			t.Fatalf("the sync brought seq %d, want %d", num(f.Data, "seq"), got+1)
		}
		got++
	}
	back.until(t, "sync")
}

// long is a message's content of 8 kB that tells its seq.
func long(seq int64) string { return strconv.FormatInt(seq, 10) + strings.Repeat("x", 8000) }
