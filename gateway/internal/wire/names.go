package wire

import "github.com/gochat-im/gochat/repo/repopb"

var eventKinds = map[repopb.EventKind]string{
	repopb.EventKind_EVENT_KIND_MESSAGE:        "message",
	repopb.EventKind_EVENT_KIND_EDIT:           "edit",
	repopb.EventKind_EVENT_KIND_RECALL:         "recall",
	repopb.EventKind_EVENT_KIND_REACTION:       "reaction",
	repopb.EventKind_EVENT_KIND_CREATED:        "created",
	repopb.EventKind_EVENT_KIND_MEMBER_JOINED:  "member_joined",
	repopb.EventKind_EVENT_KIND_MEMBER_LEFT:    "member_left",
	repopb.EventKind_EVENT_KIND_MEMBER_REMOVED: "member_removed",
	repopb.EventKind_EVENT_KIND_ROLE_CHANGED:   "role_changed",
	repopb.EventKind_EVENT_KIND_MEMBER_MUTED:   "member_muted",
	repopb.EventKind_EVENT_KIND_GROUP_UPDATED:  "group_updated",
	repopb.EventKind_EVENT_KIND_DISSOLVED:      "dissolved",
}

// EventKind names a kind of log entry.
func EventKind(k repopb.EventKind) string { return eventKinds[k] }

// IsNotice reports whether people read this kind as a system notice: what is
// neither a message nor a change of one.
func IsNotice(k repopb.EventKind) bool { return k >= repopb.EventKind_EVENT_KIND_CREATED }

// MessageStatus names a status; what has none was sent.
func MessageStatus(s repopb.MessageStatus) string {
	switch s {
	case repopb.MessageStatus_MESSAGE_STATUS_DELIVERED:
		return "delivered"
	case repopb.MessageStatus_MESSAGE_STATUS_READ:
		return "read"
	case repopb.MessageStatus_MESSAGE_STATUS_RECALLED:
		return "recalled"
	default:
		return "sent"
	}
}

// Role names a role; "" for who is not a member.
func Role(r repopb.Role) string {
	switch r {
	case repopb.Role_ROLE_MEMBER:
		return "member"
	case repopb.Role_ROLE_ADMIN:
		return "admin"
	case repopb.Role_ROLE_OWNER:
		return "owner"
	default:
		return ""
	}
}

// ParseRole is the reverse of Role.
func ParseRole(s string) repopb.Role {
	switch s {
	case "member":
		return repopb.Role_ROLE_MEMBER
	case "admin":
		return repopb.Role_ROLE_ADMIN
	case "owner":
		return repopb.Role_ROLE_OWNER
	default:
		return repopb.Role_ROLE_UNSPECIFIED
	}
}

// JoinPolicy names how one becomes a member.
func JoinPolicy(p repopb.JoinPolicy) string {
	switch p {
	case repopb.JoinPolicy_JOIN_POLICY_APPROVAL:
		return "approval"
	case repopb.JoinPolicy_JOIN_POLICY_INVITE:
		return "invite"
	default:
		return "open"
	}
}

// ParseJoinPolicy is the reverse of JoinPolicy.
func ParseJoinPolicy(s string) repopb.JoinPolicy {
	switch s {
	case "open":
		return repopb.JoinPolicy_JOIN_POLICY_OPEN
	case "approval":
		return repopb.JoinPolicy_JOIN_POLICY_APPROVAL
	case "invite":
		return repopb.JoinPolicy_JOIN_POLICY_INVITE
	default:
		return repopb.JoinPolicy_JOIN_POLICY_UNSPECIFIED
	}
}

// ConversationType names a type.
func ConversationType(t repopb.ConversationType) string {
	if t == repopb.ConversationType_CONVERSATION_TYPE_GROUP {
		return "group"
	}
	return "single"
}

// UserStatus names an account's status.
func UserStatus(s repopb.UserStatus) string {
	if s == repopb.UserStatus_USER_STATUS_DISABLED {
		return "disabled"
	}
	return "active"
}
