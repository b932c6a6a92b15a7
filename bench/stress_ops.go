package bench

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gochat-im/gochat/bench/internal/check"
	gochat "github.com/gochat-im/gochat/sdk/go"
)

// work does one thing after the other until working ends; what is under way then
// is finished within ctx.
func (c *stressClient) work(ctx, working context.Context) {
	ops := []struct {
		weight int
		do     func(ctx context.Context)
	}{
		{40, c.sendOne},
		{8, c.sendLot},
		{8, c.sendAgain},
		{2, c.sendConflict},
		{8, c.edit},
		{5, c.recall},
		{10, c.read},
		{3, c.leave},
		{6, c.join},
		{4, c.kick},
		{4, c.add},
		{4, c.mute},
		{2, c.setRole},
		{1, c.rename},
		{2, c.decide},
		{1, c.transfer},
		{1, c.dissolve},
		{2, c.look},
		{2, c.pause},
		{1, c.logout},
		{1, c.changePassword},
		{2, func(context.Context) { c.some().session.Reconnect() }},
		{3, func(context.Context) { time.Sleep(time.Duration(c.rng.IntN(50)) * time.Millisecond) }},
	}
	total := 0
	for _, op := range ops {
		total += op.weight
	}
	for working.Err() == nil {
		for _, d := range c.devices() {
			if d.over() {
				c.revive(ctx, d)
			}
		}
		n := c.rng.IntN(total)
		for _, op := range ops {
			if n -= op.weight; n < 0 {
				op.do(ctx)
				break
			}
		}
	}
}

func (c *stressClient) compose(conversation string) *check.Send {
	c.nextID++
	s := &check.Send{
		User: c.id, Conversation: conversation, ClientMsgID: fmt.Sprintf("%d-%d", c.index, c.nextID),
		Content: fmt.Sprintf("%d says %d %s", c.index, c.nextID, strings.Repeat("é漢\"\\<", c.rng.IntN(20))),
		Started: c.run.now(),
	}
	c.sends = append(c.sends, s)
	return s
}

func outgoing(s *check.Send) gochat.Outgoing {
	return gochat.Outgoing{ConversationID: s.Conversation, Content: s.Content, ClientMsgID: s.ClientMsgID}
}

// try sends once, over the socket or over HTTP.
func (c *stressClient) try(ctx context.Context, s *check.Send, socket bool) error {
	return c.call(ctx, "send", func(ctx context.Context) error {
		if socket {
			ack, err := c.some().session.Send(ctx, outgoing(s))
			return c.answered(s, ack.Seq, err)
		}
		message, err := c.some().api.SendMessage(ctx, outgoing(s))
		return c.answered(s, message.Seq, err)
	})
}

func (c *stressClient) answered(s *check.Send, seq int64, err error) error {
	if err == nil {
		if len(s.Seqs) == 0 {
			s.Acked = c.run.now()
		}
		s.Seqs = append(s.Seqs, seq)
	}
	return err
}

const maxTries = 10

// sendOne sends until the outcome is known.
func (c *stressClient) sendOne(ctx context.Context) {
	c.sendUntilKnown(ctx, c.compose(c.any()))
}

func (c *stressClient) sendUntilKnown(ctx context.Context, s *check.Send) {
	for tries := range maxTries {
		err := c.try(ctx, s, c.rng.IntN(3) > 0)
		if !unknown(err) {
			if err != nil && tries == 0 {
				s.Refusal = err.Error()
			}
			return
		}
		select {
		case <-time.After(100 * time.Millisecond << min(tries, 4)):
		case <-ctx.Done():
			return
		}
	}
}

// sendLot sends several without waiting between them.
func (c *stressClient) sendLot(ctx context.Context) {
	lot, conversation := c.run.lots.Add(1), c.any()
	var messages []*check.Send
	var waits []*gochat.Sending
	session := c.some().session
	for place := range 2 + c.rng.IntN(8) {
		s := c.compose(conversation)
		s.Lot, s.Place = lot, place
		sending, err := session.Start(outgoing(s))
		if err != nil {
			c.run.fail(fmt.Errorf("client %d: start a send: %w", c.index, err))
			return
		}
		messages, waits = append(messages, s), append(waits, sending)
	}
	var again []*check.Send
	for i, s := range messages {
		err := c.call(ctx, "send", func(ctx context.Context) error {
			ack, err := waits[i].Wait(ctx)
			return c.answered(s, ack.Seq, err)
		})
		if unknown(err) {
			again = append(again, s)
		} else if err != nil {
			s.Refusal = err.Error()
		}
	}
	for _, s := range again { // whether the others went before or after them is open now
		s.Lot = 0
		c.sendUntilKnown(ctx, s)
		s.Refusal = ""
	}
}

// sendAgain repeats a message under its id.
func (c *stressClient) sendAgain(ctx context.Context) {
	if s := c.own(); s != nil {
		_ = c.try(ctx, s, c.rng.IntN(2) == 0)
	}
}

