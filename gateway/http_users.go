package gateway

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gochat-im/gochat/gateway/internal/wire"
	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/errs"
)

func (s *Server) registerUsers(api huma.API) {
	register(s, api, call{
		id: "get-profile", method: http.MethodGet, path: "/api/v1/users/profile", tag: tagUsers, summary: "Read one's own profile",
	}, s.profile)
	register(s, api, call{
		id: "update-profile", method: http.MethodPut, path: "/api/v1/users/profile", tag: tagUsers, summary: "Change one's own profile",
		description: "What is absent stays as it is.", errors: []errs.Code{errs.Conflict},
	}, s.updateProfile)
	register(s, api, call{
		id: "get-user", method: http.MethodGet, path: "/api/v1/users/{id}", tag: tagUsers, summary: "Read somebody's public profile",
		errors: []errs.Code{errs.NotFound},
	}, s.user)
	register(s, api, call{
		id: "search-users", method: http.MethodGet, path: "/api/v1/users", tag: tagUsers, summary: "Find users",
	}, s.searchUsers)
}

func (s *Server) profile(ctx context.Context, in *callerInput) (*userOutput, error) {
	return s.userOf(ctx, in.userID, in.userID)
}

type userInput struct {
	Caller
	ID pathID `path:"id" doc:"A user."`
}

func (s *Server) user(ctx context.Context, in *userInput) (*userOutput, error) {
	return s.userOf(ctx, in.userID, in.ID.int64)
}

func (s *Server) userOf(ctx context.Context, actor, user int64) (*userOutput, error) {
	u, err := s.logic.GetUserProfile(ctx, &logicpb.GetUserProfileRequest{ActorId: actor, UserId: user})
	if err != nil {
		return nil, err
	}
	return &userOutput{UserAnswer{wire.UserOf(u)}}, nil
}

// ProfileBody changes what is present.
type ProfileBody struct {
	Nickname *string `json:"nickname,omitempty" doc:"Up to 64 characters."`
	Avatar   *string `json:"avatar,omitempty" doc:"Up to 512 characters: a URL."`
	Email    *string `json:"email,omitempty"`
}

type updateProfileInput struct {
	Caller
	Body ProfileBody
}

func (s *Server) updateProfile(ctx context.Context, in *updateProfileInput) (*userOutput, error) {
	u, err := s.logic.UpdateUserProfile(ctx, &logicpb.UpdateUserProfileRequest{
		UserId: in.userID, Nickname: in.Body.Nickname, Avatar: in.Body.Avatar, Email: in.Body.Email,
	})
	if err != nil {
		return nil, err
	}
	return &userOutput{UserAnswer{wire.UserOf(u)}}, nil
}

type searchUsersInput struct {
	Caller
	Page
	Query string `query:"query" required:"true" maxLength:"64" doc:"How the username or nickname begins, whatever the case."`
}

// UsersAnswer is a page of users.
type UsersAnswer struct {
	Users      []wire.User `json:"users"`
	NextCursor string      `json:"next_cursor" doc:"Empty at the end."`
}

type usersOutput struct{ Body UsersAnswer }

func (s *Server) searchUsers(ctx context.Context, in *searchUsersInput) (*usersOutput, error) {
	at, err := wire.ParseListCursor(wire.ListUsers, in.Cursor)
	if err != nil {
		return nil, err
	}
	r, err := s.logic.SearchUsers(ctx, &logicpb.SearchUsersRequest{ActorId: in.userID, Query: in.Query, AfterUsername: at.Text, Limit: in.limit()})
	if err != nil {
		return nil, err
	}
	out := UsersAnswer{Users: make([]wire.User, len(r.GetUsers()))}
	for i, u := range r.GetUsers() {
		out.Users[i] = wire.UserOf(u)
		if r.GetHasMore() {
			out.NextCursor = wire.ListCursor{Text: u.GetUsername()}.Format(wire.ListUsers)
		}
	}
	return &usersOutput{out}, nil
}
