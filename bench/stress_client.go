package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/gochat-im/gochat/bench/internal/check"
	gochat "github.com/gochat-im/gochat/sdk/go"
)

// stressClient is one user with two devices: what it does follows from the seed,
// what it sees is kept.
type stressClient struct {
	run       *stressRun
	index     int
	id        string
	account   account
	passwords []string // the one that is valid is one of them
	rng       *rand.Rand
	laptop    *device
	phone     *device

	singles []string
	sends   []*check.Send
	changes []check.Change
	joins   []check.Join
	ends    []check.End
	reads   map[string]*readMark
	nextID  int
}

// readMark bounds what a conversation's read pointer may be.
type readMark struct{ min, max int64 }

// connect logs every client in.
func (run *stressRun) connect(ctx context.Context) error {
	run.clients = make([]*stressClient, run.Clients)
	for i := range run.clients {
		a := run.w.Accounts[i]
		c := &stressClient{
			run: run, index: i, id: a.ID, account: a, passwords: []string{a.Password},
			rng: rand.New(rand.NewPCG(run.Seed, uint64(i)+10)), reads: map[string]*readMark{},
		}
		c.laptop, c.phone = c.device("laptop", run.http), c.device("phone", run.http)
		if i%3 == 0 {
			c.phone.http = run.slow
		}
		c.singles = []string{run.w.Singles[i], run.w.Singles[(i+run.Clients-1)%run.Clients]}
		run.clients[i] = c
	}
	err := each(ctx, 2*run.Clients, func(ctx context.Context, i int) error {
		c := run.clients[i/2]
		return []*device{c.laptop, c.phone}[i%2].login(ctx)
	})
	if err != nil {
		return err
	}
	for i, members := range run.plan().Groups {
		owner := run.clients[members[0]]
		run.groups.add(run.w.Groups[i], owner.id)
		if i%2 == 1 {
			policy := gochat.JoinApproval
			if _, err := owner.laptop.api.UpdateGroup(ctx, run.w.Groups[i], gochat.GroupUpdate{JoinPolicy: &policy}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *stressClient) device(name string, client *http.Client) *device {
	return &device{client: c, name: name, http: client, store: &gochat.MemoryStore{}, pause: make(chan time.Duration, 1)}
}

// urls returns the servers, beginning with another one for each client.
func (c *stressClient) urls() []string {
	urls := c.run.servers()
	first := c.index % len(urls)
	return slices.Concat(urls[first:], urls[:first])
}

func (c *stressClient) devices() []*device { return []*device{c.laptop, c.phone} }

// some returns one of the client's devices.
func (c *stressClient) some() *device { return c.devices()[c.rng.IntN(2)] }

func (run *stressRun) closeAll() {
	for _, c := range run.clients {
		for _, d := range c.devices() {
			d.close()
		}
	}
}

func (run *stressRun) connections() int {
	n := 0
	for _, c := range run.clients {
		for _, d := range c.devices() {
			d.mu.Lock()
			n += d.connections
			d.mu.Unlock()
		}
	}
	return n
}

const stressCallTimeout = 20 * time.Second

// call runs one call; an internal error of a server that is not being killed is
// a failure of its own.
func (c *stressClient) call(ctx context.Context, what string, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, stressCallTimeout)
	defer cancel()
	err := f(ctx)
	if gochat.IsCode(err, gochat.CodeInternal) && !c.run.disturbed() {
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
	return !ok || refusal.Temporary() || refusal.Uncertain
}

// any returns a conversation: mostly a group, whether the client is a member or
// not.
func (c *stressClient) any() string {
	if c.rng.IntN(4) == 0 {
		return c.singles[c.rng.IntN(len(c.singles))]
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
