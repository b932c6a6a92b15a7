package gochat_test

import (
	"net/http"
	"sync/atomic"
	"testing"

	gochat "github.com/gochat-im/gochat/sdk/go"
)

// A session whose server goes away goes on at another, and what was not acknowledged is sent there.
func TestSessionGoesOnAtAnotherServer(t *testing.T) {
	t.Parallel()
	first, second := newFakeServer(t), newFakeServer(t)
	c := client(t, first, gochat.WithServers(second.url), gochat.WithTokens(gochat.Tokens{Access: "access"}))
	s, err := c.Connect(t.Context(), gochat.SessionConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	synced(t, s)
	first.change(func() { first.loseAcks = 1 })
	sending, err := s.Start(gochat.Outgoing{ConversationID: "c", Content: "hi"})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first server has the message", func() bool {
		return first.count(func() int { return len(first.logs["c"]) }) == 1
	})
	first.closeWith(4001, "")
	if ack, err := sending.Wait(t.Context()); err != nil || ack.Seq != 1 {
		t.Fatalf("%+v, %v", ack, err)
	}
	if first.connects != 1 || second.connects != 1 || len(second.logs["c"]) != 1 {
		t.Errorf("%d and %d connects, %d messages at the second", first.connects, second.connects, len(second.logs["c"]))
	}
	// A connection that the application breaks itself comes back to the same server.
	s.Reconnect()
	eventually(t, "the second server is there again", func() bool { return second.count(func() int { return second.connects }) == 2 })
}

// A call that only reads is made at every server until one can serve; one that changes something is made once, the next one elsewhere.
func TestCallsGoOnAtAnotherServer(t *testing.T) {
	t.Parallel()
	var served atomic.Int32
	good := newFakeServer(t)
	good.mux.HandleFunc("GET /api/v1/users/profile", func(w http.ResponseWriter, _ *http.Request) {
		served.Add(1)
		_, _ = w.Write([]byte(`{"user":{"id":"1"}}`))
	})
	good.mux.HandleFunc("PUT /api/v1/users/profile", func(w http.ResponseWriter, _ *http.Request) {
		served.Add(1)
		_, _ = w.Write([]byte(`{"user":{"id":"1"}}`))
	})
	down := "http://127.0.0.1:1" // nobody listens there
	c, err := gochat.New(down, gochat.WithServers(down, good.url), gochat.WithTokens(gochat.Tokens{Access: "a"}))
	if err != nil {
		t.Fatal(err)
	}
	if user, err := c.Profile(t.Context()); err != nil || user.ID != "1" {
		t.Errorf("a read: %+v, %v", user, err)
	}
	c, err = gochat.New(down, gochat.WithServers(good.url), gochat.WithTokens(gochat.Tokens{Access: "a"}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.UpdateProfile(t.Context(), gochat.ProfileChange{}); err == nil {
		t.Error("a change was made again by itself")
	}
	if _, err := c.UpdateProfile(t.Context(), gochat.ProfileChange{}); err != nil {
		t.Errorf("the next change: %v", err)
	}
	if served.Load() != 2 {
		t.Errorf("%d calls served", served.Load())
	}
}
