package sqlstore

import (
	"context"
	"fmt"
	"slices"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/id"
	"github.com/gochat-im/gochat/repo/repopb"
)

// group is a group's row beside its conversation's state.
type group struct {
	conv        *Conversation
	description string
	ownerID     int64
	maxMembers  int32
	memberCount int32
	joinPolicy  repopb.JoinPolicy
}

// card is the group as a user of that role sees it.
func (g *group) card(role repopb.Role) *repopb.Group {
	return &repopb.Group{
		Id: g.conv.ID, Name: g.conv.Name, Description: g.description, Avatar: g.conv.Avatar, OwnerId: g.ownerID,
		MaxMembers: g.maxMembers, MemberCount: g.memberCount, JoinPolicy: g.joinPolicy,
		CreatedAt: g.conv.CreatedAt, DissolvedAt: g.conv.DissolvedAt, MyRole: role,
	}
}

// loadGroup reads the row of a conversation's group; false for what is no group.
func loadGroup(q Conn, c *Conversation) (g group, found bool, err error) {
	g.conv = c
	err = q.Query("SELECT description, owner_id, max_members, member_count, join_policy FROM groups WHERE id = ?", func(r Row) error {
		found = true
		g.description, g.ownerID = r.Text(0), r.Int64(1)
		g.maxMembers, g.memberCount, g.joinPolicy = r.Int32(2), r.Int32(3), repopb.JoinPolicy(r.Int32(4))
		return nil
	}, c.ID)
	if err != nil {
		return g, false, fmt.Errorf("read group: %w", err)
	}
	return g, found, nil
}

// group returns a group, nil when there is none.
func (t *Tx) group(groupID int64) (*group, error) {
	c, err := t.conversation(groupID)
	if err != nil || c == nil {
		return nil, err
	}
	g, found, err := loadGroup(t.c, c)
	if err != nil || !found {
		return nil, err
	}
	return &g, nil
}

// saveGroup stores a group's row and its conversation's.
func (t *Tx) saveGroup(g *group) error {
	_, err := t.Exec("UPDATE groups SET description = ?, owner_id = ?, max_members = ?, member_count = ?, join_policy = ? WHERE id = ?",
		g.description, g.ownerID, g.maxMembers, g.memberCount, int64(g.joinPolicy), g.conv.ID)
	if err != nil {
		return fmt.Errorf("save group: %w", err)
	}
	return t.saveConversation(g.conv)
}

