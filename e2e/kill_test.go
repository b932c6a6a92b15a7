package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// kills is how often the server dies in one run.
const kills = 20

// ackd is a message that the server acknowledged.
type ackd struct {
	conversation, content string
	seq                   int64
}

// TestKill sends from many clients over both ways, kills the server in the middle and starts it again, 20 times. No
// acknowledged message may be missing, none be there twice, no seq be left out, and what sockets saw must be the history, each
// entry once. On a later connection one may come again: a bus that outlives the server has its last records handled again.
func TestKill(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a test's dice
	s := deploy(t, "GOCHAT_LOG_LEVEL=warn")

	const users = 6
	accounts := make([]*account, users)
	for i := range accounts {
		accounts[i] = register(t, s, fmt.Sprint("user", i))
	}
	g := group(t, accounts[0], nil, accounts[1:]...)
	chats := []string{g}
	for i := 0; i < users; i += 2 {
		chats = append(chats, single(t, accounts[i], accounts[i+1]))
	}

	var mu sync.Mutex
	acked := map[string]ackd{}             // by client_msg_id
	seen := map[string]map[string]string{} // conversation -> "user/seq" -> content
	next := make([]int, users)
	for range kills {
		var wg sync.WaitGroup
		for i, a := range accounts {
			a.login(t)
			chat := chats[1+i/2]
			wg.Go(func() { // over HTTP
				for {
					key := func() string { mu.Lock(); defer mu.Unlock(); next[i]++; return fmt.Sprintf("h-%d-%d", i, next[i]) }()
					seq, ok := trySend(t, a, chat, key)
					if !ok {
						return
					}
					mu.Lock()
					acked[key] = ackd{chat, "content of " + key, seq}
					mu.Unlock()
				}
			})
			conn, resp, err := websocket.Dial(t.Context(), s.socketURL(), &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + a.token}}})
			if err != nil {
				t.Fatal(err)
			}
			if resp.Body != nil {
				resp.Body.Close()
			}
			wg.Go(func() { // over the socket, ten outstanding
				defer func() { _ = conn.CloseNow() }()
				got := map[string]bool{} // on this connection: "conversation/seq"
				window := make(chan struct{}, 10)
				var writer sync.WaitGroup
				ended := make(chan struct{})
				writer.Go(func() {
					for {
						select {
						case window <- struct{}{}:
						case <-ended:
							return
						}
						key := func() string { mu.Lock(); defer mu.Unlock(); next[i]++; return fmt.Sprintf("w-%d-%d", i, next[i]) }()
						raw := fmt.Sprintf(`{"type":"message","data":{"conversation_id":"%s","content":"content of %s","message_type":"text","client_msg_id":"%s"}}`, g, key, key)
						if conn.Write(t.Context(), websocket.MessageText, []byte(raw)) != nil {
							return
						}
					}
				})
				for {
					_, raw, err := conn.Read(t.Context())
					if err != nil {
						break
					}
					var f frame
					if err := json.Unmarshal(raw, &f); err != nil {
						t.Errorf("frame %s: %v", raw, err)
					}
					mu.Lock()
					switch f.Type {
					case "ack":
						key := str(f.Data, "client_msg_id")
						acked[key] = ackd{g, "content of " + key, num(f.Data, "seq")}
						<-window
					case "message":
						c := str(f.Data, "conversation_id")
						if seen[c] == nil {
							seen[c] = map[string]string{}
						}
						entry, at := fmt.Sprint(c, "/", num(f.Data, "seq")), fmt.Sprintf("%d/%d", i, num(f.Data, "seq"))
						if got[entry] {
							t.Errorf("user %d saw %s twice", i, entry)
						}
						got[entry] = true
						if before, again := seen[c][at]; again && before != str(f.Data, "content") {
							t.Errorf("user %d saw %q at %s, and before %q", i, str(f.Data, "content"), entry, before)
						}
						seen[c][at] = str(f.Data, "content")
					case "error":
						t.Errorf("user %d: %s", i, raw)
						<-window
					}
					mu.Unlock()
				}
				close(ended)
				writer.Wait()
			})
		}
		before := func() int { mu.Lock(); defer mu.Unlock(); return len(acked) }
		start, enough := before(), 20+random.IntN(200)
		eventually(t, fmt.Sprintf("%d acks", enough), func() bool { return before() >= start+enough })
		s.kill()
		wg.Wait()
		s.start()
	}

	accounts[0].login(t)
	total := 0
	for i, chat := range chats {
		reader := accounts[max(0, 2*(i-1))]
		reader.login(t)
		stored := map[int64]string{}
		keys := map[string]int64{}
		for after := int64(0); ; {
			page := history(t, reader, fmt.Sprintf("conversation_id=%s&include=all&limit=100&after_seq=%d", chat, after))
			if len(page) == 0 {
				break
			}
			for _, m := range page {
				after++
				if num(m, "seq") != after {
					t.Fatalf("conversation %s: seq %d where %d was due", chat, num(m, "seq"), after)
				}
				stored[after] = str(m, "content")
				if key := str(m, "client_msg_id"); key != "" {
					if first, twice := keys[key]; twice {
						t.Errorf("%s is stored twice, at %d and %d", key, first, after)
					}
					keys[key] = after
				}
			}
		}
		total += len(stored)
		for key, m := range acked {
			if m.conversation == chat && stored[m.seq] != m.content {
				t.Errorf("acknowledged message %s (seq %d of %s) is lost: there is %q", key, m.seq, chat, stored[m.seq])
			}
		}
		for at, content := range seen[chat] {
			var user, seq int64
			if _, err := fmt.Sscanf(at, "%d/%d", &user, &seq); err != nil {
				t.Fatal(err)
			}
			if stored[seq] != content {
				t.Errorf("user %d saw %q at seq %d of %s; the history has %q", user, content, seq, chat, stored[seq])
			}
		}
	}
	t.Logf("%d kills, %d acknowledged, %d stored", kills, len(acked), total)
}

// trySend sends over HTTP; ok is false when the server is gone.
func trySend(t *testing.T, a *account, chat, key string) (seq int64, ok bool) {
	raw := fmt.Sprintf(`{"conversation_id":"%s","content":"content of %s","message_type":"text","client_msg_id":"%s"}`, chat, key, key)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.s.url()+"/api/v1/messages/send", bytes.NewReader([]byte(raw)))
	if err != nil {
		t.Error(err)
		return 0, false
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+a.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, false
	}
	defer resp.Body.Close()
	var answer map[string]any
	if json.NewDecoder(resp.Body).Decode(&answer) != nil || resp.StatusCode != http.StatusOK {
		return 0, false
	}
	return num(answer, "message", "seq"), true
}
