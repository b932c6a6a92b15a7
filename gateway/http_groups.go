package gateway

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gochat-im/gochat/gateway/internal/wire"
	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

// groupErrors are what a change of a group may answer.
var groupErrors = []errs.Code{errs.NotFound, errs.Forbidden, errs.Conflict}

func (s *Server) registerGroups(api huma.API) {
	register(s, api, call{
		id: "create-group", method: http.MethodPost, path: "/api/v1/groups/create", tag: tagGroups, summary: "Create a group",
		description: "The caller becomes its owner. The group's id is also its conversation's.",
		status:      http.StatusCreated, errors: []errs.Code{errs.NotFound, errs.Forbidden, errs.Conflict},
	}, s.createGroup)
	register(s, api, call{
		id: "get-group", method: http.MethodGet, path: "/api/v1/groups/{id}", tag: tagGroups, summary: "Read a group's card",
		description: "Members or not: who wants to join has to see what.", errors: []errs.Code{errs.NotFound},
	}, s.getGroup)
	register(s, api, call{
		id: "update-group", method: http.MethodPut, path: "/api/v1/groups/{id}", tag: tagGroups, summary: "Change a group",
		description: "By its owner or an admin. What is absent stays as it is.", errors: groupErrors,
	}, s.updateGroup)
	register(s, api, call{
		id: "dissolve-group", method: http.MethodDelete, path: "/api/v1/groups/{id}", tag: tagGroups, summary: "Dissolve a group",
		description: "By its owner.", errors: groupErrors,
	}, s.dissolveGroup)
	register(s, api, call{
		id: "join-group", method: http.MethodPost, path: "/api/v1/groups/{id}/join", tag: tagGroups, summary: "Join a group",
		description: "204: joined. 202: asked, an owner or admin decides. 403: only by invitation.",
		status:      http.StatusNoContent, also: http.StatusAccepted, errors: groupErrors,
	}, s.joinGroup)
	register(s, api, call{
		id: "leave-group", method: http.MethodPost, path: "/api/v1/groups/{id}/leave", tag: tagGroups, summary: "Leave a group",
		description: "Nothing more of it arrives once this has returned. The owner transfers it first; a dissolved group everybody can leave.", errors: groupErrors,
	}, s.leaveGroup)
	register(s, api, call{
		id: "transfer-group", method: http.MethodPost, path: "/api/v1/groups/{id}/transfer", tag: tagGroups, summary: "Give a group to another member",
		description: "By its owner, who becomes an admin.", status: http.StatusNoContent, errors: groupErrors,
	}, s.transferGroup)
}

// CreateGroupBody describes a new group.
type CreateGroupBody struct {
	Name        string    `json:"name" doc:"1 to 64 characters." example:"Friends"`
	Description string    `json:"description,omitempty" doc:"Up to 1,000 characters."`
	Avatar      string    `json:"avatar,omitempty" doc:"Up to 512 characters: a URL."`
	MemberIDs   []wire.ID `json:"member_ids,omitempty" maxItems:"1000" doc:"Who besides the caller."`
	MaxMembers  int32     `json:"max_members,omitempty" minimum:"2" maximum:"100000" doc:"200 when absent."`
	JoinPolicy  string    `json:"join_policy,omitempty" enum:"open,approval,invite" doc:"Who may join: everybody, whom an owner or admin approves, only who is added. \"open\" when absent."`
}

type createGroupInput struct {
	Caller
	Body CreateGroupBody
}

// GroupAnswer is one group.
type GroupAnswer struct {
	Group wire.Group `json:"group"`
}

type groupOutput struct{ Body GroupAnswer }

func groupAnswer(g *repopb.Group, err error) (*groupOutput, error) {
	if err != nil {
		return nil, err
	}
	return &groupOutput{GroupAnswer{wire.GroupOf(g)}}, nil
}

func (s *Server) createGroup(ctx context.Context, in *createGroupInput) (*groupOutput, error) {
	return groupAnswer(s.logic.CreateGroup(ctx, &repopb.CreateGroupRequest{
		Group: &repopb.Group{
			Name: in.Body.Name, Description: in.Body.Description, Avatar: in.Body.Avatar, OwnerId: in.userID,
			MaxMembers: in.Body.MaxMembers, JoinPolicy: wire.ParseJoinPolicy(in.Body.JoinPolicy),
		},
		MemberIds: wire.Int64s(in.Body.MemberIDs),
	}))
}

type groupInput struct {
	Caller
	ID pathID `path:"id" doc:"A group."`
}

func (s *Server) getGroup(ctx context.Context, in *groupInput) (*groupOutput, error) {
	return groupAnswer(s.logic.GetGroupInfo(ctx, &repopb.GetGroupRequest{GroupId: in.ID.int64, UserId: in.userID}))
}

// UpdateGroupBody changes what is present.
type UpdateGroupBody struct {
	Name        *string `json:"name,omitempty" doc:"1 to 64 characters."`
	Description *string `json:"description,omitempty" doc:"Up to 1,000 characters."`
	Avatar      *string `json:"avatar,omitempty" doc:"Up to 512 characters: a URL."`
	MaxMembers  *int32  `json:"max_members,omitempty" minimum:"2" maximum:"100000"`
	JoinPolicy  *string `json:"join_policy,omitempty" enum:"open,approval,invite"`
}

type updateGroupInput struct {
	Caller
	ID   pathID `path:"id" doc:"A group."`
	Body UpdateGroupBody
}

func (s *Server) updateGroup(ctx context.Context, in *updateGroupInput) (*groupOutput, error) {
	req := &repopb.UpdateGroupRequest{
		GroupId: in.ID.int64, ActorId: in.userID, Name: in.Body.Name, Description: in.Body.Description,
		Avatar: in.Body.Avatar, MaxMembers: in.Body.MaxMembers,
	}
	if in.Body.JoinPolicy != nil {
		req.JoinPolicy = wire.ParseJoinPolicy(*in.Body.JoinPolicy).Enum()
	}
	return groupAnswer(s.logic.UpdateGroup(ctx, req))
}

func (s *Server) dissolveGroup(ctx context.Context, in *groupInput) (*struct{}, error) {
	_, err := s.logic.DissolveGroup(ctx, &repopb.DissolveGroupRequest{GroupId: in.ID.int64, ActorId: in.userID})
	return nil, err
}

type statusOutput struct{ Status int }

func (s *Server) joinGroup(ctx context.Context, in *groupInput) (*statusOutput, error) {
	r, err := s.logic.JoinGroup(ctx, &logicpb.JoinGroupRequest{UserId: in.userID, GroupId: in.ID.int64})
	if err != nil {
		return nil, err
	}
	if r.GetPending() {
		return &statusOutput{http.StatusAccepted}, nil
	}
	return &statusOutput{http.StatusNoContent}, nil
}

func (s *Server) leaveGroup(ctx context.Context, in *groupInput) (*struct{}, error) {
	_, err := s.logic.LeaveGroup(ctx, &logicpb.LeaveGroupRequest{UserId: in.userID, GroupId: in.ID.int64})
	return nil, err
}

// TransferBody names the new owner.
type TransferBody struct {
	UserID wire.ID `json:"user_id"`
}

type transferInput struct {
	Caller
	ID   pathID `path:"id" doc:"A group."`
	Body TransferBody
}

func (s *Server) transferGroup(ctx context.Context, in *transferInput) (*struct{}, error) {
	_, err := s.logic.TransferGroup(ctx, &repopb.TransferGroupRequest{GroupId: in.ID.int64, ActorId: in.userID, UserId: int64(in.Body.UserID)})
	return nil, err
}
