package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gochat-im/gochat/gateway/internal/wire"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

func (s *Server) registerMembers(api huma.API) {
	register(s, api, call{
		id: "list-members", method: http.MethodGet, path: "/api/v1/groups/{id}/members", tag: tagGroups, summary: "List a group's members",
		errors: []errs.Code{errs.NotFound},
	}, s.listMembers)
	register(s, api, call{
		id: "add-members", method: http.MethodPost, path: "/api/v1/groups/{id}/members", tag: tagGroups, summary: "Add members",
		description: "By its owner or an admin. Who is a member already stays one.", errors: groupErrors,
	}, s.addMembers)
	register(s, api, call{
		id: "remove-member", method: http.MethodDelete, path: "/api/v1/groups/{id}/members/{user_id}", tag: tagGroups, summary: "Remove a member",
		description: "Nothing more of the group reaches them once this has returned.", errors: groupErrors,
	}, s.removeMember)
	register(s, api, call{
		id: "update-member", method: http.MethodPut, path: "/api/v1/groups/{id}/members/{user_id}", tag: tagGroups, summary: "Change a member's role, or mute them",
		description: "Roles are changed by the owner; owners and admins mute those of a lower role.", errors: groupErrors,
	}, s.updateMember)
	register(s, api, call{
		id: "list-join-requests", method: http.MethodGet, path: "/api/v1/groups/{id}/requests", tag: tagGroups, summary: "List who asks to join",
		errors: []errs.Code{errs.NotFound, errs.Forbidden},
	}, s.listJoinRequests)
	register(s, api, call{
		id: "decide-join-request", method: http.MethodPost, path: "/api/v1/groups/{id}/requests/{user_id}", tag: tagGroups, summary: "Let somebody in, or not",
		status: http.StatusNoContent, errors: groupErrors,
	}, s.decideJoinRequest)
}

type groupPageInput struct {
	Caller
	Page
	ID pathID `path:"id" doc:"A group."`
}

// MembersAnswer is a page of members.
type MembersAnswer struct {
	Members    []wire.Member `json:"members"`
	NextCursor string        `json:"next_cursor" doc:"Empty at the end."`
}

type membersOutput struct{ Body MembersAnswer }

func (s *Server) listMembers(ctx context.Context, in *groupPageInput) (*membersOutput, error) {
	at, err := wire.ParseListCursor(wire.ListMembers, in.Cursor)
	if err != nil {
		return nil, err
	}
	r, err := s.logic.GetGroupMembers(ctx, &repopb.GetGroupMembersRequest{GroupId: in.ID.int64, ActorId: in.userID, AfterUserId: at.A, Limit: in.limit()})
	if err != nil {
		return nil, err
	}
	out := MembersAnswer{Members: make([]wire.Member, len(r.GetMembers()))}
	for i, m := range r.GetMembers() {
		out.Members[i] = wire.MemberOf(m)
		if r.GetHasMore() {
			out.NextCursor = wire.ListCursor{A: m.GetUserId()}.Format(wire.ListMembers)
		}
	}
	return &membersOutput{out}, nil
}

// AddMembersBody names the new members.
type AddMembersBody struct {
	UserIDs []wire.ID `json:"user_ids" minItems:"1" maxItems:"1000"`
}

type addMembersInput struct {
	Caller
	ID   pathID `path:"id" doc:"A group."`
	Body AddMembersBody
}

func (s *Server) addMembers(ctx context.Context, in *addMembersInput) (*groupOutput, error) {
	return groupAnswer(s.logic.AddGroupMember(ctx, &repopb.AddGroupMemberRequest{
		GroupId: in.ID.int64, ActorId: in.userID, UserIds: wire.Int64s(in.Body.UserIDs),
	}))
}

type memberInput struct {
	Caller
	ID     pathID `path:"id" doc:"A group."`
	UserID pathID `path:"user_id" doc:"A member."`
}

