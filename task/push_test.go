package task

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gochat-im/gochat/repo/repopb"
	"github.com/gochat-im/gochat/task/taskpb"
)

const secret = "0123456789abcdef0123456789abcdef"

func withPush(url string) func(*Config) {
	return func(c *Config) {
		c.Push.WebhookURL, c.Push.WebhookSecret = url, secret
		c.Push.Delay, c.Push.Backoff, c.Push.MaxBackoff = 0, time.Millisecond, 10*time.Millisecond
		c.Jobs.PollInterval = 10 * time.Millisecond
	}
}

// quietPush is push whose jobs do not run.
func quietPush(c *Config) {
	withPush("http://127.0.0.1:9/hook")(c)
	c.Push.Delay, c.WalkBatch = 5*time.Second, 2
}

func TestOfflineMembersGetOneJobEach(t *testing.T) {
	t.Parallel()
	f := newFixture(t, quietPush)
	f.store.group(7, 1, 2, 3)
	f.store.group(8, 1, 4)
	f.sockets.online = []int64{2}
	f.persistAll(t, message(7, 1, "a"), message(8, 1, "b"), message(7, 1, "c"))
	// Sender 1 has no socket either, but wrote everything; 2 is online.
	equal(t, "jobs", f.store.keysOf(), []string{"push:7:3", "push:8:4"})
	if n := f.store.outboxLen(); n != 0 {
		t.Errorf("%d outbox entries left", n)
	}
	f.persistAll(t, message(7, 3, "d"))
	equal(t, "jobs", f.store.keysOf(), []string{"push:7:1", "push:7:3", "push:8:4"})
	f.persistAll(t, message(7, 1, "a")) // a duplicate decides nothing
	equal(t, "jobs", f.store.keysOf(), []string{"push:7:1", "push:7:3", "push:8:4"})
}

func TestLargeGroupsAreWalked(t *testing.T) {
	t.Parallel()
	f := newFixture(t, quietPush)
	f.store.routes[7] = &repopb.Route{ConversationId: 7, Type: repopb.ConversationType_CONVERSATION_TYPE_GROUP, Large: true}
	f.store.members[7] = []int64{1, 2, 3, 4, 5}
	f.store.group(8, 1, 9)
	f.sockets.online = []int64{1, 4}
	f.persistAll(t, message(7, 1, "a"), message(8, 1, "b"))
	equal(t, "jobs", f.store.keysOf(), []string{"push:7:2", "push:7:3", "push:7:5", "push:8:9"})
	if n := f.store.outboxLen(); n != 0 {
		t.Errorf("%d outbox entries left", n)
	}
}

func TestLostPushDecisionIsReplayed(t *testing.T) {
	t.Parallel()
	for _, topic := range []string{taskpb.PushTopic, taskpb.GroupTopic} {
		t.Run(topic, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, quietPush)
			f.topics.full[topic] = true
			f.store.routes[7] = &repopb.Route{ConversationId: 7, Type: repopb.ConversationType_CONVERSATION_TYPE_GROUP, Large: true}
			f.store.members[7] = []int64{1, 2}
			f.store.group(8, 1, 9)
			f.sockets.online = []int64{1}
			f.persistAll(t, message(7, 1, "a"), message(8, 1, "b"))
			if n := f.store.outboxLen(); n != 1 {
				t.Fatalf("%d outbox entries, want the one that was not decided", n)
			}
			n, err := f.queue.replay(t.Context(), time.Now().Add(time.Hour))
			if n != 1 || err != nil {
				t.Fatalf("replay = %d, %v", n, err)
			}
			equal(t, "jobs", f.store.keysOf(), []string{"push:7:2", "push:8:9"})
			if n := f.store.outboxLen(); n != 0 {
				t.Errorf("%d outbox entries left", n)
			}
		})
	}
}

func TestOutboxIsReplayedAtStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *Config) { quietPush(c); c.Push.Delay = time.Hour })
		f.store.group(8, 1, 9)
		f.topics.full[taskpb.PushTopic] = true
		f.persistAll(t, message(8, 1, "b"))
		start(t, f)
		synctest.Wait()
		equal(t, "jobs", f.store.keysOf(), []string{"push:8:1", "push:8:9"})
	})
}

