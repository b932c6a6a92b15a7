package bench

import (
	"context"
	"slices"
	"sync"

	"github.com/gochat-im/gochat/bench/internal/check"
	gochat "github.com/gochat-im/gochat/sdk/go"
)

// stressGroups are the groups that the clients share. A group that was dissolved
// makes room for another.
type stressGroups struct {
	mu     sync.Mutex // guards what follows
	ids    []string
	owners []string             // by place, as far as known
	all    []check.Conversation // that ever were
}

func (g *stressGroups) add(id, owner string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ids, g.owners = append(g.ids, id), append(g.owners, owner)
	g.note(id, owner)
}

// note remembers a group for the checker: the others' joins are in its log.
func (g *stressGroups) note(id, owner string) {
	g.all = append(g.all, check.Conversation{ID: id, Initial: []string{owner}})
}

func (g *stressGroups) replace(old, id, owner string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.ids, old); i >= 0 {
		g.ids[i], g.owners[i] = id, owner
	}
	g.note(id, owner)
}

func (g *stressGroups) setOwner(id, owner string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.ids, id); i >= 0 {
		g.owners[i] = owner
	}
}

// pick returns a group, by choice one of those that owner owns; "" when only
// those are wanted and there is none.
func (g *stressGroups) pick(choose func(n int) int, owner string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var from []string
	for i, id := range g.ids {
		if owner == "" || g.owners[i] == owner {
			from = append(from, id)
		}
	}
	if len(from) == 0 {
		return ""
	}
	return from[choose(len(from))]
}

func (g *stressGroups) conversations() []check.Conversation {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.all)
}

func (c *stressClient) group() string { return c.run.groups.pick(c.rng.IntN, "") }

// own returns a group that the client owns, "" if none.
func (c *stressClient) owned() string { return c.run.groups.pick(c.rng.IntN, c.id) }

// ruled returns a group where the client has a say, if it owns one.
func (c *stressClient) ruled() string {
	if group := c.owned(); group != "" {
		return group
	}
	return c.group()
}

// dissolve ends a group of the client's and opens another in its place.
func (c *stressClient) dissolve(ctx context.Context) {
	old := c.owned()
	if old == "" {
		return
	}
	err := c.call(ctx, "dissolve", func(ctx context.Context) error { return c.some().api.DissolveGroup(ctx, old) })
	if err != nil && !gochat.IsCode(err, gochat.CodeConflict) { // it is dissolved already: whether it was this call is not known
		return
	}
	request := gochat.NewGroup{Name: "stress", MaxMembers: len(c.run.clients) + 1000, JoinPolicy: gochat.JoinOpen}
	if c.rng.IntN(2) == 0 {
		request.JoinPolicy = gochat.JoinApproval
	}
	joins := len(c.joins)
	for _, other := range c.run.clients {
		if other != c && c.rng.IntN(2) == 0 {
			request.MemberIDs = append(request.MemberIDs, other.id)
			c.joins = append(c.joins, check.Join{User: other.id, Started: c.run.now()})
		}
	}
	_ = c.call(ctx, "create a group", func(ctx context.Context) error {
		group, err := c.some().api.CreateGroup(ctx, request)
		if err != nil {
			return err
		}
		for i := range c.joins[joins:] {
			c.joins[joins+i].Conversation, c.joins[joins+i].Ended = group.ID, c.run.now()
		}
		c.run.groups.replace(old, group.ID, c.id)
		return nil
	})
}

// transfer gives a group of the client's to somebody else.
func (c *stressClient) transfer(ctx context.Context) {
	group, heir := c.owned(), c.other()
	if group == "" {
		return
	}
	err := c.call(ctx, "transfer", func(ctx context.Context) error { return c.some().api.TransferGroup(ctx, group, heir) })
	if err == nil {
		c.run.groups.setOwner(group, heir)
		return
	}
	_ = c.call(ctx, "read a group", func(ctx context.Context) error {
		g, err := c.some().api.Group(ctx, group)
		if err == nil {
			c.run.groups.setOwner(group, g.OwnerID)
		}
		return err
	})
}

// decide lets in who asks to join a group of the client's, or not.
func (c *stressClient) decide(ctx context.Context) {
	group := c.owned()
	if group == "" {
		return
	}
	var page gochat.JoinRequestPage
	err := c.call(ctx, "list join requests", func(ctx context.Context) (err error) {
		page, err = c.some().api.JoinRequests(ctx, group, gochat.Page{Limit: 5})
		return err
	})
	if err != nil {
		return
	}
	for _, request := range page.Requests {
		approve := c.rng.IntN(4) > 0
		c.joining(ctx, request.UserID, group, func(ctx context.Context) error {
			return c.some().api.DecideJoinRequest(ctx, group, request.UserID, approve)
		})
	}
}
