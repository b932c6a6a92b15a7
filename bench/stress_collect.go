package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gochat-im/gochat/bench/internal/check"
	gochat "github.com/gochat-im/gochat/sdk/go"
)

const (
	settleTimeout = 60 * time.Second
	// countTimeout is how long read marks that went out last may keep changing
	// what is unread.
	countTimeout = 10 * time.Second
)

// settle waits until every client has caught up with the conversations that it
// is a member of. That one does not is for the checker to say, which knows more.
func (run *stressRun) settle(ctx context.Context) error {
	began := time.Now()
	close(run.settling)
	defer func() { run.settled = time.Since(began) }()
	return each(ctx, len(run.clients), func(ctx context.Context, i int) error {
		c := run.clients[i]
		for _, d := range c.devices() {
			for d.over() && run.failed() == nil && ctx.Err() == nil {
				c.revive(ctx, d)
			}
			if d.http == run.slow {
				d.session.Reconnect()
			}
		}
		conversations, err := c.conversations(ctx)
		if err != nil {
			return err
		}
		waitUntil(ctx, settleTimeout, func() bool {
			for _, d := range c.devices() {
				for _, v := range conversations {
					if int64(len(d.store.Log(v.ID))) < v.LastSeq {
						return false
					}
				}
			}
			return true
		})
		return run.failed()
	})
}

func (run *stressRun) settles() bool {
	select {
	case <-run.settling:
		return true
	default:
		return false
	}
}

func (c *stressClient) conversations(ctx context.Context) ([]gochat.Conversation, error) {
	var all []gochat.Conversation
	for page := (gochat.Page{}); ; {
		answer, err := c.laptop.api.Conversations(ctx, page)
		if err != nil {
			return nil, fmt.Errorf("list conversations of client %d: %w", c.index, err)
		}
		all = append(all, answer.Conversations...)
		if answer.NextCursor == "" {
			return all, nil
		}
		page.Cursor = answer.NextCursor
	}
}

// collect puts the record together, reading every conversation as each of its
// members.
func (run *stressRun) collect(ctx context.Context) (*check.Record, error) {
	r := &check.Record{Began: run.began, ClockSlack: 5 * time.Millisecond}
	if len(run.URLs) > 0 {
		r.ClockSlack = time.Second
	}
	for i, id := range run.w.Singles {
		r.Conversations = append(r.Conversations, check.Conversation{
			ID: id, Initial: []string{run.clients[i].id, run.clients[(i+1)%run.Clients].id},
		})
	}
	r.Conversations = append(r.Conversations, run.groups.conversations()...)
	var mu sync.Mutex // guards r
	err := each(ctx, len(run.clients), func(ctx context.Context, i int) error {
		own, err := run.clients[i].collect(ctx)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		r.Sends = append(r.Sends, own.Sends...)
		r.Frames = append(r.Frames, own.Frames...)
		r.Joins = append(r.Joins, own.Joins...)
		r.Changes = append(r.Changes, own.Changes...)
		r.Readings = append(r.Readings, own.Readings...)
		r.Logs = append(r.Logs, own.Logs...)
		r.Unread = append(r.Unread, own.Unread...)
		r.Counts = append(r.Counts, own.Counts...)
		r.Groups = append(r.Groups, own.Groups...)
		r.Ends = append(r.Ends, own.Ends...)
		return nil
	})
	addUnknownGroups(r)
	return r, err
}

// addUnknownGroups adds the groups whose creation was never answered.
func addUnknownGroups(r *check.Record) {
	known := map[string]bool{}
	for _, c := range r.Conversations {
		known[c.ID] = true
	}
	for _, reading := range r.Readings {
		if !known[reading.Conversation] && len(reading.Entries) > 0 && reading.Entries[0].Kind == gochat.KindCreated {
			known[reading.Conversation] = true
			r.Conversations = append(r.Conversations, check.Conversation{ID: reading.Conversation, Initial: []string{reading.Entries[0].UserID}})
		}
	}
}

