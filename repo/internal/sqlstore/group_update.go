package sqlstore

import (
	"context"
	"fmt"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

// changeGroup runs a mutation of a group in a transaction.
func (s *Store) changeGroup(ctx context.Context, fn func(t *Tx) (*repopb.GroupChange, error)) (*repopb.GroupChange, error) {
	var out *repopb.GroupChange
	err := s.engine.Write(ctx, func(t *Tx) error {
		var err error
		out, err = fn(t)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// UpdateGroup implements repo.Store.
func (s *Store) UpdateGroup(ctx context.Context, r *repopb.UpdateGroupRequest) (*repopb.GroupChange, error) {
	return s.changeGroup(ctx, func(t *Tx) (*repopb.GroupChange, error) {
		g, actor, err := t.open(r.GetGroupId(), r.GetActorId(), repopb.Role_ROLE_ADMIN)
		if err != nil {
			return nil, err
		}
		if r.MaxMembers != nil && r.GetMaxMembers() < g.memberCount {
			return nil, errs.New(errs.Conflict, "the group has %d members", g.memberCount)
		}
		if !g.update(r) {
			return g.change(actor.Role, nil), nil
		}
		ev := &repopb.Event{Kind: repopb.EventKind_EVENT_KIND_GROUP_UPDATED, UserId: actor.UserID, Name: g.conv.Name, Avatar: g.conv.Avatar}
		if err := t.append(g.conv, ev); err != nil {
			return nil, err
		}
		return g.change(actor.Role, ev), t.saveGroup(g)
	})
}

// update sets what the request sets and tells whether anything is different now.
func (g *group) update(r *repopb.UpdateGroupRequest) bool {
	changed := false
	set(&g.conv.Name, r.Name, &changed)
	set(&g.conv.Avatar, r.Avatar, &changed)
	set(&g.description, r.Description, &changed)
	set(&g.maxMembers, r.MaxMembers, &changed)
	set(&g.joinPolicy, r.JoinPolicy, &changed)
	return changed
}

func set[T comparable](field, to *T, changed *bool) {
	if to != nil && *to != *field {
		*field, *changed = *to, true
	}
}

// DissolveGroup implements repo.Store.
func (s *Store) DissolveGroup(ctx context.Context, r *repopb.DissolveGroupRequest) (*repopb.GroupChange, error) {
	return s.changeGroup(ctx, func(t *Tx) (*repopb.GroupChange, error) {
		g, actor, err := t.open(r.GetGroupId(), r.GetActorId(), repopb.Role_ROLE_OWNER)
		if err != nil {
			return nil, err
		}
		ev := &repopb.Event{Kind: repopb.EventKind_EVENT_KIND_DISSOLVED, UserId: actor.UserID}
		if err := t.append(g.conv, ev); err != nil {
			return nil, err
		}
		g.conv.DissolvedAt = t.now
		if _, err := t.Exec("DELETE FROM join_requests WHERE group_id = ?", g.conv.ID); err != nil {
			return nil, fmt.Errorf("delete join requests: %w", err)
		}
		return g.change(actor.Role, ev), t.saveGroup(g)
	})
}

// TransferGroup implements repo.Store. The former owner becomes an admin.
func (s *Store) TransferGroup(ctx context.Context, r *repopb.TransferGroupRequest) (*repopb.GroupChange, error) {
	return s.changeGroup(ctx, func(t *Tx) (*repopb.GroupChange, error) {
		g, actor, err := t.open(r.GetGroupId(), r.GetActorId(), repopb.Role_ROLE_OWNER)
		if err != nil {
			return nil, err
		}
		heir, err := t.target(g, r.GetUserId())
		if err != nil {
			return nil, err
		}
		if heir == actor {
			return nil, errs.New(errs.Conflict, "the group is yours already")
		}
		ev := &repopb.Event{
			Kind: repopb.EventKind_EVENT_KIND_ROLE_CHANGED, UserId: actor.UserID,
			TargetUserIds: []int64{heir.UserID}, Role: repopb.Role_ROLE_OWNER,
		}
		if err := t.append(g.conv, ev); err != nil {
			return nil, err
		}
		actor.Role = repopb.Role_ROLE_ADMIN
		heir.Role, heir.MutedUntil = repopb.Role_ROLE_OWNER, 0 // nobody could lift an owner's mute
		g.ownerID = heir.UserID
		if err := t.saveMembers(actor, heir); err != nil {
			return nil, err
		}
		return g.change(actor.Role, ev), t.saveGroup(g)
	})
}