// hook is a webhook's server.
type hook struct {
	mu     sync.Mutex
	bodies []string
	status []int // of the next answers; then 204
	during func()
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	status := http.StatusNoContent
	if len(h.status) > 0 {
		status, h.status = h.status[0], h.status[1:]
	}
	if !signed(r.Header.Get("X-GoChat-Signature"), body) {
		body = []byte("bad signature")
	}
	h.bodies = append(h.bodies, string(body))
	during := h.during
	h.during = nil
	h.mu.Unlock()
	if during != nil {
		during()
	}
	w.Header().Set("Location", "/elsewhere")
	w.WriteHeader(status)
}

func (h *hook) got() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.bodies...)
}

func signed(header string, body []byte) bool {
	at, v1, ok := strings.Cut(strings.TrimPrefix(header, "t="), ",v1=")
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%s.%s", at, body)
	return ok && v1 == hex.EncodeToString(mac.Sum(nil))
}

func view(last, unread int64) *repopb.ConversationView {
	return &repopb.ConversationView{Conversation: &repopb.Conversation{Id: 7, LastSeq: last}, Unread: unread}
}

func newHook(t *testing.T) (*hook, string) {
	t.Helper()
	h := &hook{}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return h, server.URL
}

func start(t *testing.T, f *fixture) {
	t.Helper()
	if err := f.Start(t.Context()); err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() {
		if err := f.Stop(t.Context()); err != nil && t.Context().Err() == nil {
			t.Errorf("Stop: %v", err)
		}
	})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func TestPushReachesTheWebhook(t *testing.T) {
	t.Parallel()
	h, url := newHook(t)
	h.status = []int{500, 302, 429}
	f := newFixture(t, withPush(url))
	f.store.group(7, 1, 2)
	f.store.views[pushTarget{7, 2}] = view(5, 3)
	start(t, f)
	f.persistAll(t, message(7, 1, "a"))
	eventually(t, "the job is done", func() bool { return len(f.store.keysOf()) == 0 })
	want := `{"user_id":"2","conversation_id":"7","last_seq":5,"unread":3,"total_unread":42,"collapse_key":"7"}`
	equal(t, "requests", h.got(), []string{want, want, want, want})
}

func TestPushIsDroppedWhenThereIsNothingToTell(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*fixture){
		"no member":     func(f *fixture) { delete(f.store.views, pushTarget{7, 2}) },
		"read":          func(f *fixture) { f.store.views[pushTarget{7, 2}] = view(5, 0) },
		"muted":         func(f *fixture) { f.store.views[pushTarget{7, 2}].Muted = true },
		"online by now": func(f *fixture) { f.sockets.online = []int64{2} },
		"disabled":      func(f *fixture) { f.store.user = repopb.UserStatus_USER_STATUS_DISABLED },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, url := newHook(t)
			f := newFixture(t, withPush(url))
			f.store.group(7, 1, 2)
			f.store.views[pushTarget{7, 2}] = view(5, 3)
			f.persistAll(t, message(7, 1, "a"))
			equal(t, "jobs", f.store.keysOf(), []string{"push:7:2"})
			change(f)
			start(t, f)
			eventually(t, "the job is done", func() bool { return len(f.store.keysOf()) == 0 })
			equal(t, "requests", h.got(), nil)
		})
	}
}

func TestMessageDuringAPushIsPushedToo(t *testing.T) {
	t.Parallel()
	h, url := newHook(t)
	f := newFixture(t, withPush(url))
	f.store.group(7, 1, 2)
	f.store.views[pushTarget{7, 2}] = view(1, 1)
	h.during = func() {
		f.store.mu.Lock()
		f.store.views[pushTarget{7, 2}] = view(2, 2)
		f.store.mu.Unlock()
		f.persistAll(t, message(7, 1, "b")) // its job collapses into the one that runs
	}
	start(t, f)
	f.persistAll(t, message(7, 1, "a"))
	eventually(t, "both are pushed", func() bool { return len(h.got()) == 2 && len(f.store.keysOf()) == 0 })
	if second := h.got()[1]; !strings.Contains(second, `"last_seq":2`) {
		t.Errorf("second push = %s", second)
	}
}

func TestWebhookErrorsDoNotShowItsURL(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig().Push
	cfg.WebhookURL, cfg.WebhookSecret = "http://127.0.0.1:1/hook?token=hidden", secret
	w := newWebhook(cfg)
	defer w.close()
	if err := w.post(t.Context(), 1, notice{}); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("error = %v", err)
	}
}
