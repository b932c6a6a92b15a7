package gochat

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Roles in a group.
const (
	RoleOwner  = "owner"
	RoleAdmin  = "admin"
	RoleMember = "member"
)

// Ways into a group.
const (
	JoinOpen     = "open"
	JoinApproval = "approval"
	JoinInvite   = "invite"
)

// Group is a group; its id is also its conversation's.
type Group struct {
	ID             string     `json:"id"`
	ConversationID string     `json:"conversation_id"`
	Name           string     `json:"name"`
	Description    string     `json:"description"`
	Avatar         string     `json:"avatar"`
	OwnerID        string     `json:"owner_id"`
	MaxMembers     int        `json:"max_members"`
	MemberCount    int        `json:"member_count"`
	JoinPolicy     string     `json:"join_policy"`
	MyRole         string     `json:"my_role"` // empty for who is not a member
	CreatedAt      time.Time  `json:"created_at"`
	DissolvedAt    *time.Time `json:"dissolved_at,omitempty"` // nil while the group lives
}

// NewGroup is what a new group needs: a name at least.
type NewGroup struct {
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	Avatar      string   `json:"avatar,omitempty"`
	MemberIDs   []string `json:"member_ids,omitempty"`
	MaxMembers  int      `json:"max_members,omitempty"`
	JoinPolicy  string   `json:"join_policy,omitempty"`
}

// GroupUpdate changes what is set.
type GroupUpdate struct {
	Name        *string `json:"name,omitempty"`
	Description *string `json:"description,omitempty"`
	Avatar      *string `json:"avatar,omitempty"`
	MaxMembers  *int    `json:"max_members,omitempty"`
	JoinPolicy  *string `json:"join_policy,omitempty"`
}

// Member is a member of a group.
type Member struct {
	UserID     string     `json:"user_id"`
	Username   string     `json:"username"`
	Nickname   string     `json:"nickname"`
	Avatar     string     `json:"avatar"`
	Role       string     `json:"role"`
	MutedUntil *time.Time `json:"muted_until,omitempty"`
	JoinedAt   time.Time  `json:"joined_at"`
}

// MemberPage is a page of members; NextCursor is empty at the end.
type MemberPage struct {
	Members    []Member `json:"members"`
	NextCursor string   `json:"next_cursor"`
}

// JoinRequest is someone who asks to join.
type JoinRequest struct {
	UserID    string    `json:"user_id"`
	Username  string    `json:"username"`
	Nickname  string    `json:"nickname"`
	Avatar    string    `json:"avatar"`
	CreatedAt time.Time `json:"created_at"`
}

// JoinRequestPage is a page of join requests; NextCursor is empty at the end.
type JoinRequestPage struct {
	Requests   []JoinRequest `json:"requests"`
	NextCursor string        `json:"next_cursor"`
}

// MemberChange changes what is set. The zero time lifts a mute.
type MemberChange struct {
	Role       *string    `json:"role,omitempty"`
	MutedUntil *time.Time `json:"muted_until,omitempty"`
}

func groupPath(id string, rest ...string) string {
	parts := []string{"/api/v1/groups", url.PathEscape(id)}
	for _, part := range rest {
		parts = append(parts, url.PathEscape(part))
	}
	return strings.Join(parts, "/")
}

func (c *Client) group(ctx context.Context, method, path string, in any) (Group, error) {
	var answer struct {
		Group Group `json:"group"`
	}
	err := c.call(ctx, method, path, in, &answer)
	return answer.Group, err
}

// CreateGroup creates a group that one owns.
func (c *Client) CreateGroup(ctx context.Context, group NewGroup) (Group, error) {
	return c.group(ctx, http.MethodPost, "/api/v1/groups/create", group)
}

// Group returns a group.
func (c *Client) Group(ctx context.Context, id string) (Group, error) {
	return c.group(ctx, http.MethodGet, groupPath(id), nil)
}

// UpdateGroup changes a group, as its owner or an admin.
func (c *Client) UpdateGroup(ctx context.Context, id string, update GroupUpdate) (Group, error) {
	return c.group(ctx, http.MethodPut, groupPath(id), update)
}

// DissolveGroup ends a group, as its owner.
func (c *Client) DissolveGroup(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, groupPath(id), nil, nil)
}

// JoinGroup joins a group. pending says that an owner or admin must approve
// first.
func (c *Client) JoinGroup(ctx context.Context, id string) (pending bool, err error) {
	var answer struct {
		Pending bool   `json:"pending"`
		Status  string `json:"status"`
	}
	err = c.call(ctx, http.MethodPost, groupPath(id, "join"), nil, &answer)
	return answer.Pending || answer.Status == "pending", err
}

// LeaveGroup leaves a group: when it returns nothing more of it arrives.
func (c *Client) LeaveGroup(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodPost, groupPath(id, "leave"), nil, nil)
}

// JoinRequests lists who asks to join, as the owner or an admin.
func (c *Client) JoinRequests(ctx context.Context, id string, page Page) (JoinRequestPage, error) {
	var answer JoinRequestPage
	path := query(groupPath(id, "requests"), "limit", page.limit(), "cursor", page.Cursor)
	err := c.call(ctx, http.MethodGet, path, nil, &answer)
	return answer, err
}

// DecideJoinRequest lets someone in or not, as the owner or an admin.
func (c *Client) DecideJoinRequest(ctx context.Context, id, userID string, approve bool) error {
	return c.call(ctx, http.MethodPost, groupPath(id, "requests", userID), map[string]bool{"approve": approve}, nil)
}

// Members lists a group's members.
func (c *Client) Members(ctx context.Context, id string, page Page) (MemberPage, error) {
	var answer MemberPage
	path := query(groupPath(id, "members"), "limit", page.limit(), "cursor", page.Cursor)
	err := c.call(ctx, http.MethodGet, path, nil, &answer)
	return answer, err
}

// AddMembers adds users to a group; those who are members already stay so.
func (c *Client) AddMembers(ctx context.Context, id string, userIDs ...string) error {
	return c.call(ctx, http.MethodPost, groupPath(id, "members"), map[string][]string{"user_ids": userIDs}, nil)
}

// RemoveMember removes a member: when it returns nothing more of the group
// reaches them.
func (c *Client) RemoveMember(ctx context.Context, id, userID string) error {
	return c.call(ctx, http.MethodDelete, groupPath(id, "members", userID), nil, nil)
}

// UpdateMember changes a member's role, or mutes them.
func (c *Client) UpdateMember(ctx context.Context, id, userID string, change MemberChange) error {
	if change.MutedUntil != nil && change.MutedUntil.IsZero() {
		epoch := time.Unix(0, 0).UTC() // how the API says "not muted"
		change.MutedUntil = &epoch
	}
	return c.call(ctx, http.MethodPut, groupPath(id, "members", userID), change, nil)
}

// TransferGroup makes another member the owner.
func (c *Client) TransferGroup(ctx context.Context, id, userID string) error {
	return c.call(ctx, http.MethodPost, groupPath(id, "transfer"), map[string]string{"user_id": userID}, nil)
}
