package sqlstore

import (
	"context"
	"fmt"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

var errNoMessage = errs.New(errs.NotFound, "no such message")

// message finds a message that a member wants to change.
func (t *Tx) message(conversationID, seq, actorID int64) (c *Conversation, actor *Member, ev *repopb.Event, err error) {
	if c, err = t.conversation(conversationID); err != nil {
		return nil, nil, nil, fmt.Errorf("read conversation: %w", err)
	}
	if c == nil {
		return nil, nil, nil, errNoMessage
	}
	if actor, err = t.member(conversationID, actorID); err != nil {
		return nil, nil, nil, fmt.Errorf("read member: %w", err)
	}
	if !actor.active() {
		return nil, nil, nil, errNoMessage
	}
	if ev, err = readEvent(t.c, c, seq); err != nil {
		return nil, nil, nil, err
	}
	if ev.GetKind() != repopb.EventKind_EVENT_KIND_MESSAGE {
		return nil, nil, nil, errNoMessage
	}
	return c, actor, ev, nil
}

// EditMessage implements repo.Store.
func (s *Store) EditMessage(ctx context.Context, r *repopb.EditMessageRequest) (*repopb.Event, error) {
	var edit *repopb.Event
	err := s.engine.Write(ctx, func(t *Tx) error {
		c, actor, ev, err := t.message(r.GetConversationId(), r.GetSeq(), r.GetActorId())
		if err != nil {
			return err
		}
		switch {
		case ev.GetUserId() != r.GetActorId():
			return errs.New(errs.Forbidden, "only the sender can edit a message")
		case ev.GetStatus() == repopb.MessageStatus_MESSAGE_STATUS_RECALLED:
			return errs.New(errs.Conflict, "the message is recalled")
		case ev.GetCreatedAt() < r.GetNotBefore():
			return errs.New(errs.Conflict, "the message is too old to be edited")
		case c.DissolvedAt != 0:
			return errs.New(errs.Conflict, "the group is dissolved")
		case actor.MutedUntil > t.now:
			return errs.New(errs.Forbidden, "you are muted in this group")
		}
		_, err = t.Exec("UPDATE messages SET content = ?, updated_at = ? WHERE conversation_id = ? AND seq = ?", r.GetContent(), t.now, c.ID, r.GetSeq())
		if err != nil {
			return fmt.Errorf("edit message: %w", err)
		}
		edit = &repopb.Event{
			Kind: repopb.EventKind_EVENT_KIND_EDIT, UserId: r.GetActorId(), TargetSeq: r.GetSeq(), Content: r.GetContent(), PeerId: c.peerOf(r.GetActorId()),
		}
		return t.append(c, edit)
	})
	if err != nil {
		return nil, err
	}
	return edit, nil
}

// HideMessage implements repo.Store.
func (s *Store) HideMessage(ctx context.Context, r *repopb.HideMessageRequest) error {
	return s.engine.Write(ctx, func(t *Tx) error {
		if _, _, _, err := t.message(r.GetConversationId(), r.GetSeq(), r.GetUserId()); err != nil {
			return err
		}
		_, err := t.Exec("INSERT INTO hidden (user_id, conversation_id, seq, hidden_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
			r.GetUserId(), r.GetConversationId(), r.GetSeq(), t.now)
		if err != nil {
			return fmt.Errorf("hide message: %w", err)
		}
		return nil
	})
}

// UpdateMessageStatus implements repo.Store.
func (s *Store) UpdateMessageStatus(ctx context.Context, r *repopb.UpdateMessageStatusRequest) (*repopb.UpdateMessageStatusResponse, error) {
	switch r.GetStatus() {
	case repopb.MessageStatus_MESSAGE_STATUS_RECALLED:
		return s.recall(ctx, r)
	case repopb.MessageStatus_MESSAGE_STATUS_READ:
		return s.moveRead(ctx, r)
	default:
		return nil, errs.InvalidField("status", "must be recalled or read")
	}
}

// recall wipes a message's content. Edits keep none of their own, so nothing of it survives.
func (s *Store) recall(ctx context.Context, r *repopb.UpdateMessageStatusRequest) (*repopb.UpdateMessageStatusResponse, error) {
	var resp *repopb.UpdateMessageStatusResponse
	err := s.engine.Write(ctx, func(t *Tx) error {
		c, actor, ev, err := t.message(r.GetConversationId(), r.GetSeq(), r.GetActorId())
		if err != nil {
			return err
		}
		if err := t.mayRecall(c, actor, ev, r.GetNotBefore()); err != nil {
			return err
		}
		_, err = t.Exec("UPDATE messages SET content = '', body_hash = 0, recalled = 1, updated_at = ? WHERE conversation_id = ? AND seq = ?", t.now, c.ID, r.GetSeq())
		if err != nil {
			return fmt.Errorf("recall message: %w", err)
		}
		resp = &repopb.UpdateMessageStatusResponse{Type: c.Kind, PeerId: c.peerOf(r.GetActorId()), Seq: r.GetSeq(), Event: &repopb.Event{
			Kind: repopb.EventKind_EVENT_KIND_RECALL, UserId: r.GetActorId(), TargetSeq: r.GetSeq(), PeerId: c.peerOf(r.GetActorId()),
		}}
		return t.append(c, resp.GetEvent())
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// mayRecall lets senders recall their own within a time, and owners and admins what those below them sent.
func (t *Tx) mayRecall(c *Conversation, actor *Member, ev *repopb.Event, notBefore int64) error {
	switch {
	case ev.GetStatus() == repopb.MessageStatus_MESSAGE_STATUS_RECALLED:
		return errs.New(errs.Conflict, "the message is recalled already")
	case c.DissolvedAt != 0:
		return errs.New(errs.Conflict, "the group is dissolved")
	}
	moderates := c.Kind == repopb.ConversationType_CONVERSATION_TYPE_GROUP && actor.Role >= repopb.Role_ROLE_ADMIN
	if ev.GetUserId() != actor.UserID {
		sender, err := t.member(c.ID, ev.GetUserId())
		if err != nil {
			return fmt.Errorf("read member: %w", err)
		}
		if !moderates || sender.active() && sender.Role >= actor.Role {
			return errs.New(errs.Forbidden, "only the sender, or who ranks above in the group, can recall a message")
		}
		return nil
	}
	if ev.GetCreatedAt() < notBefore && !moderates {
		return errs.New(errs.Conflict, "the message is too old to be recalled")
	}
	return nil
}
