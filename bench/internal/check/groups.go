package check

import (
	"slices"
	"time"

	gochat "github.com/gochat-im/gochat/sdk/go"
)

// checkDissolved: after a group's end its members leave, and nothing else is written.
func (h *history) checkDissolved() error {
	for conversation, log := range h.logs {
		dissolved := false
		for _, e := range log {
			if dissolved && e.Kind != gochat.KindMemberLeft {
				return broken(Dissolved, "%s of %s%s follows", e.Kind, e.FromUserID, e.UserID).at(conversation, e.Seq)
			}
			dissolved = dissolved || e.Kind == gochat.KindDissolved
		}
	}
	return nil
}

// checkOwners follows each group's owner through its log: there is one all the
// time, a member until the group is dissolved, and everybody is told the same at
// the end.
func (h *history) checkOwners() error {
	owners := map[string]string{}
	for conversation, log := range h.logs {
		if len(log) == 0 || log[0].Kind != gochat.KindCreated {
			continue
		}
		owner, dissolved := log[0].UserID, false
		for _, e := range log {
			switch {
			case e.Kind == gochat.KindDissolved:
				dissolved = true
			case e.Kind == gochat.KindRoleChanged && e.Role == gochat.RoleOwner:
				if e.UserID != owner || len(e.TargetUserIDs) != 1 {
					return broken(OneOwner, "user %s gives away what is user %s's", e.UserID, owner).at(conversation, e.Seq)
				}
				owner = e.TargetUserIDs[0]
			case e.Kind == gochat.KindRoleChanged && len(e.TargetUserIDs) == 1 && e.TargetUserIDs[0] == owner:
				return broken(OneOwner, "the owner, user %s, is made a %s", owner, e.Role).at(conversation, e.Seq)
			case (e.Kind == gochat.KindMemberLeft || e.Kind == gochat.KindMemberRemoved) && !dissolved && slices.Contains(about(e), owner):
				return broken(OneOwner, "the owner, user %s, leaves", owner).at(conversation, e.Seq)
			}
		}
		owners[conversation] = owner
	}
	for _, g := range h.record.Groups {
		if owner := owners[g.Conversation]; owner != "" && g.OwnerID != owner {
			return broken(OneOwner, "user %s is told that user %s is the owner; the log says user %s", g.User, g.OwnerID, owner).
				at(g.Conversation, int64(len(h.logs[g.Conversation])))
		}
	}
	return nil
}

// checkJoined: nobody becomes a member without a call that asked for it.
func (h *history) checkJoined() error {
	for conversation, log := range h.logs {
		if len(log) == 0 || log[0].Kind != gochat.KindCreated {
			continue
		}
		for _, e := range log {
			joined := e.TargetUserIDs
			switch {
			case e.CreatedAt.Sub(h.record.Began) <= h.record.ClockSlack:
				continue
			case e.Kind == gochat.KindMemberJoined:
				joined = about(e)
			case e.Kind != gochat.KindCreated:
				continue
			}
			for _, user := range joined {
				if !h.asked(conversation, user, e) {
					return broken(Membership, "nobody asked for user %s to join", user).at(conversation, e.Seq)
				}
			}
		}
	}
	return nil
}

// asked reports whether a call was under way when the entry was stored that may
// have made the user a member.
func (h *history) asked(conversation, user string, e gochat.Entry) bool {
	stored := e.CreatedAt.Sub(h.record.Began)
	for _, j := range h.record.Joins {
		if j.User == user && (j.Conversation == conversation || j.Conversation == "") &&
			j.Started <= stored+h.record.ClockSlack && (j.Ended == 0 || j.Ended >= stored-h.record.ClockSlack) {
			return true
		}
	}
	return false
}

// checkEnds: a login that was ended gets nothing that was stored after the call
// returned.
func (h *history) checkEnds() error {
	ends := map[string]time.Duration{}
	for _, end := range h.record.Ends {
		ends[end.Device] = end.At
	}
	for i := range h.record.Frames {
		f := &h.record.Frames[i]
		end, ended := ends[f.Device]
		if stored := f.Entry.CreatedAt.Sub(h.record.Began); ended && stored > end+h.record.ClockSlack {
			return broken(LoggedOut, "%s of user %s got it %s after its login had ended", f.Device, f.User, (stored-end).Round(time.Millisecond)).
				at(f.Entry.ConversationID, f.Entry.Seq)
		}
	}
	return nil
}