func (c *stressClient) collect(ctx context.Context) (*check.Record, error) {
	r := &check.Record{Joins: c.joins, Changes: c.changes, Ends: c.ends}
	for _, s := range c.sends {
		r.Sends = append(r.Sends, *s)
	}
	for _, d := range c.devices() {
		d.mu.Lock()
		r.Frames = append(r.Frames, d.frames...)
		d.mu.Unlock()
		for _, id := range d.store.Conversations() {
			r.Logs = append(r.Logs, check.Log{User: c.id, Device: d.name, Conversation: id, Entries: d.store.Log(id)})
		}
	}
	conversations, unread, err := c.counts(ctx)
	if err != nil {
		return nil, err
	}
	count := check.Count{User: c.id, Total: unread.Total, Conversations: map[string]int64{}}
	for _, u := range unread.Conversations {
		count.Conversations[u.ConversationID] = u.Unread
	}
	r.Counts = append(r.Counts, count)
	for _, v := range conversations {
		entries, err := c.history(ctx, v.ID)
		if err != nil {
			return nil, err
		}
		r.Readings = append(r.Readings, check.Reading{User: c.id, Conversation: v.ID, Entries: entries})
		u := check.Unread{User: c.id, Conversation: v.ID, Unread: v.Unread, ReadSeq: v.ReadSeq, LastSeq: v.LastSeq}
		if mark := c.reads[v.ID]; mark != nil {
			u.ReadMin, u.ReadMax = mark.min, mark.max
		}
		r.Unread = append(r.Unread, u)
		if v.Type == "group" {
			group, err := c.laptop.api.Group(ctx, v.ID)
			if err != nil {
				return nil, fmt.Errorf("read group %s as client %d: %w", v.ID, c.index, err)
			}
			r.Groups = append(r.Groups, check.Group{User: c.id, Conversation: v.ID, OwnerID: group.OwnerID})
		}
	}
	return r, nil
}

// counts asks both calls that count what is unread, for the same moment: read
// marks that went out last may land in between, then it asks again.
func (c *stressClient) counts(ctx context.Context) ([]gochat.Conversation, gochat.Unread, error) {
	began := time.Now()
	before, err := c.unread(ctx)
	if err != nil {
		return nil, before, err
	}
	for {
		conversations, err := c.conversations(ctx)
		if err != nil {
			return nil, before, err
		}
		after, err := c.unread(ctx)
		if err != nil {
			return nil, before, err
		}
		change := changed(before, after)
		if change == "" {
			return conversations, after, nil
		}
		if time.Since(began) > countTimeout {
			return nil, after, fmt.Errorf("count unread of client %d: it does not come to rest within %s: %s", c.index, countTimeout, change)
		}
		before = after
	}
}

func (c *stressClient) unread(ctx context.Context) (gochat.Unread, error) {
	answer, err := c.laptop.api.Unread(ctx)
	if err != nil {
		return answer, fmt.Errorf("count unread of client %d: %w", c.index, err)
	}
	return answer, nil
}

// changed names a difference between two answers about what is unread.
func changed(before, after gochat.Unread) string {
	counts := map[string]gochat.UnreadConversation{}
	for _, u := range before.Conversations {
		counts[u.ConversationID] = u
	}
	for _, u := range after.Conversations {
		if was := counts[u.ConversationID]; was != u {
			return fmt.Sprintf("conversation %s went from %d unread after %d of %d to %d after %d of %d",
				u.ConversationID, was.Unread, was.ReadSeq, was.LastSeq, u.Unread, u.ReadSeq, u.LastSeq)
		}
		delete(counts, u.ConversationID)
	}
	for id, was := range counts {
		return fmt.Sprintf("conversation %s went from %d unread after %d of %d to none", id, was.Unread, was.ReadSeq, was.LastSeq)
	}
	if before.Total != after.Total {
		return fmt.Sprintf("the total went from %d to %d with the same conversations", before.Total, after.Total)
	}
	return ""
}

func (c *stressClient) history(ctx context.Context, conversation string) ([]gochat.Entry, error) {
	var all []gochat.Entry
	for after := int64(0); ; {
		page, err := c.laptop.api.History(ctx, gochat.HistoryQuery{ConversationID: conversation, AfterSeq: &after, Limit: 200, All: true})
		if err != nil {
			return nil, fmt.Errorf("read conversation %s as client %d: %w", conversation, c.index, err)
		}
		all = append(all, page.Messages...)
		if !page.HasMore || len(page.Messages) == 0 {
			return all, nil
		}
		after = page.Messages[len(page.Messages)-1].Seq
	}
}