func (s *Server) removeMember(ctx context.Context, in *memberInput) (*struct{}, error) {
	_, err := s.logic.RemoveGroupMember(ctx, &repopb.RemoveGroupMemberRequest{GroupId: in.ID.int64, ActorId: in.userID, UserId: in.UserID.int64})
	return nil, err
}

// UpdateMemberBody changes what is present.
type UpdateMemberBody struct {
	Role       *string      `json:"role,omitempty" enum:"admin,member"`
	MutedUntil optionalTime `json:"muted_until,omitzero" doc:"An RFC 3339 time until which they cannot write; null, \"\" or a time that has passed lifts the mute."`
}

type updateMemberInput struct {
	Caller
	ID     pathID `path:"id" doc:"A group."`
	UserID pathID `path:"user_id" doc:"A member."`
	Body   UpdateMemberBody
}

// MemberAnswer is one member.
type MemberAnswer struct {
	Member wire.Member `json:"member"`
}

type memberOutput struct{ Body MemberAnswer }

func (s *Server) updateMember(ctx context.Context, in *updateMemberInput) (*memberOutput, error) {
	req := &repopb.UpdateGroupMemberRequest{GroupId: in.ID.int64, ActorId: in.userID, UserId: in.UserID.int64}
	if in.Body.Role != nil {
		req.Role = wire.ParseRole(*in.Body.Role).Enum()
	}
	if in.Body.MutedUntil.malformed {
		return nil, errs.InvalidField("muted_until", "expected an RFC 3339 time")
	}
	if in.Body.MutedUntil.set {
		until := in.Body.MutedUntil.unixMilli
		if until <= time.Now().UnixMilli() {
			until = 0
		}
		req.MutedUntil = &until
	}
	if req.Role == nil && req.MutedUntil == nil {
		return nil, errs.InvalidField("role", "role or muted_until is required")
	}
	m, err := s.logic.UpdateGroupMember(ctx, req)
	if err != nil {
		return nil, err
	}
	return &memberOutput{MemberAnswer{wire.MemberOf(m)}}, nil
}

// JoinRequestsAnswer is a page of those who ask to join.
type JoinRequestsAnswer struct {
	Requests   []wire.JoinRequest `json:"requests"`
	NextCursor string             `json:"next_cursor" doc:"Empty at the end."`
}

type joinRequestsOutput struct{ Body JoinRequestsAnswer }

func (s *Server) listJoinRequests(ctx context.Context, in *groupPageInput) (*joinRequestsOutput, error) {
	at, err := wire.ParseListCursor(wire.ListRequests, in.Cursor)
	if err != nil {
		return nil, err
	}
	r, err := s.logic.ListJoinRequests(ctx, &repopb.ListJoinRequestsRequest{GroupId: in.ID.int64, ActorId: in.userID, AfterUserId: at.A, Limit: in.limit()})
	if err != nil {
		return nil, err
	}
	out := JoinRequestsAnswer{Requests: make([]wire.JoinRequest, len(r.GetRequests()))}
	for i, v := range r.GetRequests() {
		out.Requests[i] = wire.JoinRequestOf(v)
		if r.GetHasMore() {
			out.NextCursor = wire.ListCursor{A: v.GetUserId()}.Format(wire.ListRequests)
		}
	}
	return &joinRequestsOutput{out}, nil
}

// DecideBody is the decision.
type DecideBody struct {
	Approve bool `json:"approve"`
}

type decideInput struct {
	Caller
	ID     pathID `path:"id" doc:"A group."`
	UserID pathID `path:"user_id" doc:"Who asks."`
	Body   DecideBody
}

func (s *Server) decideJoinRequest(ctx context.Context, in *decideInput) (*struct{}, error) {
	_, err := s.logic.DecideJoinRequest(ctx, &repopb.DecideJoinRequestRequest{
		GroupId: in.ID.int64, ActorId: in.userID, UserId: in.UserID.int64, Approve: in.Body.Approve,
	})
	return nil, err
}
