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

func (s *Server) registerConversations(api huma.API) {
	register(s, api, call{
		id: "list-conversations", method: http.MethodGet, path: "/api/v1/conversations", tag: tagConversations, summary: "List one's conversations",
		description: "Newest activity first.",
	}, s.listConversations)
	register(s, api, call{
		id: "create-conversation", method: http.MethodPost, path: "/api/v1/conversations/create", tag: tagConversations, summary: "Open a conversation",
		description: "A pair has one conversation: opening it again answers 200 with the same one. A group may also be made with /groups/create, which takes more.",
		status:      http.StatusCreated, also: http.StatusOK, errors: []errs.Code{errs.NotFound, errs.Forbidden, errs.Conflict},
	}, s.createConversation)
	register(s, api, call{
		id: "get-conversation", method: http.MethodGet, path: "/api/v1/conversations/{id}", tag: tagConversations, summary: "Read a conversation",
		errors: []errs.Code{errs.NotFound},
	}, s.getConversation)
	register(s, api, call{
		id: "update-conversation", method: http.MethodPut, path: "/api/v1/conversations/{id}", tag: tagConversations, summary: "Change a conversation",
		description: "muted and pinned are the caller's own; name and avatar are a group's and need the right to change it.",
		errors:      []errs.Code{errs.NotFound, errs.Forbidden, errs.Conflict},
	}, s.updateConversation)
}

type listConversationsInput struct {
	Caller
	Page
}

// ConversationsAnswer is a page of conversations.
type ConversationsAnswer struct {
	Conversations []wire.Conversation `json:"conversations"`
	NextCursor    string              `json:"next_cursor" doc:"Empty at the end."`
}

type conversationsOutput struct{ Body ConversationsAnswer }

func (s *Server) listConversations(ctx context.Context, in *listConversationsInput) (*conversationsOutput, error) {
	at, err := wire.ParseListCursor(wire.ListConversations, in.Cursor)
	if err != nil {
		return nil, err
	}
	r, err := s.logic.GetConversations(ctx, &repopb.GetConversationsRequest{UserId: in.userID, BeforeUpdatedAt: at.A, BeforeId: at.B, Limit: in.limit()})
	if err != nil {
		return nil, err
	}
	list := r.GetConversations()
	out := ConversationsAnswer{Conversations: make([]wire.Conversation, len(list))}
	for i, v := range list {
		out.Conversations[i] = wire.ConversationOf(v)
	}
	if r.GetHasMore() && len(list) > 0 {
		last := list[len(list)-1].GetConversation()
		out.NextCursor = wire.ListCursor{A: last.GetUpdatedAt(), B: last.GetId()}.Format(wire.ListConversations)
	}
	return &conversationsOutput{out}, nil
}

// CreateConversationBody names the peer, or a group and its members.
type CreateConversationBody struct {
	Type       string    `json:"type" enum:"single,group"`
	PeerUserID wire.ID   `json:"peer_user_id,omitempty" doc:"Of a single: the other one."`
	Name       string    `json:"name,omitempty" doc:"Of a group, up to 64 characters."`
	MemberIDs  []wire.ID `json:"member_ids,omitempty" maxItems:"1000" doc:"Of a group: who besides the caller."`
}

type createConversationInput struct {
	Caller
	Body CreateConversationBody
}

// ConversationAnswer is one conversation.
type ConversationAnswer struct {
	Conversation wire.Conversation `json:"conversation"`
}

type conversationOutput struct{ Body ConversationAnswer }

type createdConversationOutput struct {
	Status int
	Body   ConversationAnswer
}

func (s *Server) createConversation(ctx context.Context, in *createConversationInput) (*createdConversationOutput, error) {
	if in.Body.Type == "group" {
		return s.createGroupConversation(ctx, in)
	}
	switch {
	case in.Body.PeerUserID == 0:
		return nil, errs.InvalidField("peer_user_id", "is required")
	case in.Body.Name != "":
		return nil, errs.InvalidField("name", "only a group has one")
	case len(in.Body.MemberIDs) > 0:
		return nil, errs.InvalidField("member_ids", "only a group has them")
	}
	r, err := s.logic.CreateConversation(ctx, &logicpb.CreateConversationRequest{UserId: in.userID, PeerId: int64(in.Body.PeerUserID)})
	if err != nil {
		return nil, err
	}
	out := &createdConversationOutput{Status: http.StatusOK, Body: ConversationAnswer{wire.ConversationOf(r.GetConversation())}}
	if r.GetCreated() {
		out.Status = http.StatusCreated
	}
	return out, nil
}

func (s *Server) createGroupConversation(ctx context.Context, in *createConversationInput) (*createdConversationOutput, error) {
	if in.Body.PeerUserID != 0 {
		return nil, errs.InvalidField("peer_user_id", "only a single conversation has one")
	}
	g, err := s.logic.CreateGroup(ctx, &repopb.CreateGroupRequest{
		Group: &repopb.Group{Name: in.Body.Name, OwnerId: in.userID}, MemberIds: wire.Int64s(in.Body.MemberIDs),
	})
	if err != nil {
		return nil, err
	}
	v, err := s.logic.GetConversation(ctx, &repopb.GetConversationRequest{ConversationId: g.GetId(), UserId: in.userID})
	if err != nil {
		return nil, err
	}
	return &createdConversationOutput{Status: http.StatusCreated, Body: ConversationAnswer{wire.ConversationOf(v)}}, nil
}

type conversationInput struct {
	Caller
	ID pathID `path:"id" doc:"A conversation."`
}

func (s *Server) getConversation(ctx context.Context, in *conversationInput) (*conversationOutput, error) {
	v, err := s.logic.GetConversation(ctx, &repopb.GetConversationRequest{ConversationId: in.ID.int64, UserId: in.userID})
	if err != nil {
		return nil, err
	}
	return &conversationOutput{ConversationAnswer{wire.ConversationOf(v)}}, nil
}

// UpdateConversationBody changes what is present.
type UpdateConversationBody struct {
	Muted  *bool   `json:"muted,omitempty"`
	Pinned *bool   `json:"pinned,omitempty"`
	Name   *string `json:"name,omitempty" doc:"Of a group, up to 64 characters."`
	Avatar *string `json:"avatar,omitempty" doc:"Of a group, up to 512 characters: a URL."`
}

type updateConversationInput struct {
	Caller
	ID   pathID `path:"id" doc:"A conversation."`
	Body UpdateConversationBody
}

func (s *Server) updateConversation(ctx context.Context, in *updateConversationInput) (*conversationOutput, error) {
	v, err := s.logic.UpdateConversation(ctx, &logicpb.UpdateConversationRequest{
		ConversationId: in.ID.int64, UserId: in.userID, Muted: in.Body.Muted, Pinned: in.Body.Pinned, Name: in.Body.Name, Avatar: in.Body.Avatar,
	})
	if err != nil {
		return nil, err
	}
	return &conversationOutput{ConversationAnswer{wire.ConversationOf(v)}}, nil
}
