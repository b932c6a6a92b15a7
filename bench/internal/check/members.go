package check

import (
	"fmt"
	"slices"
	"strings"
	"time"

	gochat "github.com/gochat-im/gochat/sdk/go"
)

// interval is a membership: from the entry that began it to the one that ended
// it, both included.
type interval struct{ from, to int64 }

type intervals []interval

func (v intervals) String() string {
	if len(v) == 0 {
		return "never one"
	}
	var b strings.Builder
	for i, m := range v {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d to ", m.from)
		if m.to == forever {
			b.WriteString("now")
		} else {
			fmt.Fprint(&b, m.to)
		}
	}
	return b.String()
}

const forever = int64(1) << 62

// covers reports whether the user was a member at seq.
func (v intervals) covers(seq int64) bool {
	return slices.ContainsFunc(v, func(i interval) bool { return i.from <= seq && seq <= i.to })
}

// now reports whether the user is a member still.
func (v intervals) now() bool { return len(v) > 0 && v[len(v)-1].to == forever }

// next returns the seq of the first membership that begins after seq; 0 when
// there is none.
func (v intervals) next(seq int64) int64 {
	for _, i := range v {
		if i.from > seq {
			return i.from
		}
	}
	return 0
}

// ended returns the seq of the last membership that ended before seq; 0 when
// there is none.
func (v intervals) ended(seq int64) int64 {
	var last int64
	for _, i := range v {
		if i.to < seq {
			last = i.to
		}
	}
	return last
}

// checkMembership derives the memberships from the log, and holds who reads a
// conversation at the end against them.
func (h *history) checkMembership() error {
	for _, c := range h.record.Conversations {
		members := map[string]intervals{}
		for _, user := range c.Initial {
			members[user] = intervals{{from: 1, to: forever}}
		}
		for _, e := range h.logs[c.ID] {
			if err := follow(members, c.ID, e); err != nil {
				return err
			}
		}
		h.members[c.ID] = members
	}
	readers := map[[2]string]bool{}
	for _, r := range h.record.Readings {
		readers[[2]string{r.Conversation, r.User}] = true
		if !h.members[r.Conversation][r.User].now() {
			return broken(Membership, "user %s reads conversation %s without being a member", r.User, r.Conversation)
		}
	}
	for conversation, members := range h.members {
		if len(h.logs[conversation]) == 0 {
			continue
		}
		for user, v := range members {
			if v.now() && !readers[[2]string{conversation, user}] {
				return broken(Membership, "user %s is a member of conversation %s and cannot read it", user, conversation)
			}
		}
	}
	return nil
}

// follow applies one entry to the memberships.
func follow(members map[string]intervals, conversation string, e gochat.Entry) error {
	switch e.Kind {
	case gochat.KindCreated:
		for _, user := range e.TargetUserIDs {
			members[user] = append(members[user], interval{from: e.Seq, to: forever})
		}
	case gochat.KindMemberJoined:
		for _, user := range about(e) {
			if v := members[user]; v.now() {
				if e.Seq > v[len(v)-1].from && v[len(v)-1].from > 1 {
					return broken(Membership, "user %s joins conversation %s at seq %d as a member", user, conversation, e.Seq).at(conversation, e.Seq)
				}
				continue // an initial member's own join
			}
			members[user] = append(members[user], interval{from: e.Seq, to: forever})
		}
	case gochat.KindMemberLeft, gochat.KindMemberRemoved:
		for _, user := range about(e) {
			v := members[user]
			if !v.now() {
				return broken(Membership, "user %s leaves conversation %s at seq %d without being a member", user, conversation, e.Seq).at(conversation, e.Seq)
			}
			v[len(v)-1].to = e.Seq
		}
	}
	return nil
}

// about returns whom a membership event is about: the actor when it names
// nobody.
func about(e gochat.Entry) []string {
	if len(e.TargetUserIDs) > 0 {
		return e.TargetUserIDs
	}
	return []string{e.UserID}
}

// checkWriters: every message is of someone who was a member then, and not
// muted.
func (h *history) checkWriters() error {
	for conversation, log := range h.logs {
		muted := map[string]time.Time{}
		for _, e := range log {
			switch e.Kind {
			case gochat.KindMemberMuted:
				for _, user := range e.TargetUserIDs {
					muted[user] = time.Time{}
					if e.MutedUntil != nil {
						muted[user] = *e.MutedUntil
					}
				}
			case gochat.KindRoleChanged:
				if e.Role == gochat.RoleOwner { // nobody could lift an owner's mute
					for _, user := range e.TargetUserIDs {
						delete(muted, user)
					}
				}
			case gochat.KindMessage:
				if !h.members[conversation][e.FromUserID].covers(e.Seq) {
					return broken(MembersWrite, "conversation %s seq %d is of user %s, not a member then", conversation, e.Seq, e.FromUserID).at(conversation, e.Seq)
				}
				if until := muted[e.FromUserID]; e.CreatedAt.Before(until) {
					return broken(MembersWrite, "conversation %s seq %d is of user %s, muted until %s",
						conversation, e.Seq, e.FromUserID, until.Format(time.RFC3339Nano)).at(conversation, e.Seq)
				}
			}
		}
	}
	return nil
}