// CreateGroup implements repo.Store.
func (s *Store) CreateGroup(ctx context.Context, r *repopb.CreateGroupRequest) (*repopb.CreateGroupResponse, error) {
	var out *repopb.CreateGroupResponse
	err := s.engine.Write(ctx, func(t *Tx) error {
		var err error
		out, err = t.createGroup(r)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (t *Tx) createGroup(r *repopb.CreateGroupRequest) (*repopb.CreateGroupResponse, error) {
	card, owner := r.GetGroup(), r.GetGroup().GetOwnerId()
	users := distinct(append([]int64{owner}, r.GetMemberIds()...))
	if err := t.checkUsers("member_ids", users); err != nil {
		return nil, err
	}
	if len(users) > int(card.GetMaxMembers()) {
		return nil, errFull
	}
	c, err := t.newGroupConversation(card)
	if err != nil {
		return nil, err
	}
	g := &group{
		conv: c, description: card.GetDescription(), ownerID: owner,
		maxMembers: card.GetMaxMembers(), memberCount: int32(len(users)), joinPolicy: card.GetJoinPolicy(),
	}
	c.Large = t.crosses(g)
	ev := &repopb.Event{
		Kind: repopb.EventKind_EVENT_KIND_CREATED, UserId: owner, Name: c.Name, Avatar: c.Avatar,
		TargetUserIds: users[1:], // whom the log would tell of nowhere else; the owner is the first
	}
	if err := t.append(c, ev); err != nil {
		return nil, err
	}
	if err := t.insertConversation(c); err != nil {
		return nil, err
	}
	_, err = t.Exec("INSERT INTO groups (id, description, owner_id, max_members, member_count, join_policy) VALUES (?, ?, ?, ?, ?, ?)",
		c.ID, g.description, g.ownerID, g.maxMembers, g.memberCount, int64(g.joinPolicy))
	if err != nil {
		return nil, fmt.Errorf("insert group: %w", err)
	}
	err = t.join(c, users, func(u int64) repopb.Role {
		if u == owner {
			return repopb.Role_ROLE_OWNER
		}
		return repopb.Role_ROLE_MEMBER
	})
	if err != nil {
		return nil, err
	}
	change := g.change(repopb.Role_ROLE_OWNER, ev)
	change.AddedUserIds, change.BecameLarge = users, c.Large
	return &repopb.CreateGroupResponse{Change: change, Conversation: ownersView(c, ev)}, nil
}

// newGroupConversation makes the conversation under an id that is free; it is not stored yet.
func (t *Tx) newGroupConversation(card *repopb.Group) (*Conversation, error) {
	for {
		groupID := id.New()
		taken, err := t.conversation(groupID)
		if err != nil {
			return nil, err
		}
		if taken == nil {
			return &Conversation{
				ID: groupID, Kind: repopb.ConversationType_CONVERSATION_TYPE_GROUP, Name: card.GetName(), Avatar: card.GetAvatar(), CreatedAt: t.now,
			}, nil
		}
	}
}

// ownersView is a conversation right after its creation.
func ownersView(c *Conversation, created *repopb.Event) *repopb.ConversationView {
	return &repopb.ConversationView{
		Conversation: &repopb.Conversation{
			Id: c.ID, Type: c.Kind, Name: c.Name, Avatar: c.Avatar, LastSeq: c.LastSeq, UpdatedAt: c.UpdatedAt, CreatedAt: c.CreatedAt,
		},
		LastMessage: created, Role: repopb.Role_ROLE_OWNER, ReadSeq: c.LastSeq, JoinedAt: c.CreatedAt,
	}
}

// crosses tells whether a group is over the threshold and was not before.
func (t *Tx) crosses(g *group) bool {
	return !g.conv.Large && int(g.memberCount) > t.opt.LargeGroupThreshold
}

// change is what a mutation did, as its actor of that role sees it. ev is nil when it changed nothing.
func (g *group) change(role repopb.Role, ev *repopb.Event) *repopb.GroupChange {
	return &repopb.GroupChange{Event: ev, Group: g.card(role), Large: g.conv.Large}
}

// Group implements repo.Store.
func (s *Store) Group(ctx context.Context, r *repopb.GetGroupRequest) (*repopb.Group, error) {
	var out *repopb.Group
	err := s.engine.Read(ctx, func(q Conn) error {
		g, m, err := readGroup(q, r.GetGroupId(), r.GetUserId())
		if err != nil {
			return err
		}
		out = g.card(m.roleNow())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// readGroup returns a group and the user's row in it, nil for who never was
// in it: NotFound when there is none, or a dissolved one of others. User 0 is
// the server itself.
func readGroup(q Conn, groupID, userID int64) (*group, *Member, error) {
	c := &Conversation{ID: groupID, Kind: repopb.ConversationType_CONVERSATION_TYPE_GROUP}
	err := q.Query("SELECT name, avatar, is_large, created_at, dissolved_at FROM conversations WHERE id = ?", func(r Row) error {
		c.Name, c.Avatar, c.Large, c.CreatedAt, c.DissolvedAt = r.Text(0), r.Text(1), r.Bool(2), r.Int64(3), r.Int64(4)
		return nil
	}, groupID)
	if err != nil {
		return nil, nil, fmt.Errorf("read group: %w", err)
	}
	g, found, err := loadGroup(q, c)
	if err != nil {
		return nil, nil, err
	}
	if !found {
		return nil, nil, errNoGroup
	}
	row, found, err := LoadMember(q, groupID, userID)
	if err != nil {
		return nil, nil, fmt.Errorf("read member: %w", err)
	}
	var m *Member
	if found {
		m = &row
	}
	if c.DissolvedAt != 0 && !m.active() && userID != 0 {
		return nil, nil, errNoGroup
	}
	return &g, m, nil
}

// roleNow is UNSPECIFIED for who is not in the conversation.
func (m *Member) roleNow() repopb.Role {
	if !m.active() {
		return repopb.Role_ROLE_UNSPECIFIED
	}
	return m.Role
}

// checkUsers answers Invalid for ids that no user has.
func (t *Tx) checkUsers(field string, ids []int64) error {
	sets := make([][]any, len(ids))
	for i, u := range ids {
		sets[i] = []any{u}
	}
	found := make([]bool, len(ids))
	err := t.QueryEach("SELECT 1 FROM users WHERE id = ?", sets, func(i int, _ Row) error {
		found[i] = true
		return nil
	})
	if err != nil {
		return fmt.Errorf("read users: %w", err)
	}
	if i := slices.Index(found, false); i >= 0 {
		return errs.InvalidField(field, "no such user: %s", id.Format(ids[i]))
	}
	return nil
}

// distinct keeps the first of each, in order.
func distinct(ids []int64) []int64 {
	seen := make(map[int64]bool, len(ids))
	return slices.DeleteFunc(slices.Clone(ids), func(v int64) bool {
		again := seen[v]
		seen[v] = true
		return again
	})
}
