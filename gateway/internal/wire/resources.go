// Package wire is the JSON that clients see: the resources of the HTTP API and
// the frames of the WebSocket, with the converters from the protobuf types that
// the roles exchange. Its types are the source of the OpenAPI document.
package wire

import "github.com/gochat-im/gochat/repo/repopb"

// User is a profile.
type User struct {
	ID        ID     `json:"id"`
	Username  string `json:"username"`
	Nickname  string `json:"nickname"`
	Avatar    string `json:"avatar"`
	Email     string `json:"email,omitempty" doc:"Only in one's own profile."`
	Status    string `json:"status" enum:"active,disabled"`
	CreatedAt Time   `json:"created_at"`
}

// UserOf converts a profile; logic has blanked the e-mail for others.
func UserOf(u *repopb.User) User {
	return User{
		ID: ID(u.GetId()), Username: u.GetUsername(), Nickname: u.GetNickname(), Avatar: u.GetAvatar(),
		Email: u.GetEmail(), Status: UserStatus(u.GetStatus()), CreatedAt: Time(u.GetCreatedAt()),
	}
}

// Session is one login of the caller.
type Session struct {
	ID         ID     `json:"id"`
	DeviceID   string `json:"device_id"`
	Platform   string `json:"platform"`
	CreatedAt  Time   `json:"created_at"`
	LastSeenAt Time   `json:"last_seen_at"`
	Current    bool   `json:"current" doc:"The session that asks."`
}

// SessionOf converts a session, current being the one that asks.
func SessionOf(s *repopb.Session, current int64) Session {
	return Session{
		ID: ID(s.GetId()), DeviceID: s.GetDeviceId(), Platform: s.GetPlatform(),
		CreatedAt: Time(s.GetCreatedAt()), LastSeenAt: Time(s.GetLastSeenAt()), Current: s.GetId() == current,
	}
}

// Conversation is a conversation as the caller sees it. A one-to-one carries
// the peer's name and avatar.
type Conversation struct {
	ID          ID     `json:"id"`
	Type        string `json:"type" enum:"single,group"`
	Name        string `json:"name"`
	Avatar      string `json:"avatar"`
	PeerUserID  ID     `json:"peer_user_id,omitempty" doc:"The other one, in a one-to-one conversation."`
	MyRole      string `json:"my_role,omitempty" enum:"owner,admin,member" doc:"In a group."`
	LastMessage *Entry `json:"last_message,omitempty" doc:"The newest entry that history shows."`
	LastSeq     int64  `json:"last_seq"`
	ReadSeq     int64  `json:"read_seq"`
	Unread      int64  `json:"unread"`
	Muted       bool   `json:"muted"`
	Pinned      bool   `json:"pinned"`
	UpdatedAt   Time   `json:"updated_at"`
	DissolvedAt Time   `json:"dissolved_at,omitempty" doc:"Of a dissolved group: it can be read, nothing in it changes any more."`
}

// ConversationOf converts a member's view.
func ConversationOf(v *repopb.ConversationView) Conversation {
	c := v.GetConversation()
	out := Conversation{
		ID: ID(c.GetId()), Type: ConversationType(c.GetType()), Name: c.GetName(), Avatar: c.GetAvatar(),
		PeerUserID: ID(v.GetPeerId()), LastSeq: c.GetLastSeq(), ReadSeq: v.GetReadSeq(), Unread: v.GetUnread(),
		Muted: v.GetMuted(), Pinned: v.GetPinned(), UpdatedAt: Time(c.GetUpdatedAt()), DissolvedAt: Time(c.GetDissolvedAt()),
	}
	if c.GetType() == repopb.ConversationType_CONVERSATION_TYPE_GROUP {
		out.MyRole = Role(v.GetRole())
	}
	if v.GetLastMessage() != nil {
		e := EntryOf(v.GetLastMessage())
		out.LastMessage = &e
	}
	return out
}

// UnreadCount is one conversation with something unread.
type UnreadCount struct {
	ConversationID ID    `json:"conversation_id"`
	Unread         int64 `json:"unread" minimum:"1"`
	LastSeq        int64 `json:"last_seq"`
	ReadSeq        int64 `json:"read_seq"`
}

// UnreadCountOf converts a count.
func UnreadCountOf(u *repopb.UnreadCount) UnreadCount {
	return UnreadCount{
		ConversationID: ID(u.GetConversationId()), Unread: u.GetUnread(), LastSeq: u.GetLastSeq(), ReadSeq: u.GetReadSeq(),
	}
}

// Group is a group's card.
type Group struct {
	ID             ID     `json:"id"`
	ConversationID ID     `json:"conversation_id" doc:"The same as id."`
	Name           string `json:"name"`
	Description    string `json:"description"`
	Avatar         string `json:"avatar"`
	OwnerID        ID     `json:"owner_id"`
	MaxMembers     int32  `json:"max_members"`
	MemberCount    int32  `json:"member_count"`
	JoinPolicy     string `json:"join_policy" enum:"open,approval,invite"`
	MyRole         string `json:"my_role" enum:"owner,admin,member," doc:"Empty for who is not a member."`
	CreatedAt      Time   `json:"created_at"`
	DissolvedAt    Time   `json:"dissolved_at,omitempty" doc:"Absent while the group lives."`
}

// GroupOf converts a group.
func GroupOf(g *repopb.Group) Group {
	return Group{
		ID: ID(g.GetId()), ConversationID: ID(g.GetId()), Name: g.GetName(), Description: g.GetDescription(),
		Avatar: g.GetAvatar(), OwnerID: ID(g.GetOwnerId()), MaxMembers: g.GetMaxMembers(), MemberCount: g.GetMemberCount(),
		JoinPolicy: JoinPolicy(g.GetJoinPolicy()), MyRole: Role(g.GetMyRole()), CreatedAt: Time(g.GetCreatedAt()), DissolvedAt: Time(g.GetDissolvedAt()),
	}
}

// Member is one member of a group.
type Member struct {
	UserID     ID     `json:"user_id"`
	Username   string `json:"username"`
	Nickname   string `json:"nickname"`
	Avatar     string `json:"avatar"`
	Role       string `json:"role" enum:"owner,admin,member"`
	MutedUntil Time   `json:"muted_until,omitempty" doc:"Absent when not muted."`
	JoinedAt   Time   `json:"joined_at"`
}

// MemberOf converts a member.
func MemberOf(m *repopb.Member) Member {
	return Member{
		UserID: ID(m.GetUserId()), Username: m.GetUsername(), Nickname: m.GetNickname(), Avatar: m.GetAvatar(),
		Role: Role(m.GetRole()), MutedUntil: Time(m.GetMutedUntil()), JoinedAt: Time(m.GetJoinedAt()),
	}
}

// JoinRequest is somebody who asks to become a member.
type JoinRequest struct {
	UserID    ID     `json:"user_id"`
	Username  string `json:"username"`
	Nickname  string `json:"nickname"`
	Avatar    string `json:"avatar"`
	CreatedAt Time   `json:"created_at"`
}

// JoinRequestOf converts a request.
func JoinRequestOf(r *repopb.JoinRequest) JoinRequest {
	return JoinRequest{
		UserID: ID(r.GetUserId()), Username: r.GetUsername(), Nickname: r.GetNickname(), Avatar: r.GetAvatar(),
		CreatedAt: Time(r.GetCreatedAt()),
	}
}