// sendConflict uses the id of another message: it must not be stored.
func (c *stressClient) sendConflict(ctx context.Context) {
	s := c.own()
	if s == nil {
		return
	}
	other := outgoing(s)
	other.Content += " but not quite"
	var stored gochat.Entry
	err := c.call(ctx, "send", func(ctx context.Context) (err error) {
		stored, err = c.some().api.SendMessage(ctx, other)
		return err
	})
	if err == nil && stored.Status != gochat.StatusRecalled { // of a recalled message nothing is kept to compare with
		c.run.fail(&check.Violation{
			Promise: check.Once, Detail: fmt.Sprintf("%s of user %s was accepted with two contents", s.ClientMsgID, c.id),
			Conversation: s.Conversation, Seq: s.Seqs[0],
		})
	}
}

func messageID(s *check.Send) string { return fmt.Sprintf("%s-%d", s.Conversation, s.Seqs[0]) }

func (c *stressClient) edit(ctx context.Context) {
	s := c.own()
	if s == nil {
		return
	}
	c.nextID++
	change := check.Change{Conversation: s.Conversation, Seq: s.Seqs[0], Content: fmt.Sprintf("%s, edited %d", s.ClientMsgID, c.nextID)}
	c.change(ctx, change, func(ctx context.Context) error { return c.some().api.EditMessage(ctx, messageID(s), change.Content) })
}

func (c *stressClient) recall(ctx context.Context) {
	if s := c.own(); s != nil {
		change := check.Change{Conversation: s.Conversation, Seq: s.Seqs[0], Recall: true}
		c.change(ctx, change, func(ctx context.Context) error { return c.some().api.RecallMessage(ctx, messageID(s)) })
	}
}

func (c *stressClient) change(ctx context.Context, change check.Change, f func(ctx context.Context) error) {
	change.Started = c.run.now()
	err := c.call(ctx, "edit or recall", f)
	if err == nil {
		change.Done = c.run.now()
	}
	change.Unknown = unknown(err)
	c.changes = append(c.changes, change)
}

// read marks something as read that the client has.
func (c *stressClient) read(ctx context.Context) {
	conversation := c.any()
	d := c.some()
	n := len(d.store.Log(conversation))
	if n == 0 {
		return
	}
	seq := int64(n - c.rng.IntN(min(n, 20)))
	mark := c.reads[conversation]
	if mark == nil {
		mark = &readMark{}
		c.reads[conversation] = mark
	}
	mark.max = max(mark.max, seq)
	if c.rng.IntN(3) == 0 {
		d.session.MarkRead(conversation, seq)
		return
	}
	err := c.call(ctx, "mark read", func(ctx context.Context) error { return d.api.MarkRead(ctx, conversation, seq) })
	if err == nil {
		mark.min = max(mark.min, seq)
	}
}

func (c *stressClient) leave(ctx context.Context) {
	group := c.group()
	_ = c.call(ctx, "leave", func(ctx context.Context) error { return c.some().api.LeaveGroup(ctx, group) })
}

func (c *stressClient) kick(ctx context.Context) {
	group, user := c.ruled(), c.other()
	_ = c.call(ctx, "kick", func(ctx context.Context) error { return c.some().api.RemoveMember(ctx, group, user) })
}

func (c *stressClient) join(ctx context.Context) {
	group := c.group()
	c.joining(ctx, c.id, group, func(ctx context.Context) error {
		_, err := c.some().api.JoinGroup(ctx, group)
		return err
	})
}

func (c *stressClient) add(ctx context.Context) {
	group, user := c.ruled(), c.other()
	c.joining(ctx, user, group, func(ctx context.Context) error { return c.some().api.AddMembers(ctx, group, user) })
}

func (c *stressClient) joining(ctx context.Context, user, group string, f func(ctx context.Context) error) {
	join := check.Join{User: user, Conversation: group, Started: c.run.now()}
	err := c.call(ctx, "join or add", f)
	if !unknown(err) {
		join.Ended = c.run.now()
	}
	c.joins = append(c.joins, join)
}

func (c *stressClient) mute(ctx context.Context) {
	until := time.Now().Add(time.Duration(c.rng.IntN(1000)) * time.Millisecond)
	if c.rng.IntN(3) == 0 {
		until = time.Time{}
	}
	group, user := c.ruled(), c.other()
	_ = c.call(ctx, "mute", func(ctx context.Context) error {
		return c.some().api.UpdateMember(ctx, group, user, gochat.MemberChange{MutedUntil: &until})
	})
}

func (c *stressClient) setRole(ctx context.Context) {
	role := []string{gochat.RoleAdmin, gochat.RoleMember}[c.rng.IntN(2)]
	group, user := c.ruled(), c.other()
	_ = c.call(ctx, "set a role", func(ctx context.Context) error {
		return c.some().api.UpdateMember(ctx, group, user, gochat.MemberChange{Role: &role})
	})
}

func (c *stressClient) rename(ctx context.Context) {
	c.nextID++
	name := fmt.Sprintf("group of %d, %d", c.index, c.nextID)
	group := c.group()
	_ = c.call(ctx, "rename", func(ctx context.Context) error {
		_, err := c.some().api.UpdateGroup(ctx, group, gochat.GroupUpdate{Name: &name})
		return err
	})
}

// look opens a conversation and types in it.
func (c *stressClient) look(context.Context) {
	conversation := c.any()
	session := c.some().session
	session.Open(conversation)
	session.Typing(conversation)
	if c.rng.IntN(2) == 0 {
		session.CloseConversation(conversation)
	}
}
