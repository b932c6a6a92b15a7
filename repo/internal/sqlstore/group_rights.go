package sqlstore

import (
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

var (
	errNoGroup   = errs.New(errs.NotFound, "no such group")
	errNoMember  = errs.New(errs.NotFound, "no such member")
	errDissolved = errs.New(errs.Conflict, "the group is dissolved")
	errFull      = errs.New(errs.Conflict, "the group is full")
	errAlready   = errs.New(errs.Conflict, "already a member")
)

// open returns a group that may be changed and the actor's row in it.
func (t *Tx) open(groupID, actorID int64, least repopb.Role) (*group, *Member, error) {
	g, actor, err := t.own(groupID, actorID)
	switch {
	case err != nil:
		return nil, nil, err
	case g.conv.DissolvedAt != 0:
		return nil, nil, errDissolved
	case actor.Role < least:
		return nil, nil, errs.New(errs.Forbidden, "only %s can do that", rolesFrom(least))
	}
	return g, actor, nil
}

// own returns a group of the actor's, dissolved or not, and their row in it. Who
// is not in the group gets the answer of a group that does not exist: nothing in
// it is theirs to change, and a dissolved one not even theirs to see.
func (t *Tx) own(groupID, actorID int64) (*group, *Member, error) {
	g, err := t.group(groupID)
	if err != nil {
		return nil, nil, err
	}
	if g == nil {
		return nil, nil, errNoGroup
	}
	actor, err := t.member(groupID, actorID)
	if err != nil {
		return nil, nil, err
	}
	if !actor.active() {
		return nil, nil, errNoGroup
	}
	return g, actor, nil
}

// target returns the row of a member whom the actor acts upon.
func (t *Tx) target(g *group, userID int64) (*Member, error) {
	m, err := t.member(g.conv.ID, userID)
	if err != nil {
		return nil, err
	}
	if !m.active() {
		return nil, errNoMember
	}
	return m, nil
}

// outranks is Forbidden unless the actor's role is above the target's.
func outranks(actor, target *Member) error {
	if actor.Role > target.Role {
		return nil
	}
	return errs.New(errs.Forbidden, "only %s can do that to %s", rolesFrom(target.Role+1), roleName(target.Role))
}

func rolesFrom(least repopb.Role) string {
	if least >= repopb.Role_ROLE_OWNER {
		return "the owner"
	}
	return "an owner or admin"
}

func roleName(r repopb.Role) string {
	switch r {
	case repopb.Role_ROLE_OWNER:
		return "the owner"
	case repopb.Role_ROLE_ADMIN:
		return "an admin"
	default:
		return "a member"
	}
}
