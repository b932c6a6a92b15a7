package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gochat-im/gochat/bench/internal/check"
	"github.com/gochat-im/gochat/bench/internal/rawws"
	gochat "github.com/gochat-im/gochat/sdk/go"
)

// stressClient is one user: what it does follows from the seed, what it sees is
// kept.
type stressClient struct {
	run     *stressRun
	index   int
	id      string
	api     *gochat.Client
	session *gochat.Session
	store   *gochat.MemoryStore
	rng     *rand.Rand
	drained chan struct{}

	singles []string
	owned   []string // groups
	sends   []*check.Send
	changes []check.Change
	joins   []check.Join
	reads   map[string]*readMark
	nextID  int

	mu          sync.Mutex // guards what the session's goroutines write
	frames      []check.Frame
	connections int
}

// readMark bounds what a conversation's read pointer may be.
type readMark struct{ min, max int64 }

// connect opens a session for each account.
func (run *stressRun) connect(ctx context.Context) error {
	run.clients = make([]*stressClient, run.Clients)
	for i := range run.clients {
		c := &stressClient{
			run: run, index: i, id: run.w.Accounts[i].ID, store: &gochat.MemoryStore{},
			rng: rand.New(rand.NewPCG(run.Seed, uint64(i)+10)), drained: make(chan struct{}), reads: map[string]*readMark{},
		}
		c.singles = []string{run.w.Singles[i], run.w.Singles[(i+run.Clients-1)%run.Clients]}
		run.clients[i] = c
	}
	for i, members := range run.plan().Groups {
		owner := run.clients[members[0]]
		owner.owned = append(owner.owned, run.groups[i])
	}
	return each(ctx, run.Clients, func(_ context.Context, i int) error { return run.clients[i].connect(ctx) })
}

func (c *stressClient) connect(ctx context.Context) (err error) {
	c.api, err = gochat.New(c.run.w.url, gochat.WithHTTPClient(c.run.http), gochat.WithTokens(gochat.Tokens{Access: c.run.w.Accounts[c.index].Token}))
	if err != nil {
		return err
	}
	c.session, err = c.api.Connect(ctx, gochat.SessionConfig{Store: c.store, FromStart: true, Trace: c.trace, AckTimeout: 5 * time.Second})
	if err != nil {
		return fmt.Errorf("connect client %d: %w", c.index, err)
	}
	go c.drain()
	return nil
}

func (run *stressRun) closeAll() {
	for _, c := range run.clients {
		if c.session != nil {
			_ = c.session.Close()
			<-c.drained
		}
	}
}

func (run *stressRun) connections() int {
	n := 0
	for _, c := range run.clients {
		c.mu.Lock()
		n += c.connections
		c.mu.Unlock()
	}
	return n
}

// trace keeps every entry as it arrives at the socket.
func (c *stressClient) trace(data []byte) {
	if !rawws.IsType(data, "message") && !rawws.IsType(data, "event") {
		return
	}
	var f struct {
		Data gochat.Entry `json:"data"`
	}
	if json.NewDecoder(bytes.NewReader(data)).Decode(&f) != nil || f.Data.Seq == 0 || f.Data.Kind == "behind" {
		return
	}
	at := c.run.now()
	c.mu.Lock()
	c.frames = append(c.frames, check.Frame{User: c.id, At: at, Entry: f.Data})
	c.mu.Unlock()
}

// drain reads the session's events and holds them to their promise: each
// conversation's entries in order, none twice, none left out.
func (c *stressClient) drain() {
	defer close(c.drained)
	last := map[string]int64{}
	for e := range c.session.Events() {
		switch e := e.(type) {
		case gochat.EntryEvent:
			if id := e.Entry.ConversationID; e.Entry.Seq != last[id]+1 {
				c.run.fail(&check.Violation{Promise: check.LocalLog, Detail: fmt.Sprintf(
					"user %s was handed seq %d of conversation %s after %d", c.id, e.Entry.Seq, id, last[id])})
			}
			last[e.Entry.ConversationID] = e.Entry.Seq
		case gochat.StateEvent:
			if e.State == gochat.Connected {
				c.mu.Lock()
				c.connections++
				c.mu.Unlock()
			}
		}
	}
	if err := c.session.Err(); !errors.Is(err, gochat.ErrClosed) {
		c.run.fail(fmt.Errorf("client %d: the session ended: %w", c.index, err))
	}
}

const stressCallTimeout = 20 * time.Second

// call runs one call; an internal error of a server that is not being killed is
// a failure of its own.
func (c *stressClient) call(ctx context.Context, what string, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, stressCallTimeout)
	defer cancel()
	err := f(ctx)
	if gochat.IsCode(err, gochat.CodeInternal) && !c.run.killing {
		c.run.fail(fmt.Errorf("client %d: %s: %w", c.index, what, err))
	}
	return err
}

// unknown reports whether an error leaves open what happened.
func unknown(err error) bool {
	if err == nil {
		return false
	}
	refusal, ok := errors.AsType[*gochat.Error](err)
	return !ok || refusal.Temporary()
}

// any returns a conversation: mostly a group, whether the client is a member or
// not.
func (c *stressClient) any() string {
	if c.rng.IntN(4) == 0 {
		return c.singles[c.rng.IntN(len(c.singles))]
	}
	return c.group()
}

func (c *stressClient) group() string { return c.run.groups[c.rng.IntN(len(c.run.groups))] }

// ruled returns a group where the client has a say, if it owns one.
func (c *stressClient) ruled() string {
	if len(c.owned) > 0 {
		return c.owned[c.rng.IntN(len(c.owned))]
	}
	return c.group()
}

func (c *stressClient) other() string { return c.run.clients[c.rng.IntN(len(c.run.clients))].id }

// own returns one of the client's latest acknowledged messages; nil when it has
// none.
func (c *stressClient) own() *check.Send {
	for range 4 {
		if n := len(c.sends); n > 0 {
			if s := c.sends[n-1-c.rng.IntN(min(n, 50))]; len(s.Seqs) > 0 {
				return s
			}
		}
	}
	return nil
}
