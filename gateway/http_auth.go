package gateway

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gochat-im/gochat/gateway/internal/wire"
	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/id"
)

const (
	tagAccounts      = "Accounts"
	tagUsers         = "Users"
	tagMessages      = "Messages"
	tagConversations = "Conversations"
	tagGroups        = "Groups"
	tagServer        = "Server"
)

func (s *Server) registerAccounts(api huma.API) {
	register(s, api, call{
		id: "register", method: http.MethodPost, path: "/api/v1/users/register", tag: tagAccounts, summary: "Create an account",
		status: http.StatusCreated, open: true, errors: []errs.Code{errs.Forbidden, errs.Conflict},
	}, s.createUser)
	register(s, api, call{
		id: "login", method: http.MethodPost, path: "/api/v1/auth/login", tag: tagAccounts, summary: "Log in",
		description: "A login with a device_id replaces the session that the device had.",
		open:        true, errors: []errs.Code{errs.Unauthorized, errs.Forbidden},
	}, s.login)
	register(s, api, call{
		id: "refresh", method: http.MethodPost, path: "/api/v1/auth/refresh", tag: tagAccounts, summary: "Exchange a refresh token",
		description: "Each refresh token works once. Using an old one again revokes the session.",
		open:        true, errors: []errs.Code{errs.Unauthorized, errs.Forbidden},
	}, s.refreshTokens)
	register(s, api, call{
		id: "logout", method: http.MethodPost, path: "/api/v1/auth/logout", tag: tagAccounts, summary: "End the session",
		description: "Its tokens and sockets are dead when this returns.",
	}, s.logout)
	register(s, api, call{
		id: "list-sessions", method: http.MethodGet, path: "/api/v1/auth/sessions", tag: tagAccounts, summary: "List one's sessions",
	}, s.listSessions)
	register(s, api, call{
		id: "revoke-session", method: http.MethodDelete, path: "/api/v1/auth/sessions/{id}", tag: tagAccounts, summary: "End one session, or all others",
		errors: []errs.Code{errs.NotFound},
	}, s.revokeSession)
	register(s, api, call{
		id: "change-password", method: http.MethodPut, path: "/api/v1/users/password", tag: tagAccounts, summary: "Change one's password",
		description: "Every other session is revoked.", status: http.StatusNoContent, errors: []errs.Code{errs.Forbidden},
	}, s.changePassword)
}

// RegisterBody asks for an account.
type RegisterBody struct {
	Username   string `json:"username" doc:"3 to 32 of a-z, A-Z, 0-9, _ . -; unique whatever the case." example:"alice"`
	Password   string `json:"password" doc:"8 to 128 characters."`
	Email      string `json:"email" doc:"An address, or empty for none." example:"alice@example.org"`
	Nickname   string `json:"nickname,omitempty" doc:"Up to 64 characters; the username when absent."`
	Invitation string `json:"invitation,omitempty" doc:"A code, where the server asks for one."`
}

type registerInput struct {
	Client
	Body RegisterBody
}

// UserAnswer is one profile.
type UserAnswer struct {
	User wire.User `json:"user"`
}

type userOutput struct{ Body UserAnswer }

func (s *Server) createUser(ctx context.Context, in *registerInput) (*userOutput, error) {
	if err := s.http.limits.allowAddress(ctx, s.http.limits.registers, in.address); err != nil {
		return nil, err
	}
	u, err := s.logic.Register(ctx, &logicpb.RegisterRequest{
		Username: in.Body.Username, Password: in.Body.Password, Email: in.Body.Email, Nickname: in.Body.Nickname,
		Invitation: in.Body.Invitation, ClientAddress: in.address,
	})
	if err != nil {
		return nil, err
	}
	return &userOutput{UserAnswer{wire.UserOf(u)}}, nil
}

// LoginBody is a name and a password.
type LoginBody struct {
	Username string `json:"username"`
	Password string `json:"password"`
	DeviceID string `json:"device_id,omitempty" doc:"Names the device, up to 128 bytes."`
	Platform string `json:"platform,omitempty" doc:"Up to 32 bytes." example:"web"`
}

type loginInput struct {
	Client
	Body LoginBody
}

// TokensAnswer is a session's tokens.
type TokensAnswer struct {
	AccessToken  string    `json:"access_token"`
	RefreshToken string    `json:"refresh_token"`
	TokenType    string    `json:"token_type" enum:"Bearer"`
	ExpiresIn    int64     `json:"expires_in" doc:"Seconds that the access token lives."`
	User         wire.User `json:"user"`
}

type tokensOutput struct{ Body TokensAnswer }

func tokensOf(r *logicpb.AuthenticateResponse) *tokensOutput {
	return &tokensOutput{TokensAnswer{
		AccessToken: r.GetAccessToken(), RefreshToken: r.GetRefreshToken(), TokenType: "Bearer",
		ExpiresIn: r.GetExpiresInMs() / 1000, User: wire.UserOf(r.GetUser()),
	}}
}

func (s *Server) login(ctx context.Context, in *loginInput) (*tokensOutput, error) {
	if err := s.http.limits.allowAddress(ctx, s.http.limits.logins, in.address); err != nil {
		return nil, err
	}
	r, err := s.logic.Authenticate(ctx, &logicpb.AuthenticateRequest{
		Username: in.Body.Username, Password: in.Body.Password, DeviceId: in.Body.DeviceID, Platform: in.Body.Platform, ClientAddress: subscriber(in.address),
	})
	if err != nil {
		return nil, err
	}
	return tokensOf(r), nil
}

// RefreshBody is a refresh token.
type RefreshBody struct {
	RefreshToken string `json:"refresh_token"`
}

type refreshInput struct {
	Client
	Body RefreshBody
}

func (s *Server) refreshTokens(ctx context.Context, in *refreshInput) (*tokensOutput, error) {
	if err := s.http.limits.allowAddress(ctx, s.http.limits.logins, in.address); err != nil {
		return nil, err
	}
	r, err := s.logic.Refresh(ctx, &logicpb.RefreshRequest{RefreshToken: in.Body.RefreshToken, ClientAddress: in.address})
	if err != nil {
		return nil, err
	}
	return tokensOf(r), nil
}

type callerInput struct{ Caller }

func (s *Server) logout(ctx context.Context, in *callerInput) (*struct{}, error) {
	_, err := s.logic.Logout(ctx, &logicpb.LogoutRequest{UserId: in.userID, SessionId: in.sessionID})
	return nil, err
}

// SessionsAnswer lists the caller's sessions.
type SessionsAnswer struct {
	Sessions []wire.Session `json:"sessions"`
}

type sessionsOutput struct{ Body SessionsAnswer }

func (s *Server) listSessions(ctx context.Context, in *callerInput) (*sessionsOutput, error) {
	r, err := s.logic.ListSessions(ctx, &logicpb.ListSessionsRequest{UserId: in.userID})
	if err != nil {
		return nil, err
	}
	list := make([]wire.Session, len(r.GetSessions()))
	for i, v := range r.GetSessions() {
		list[i] = wire.SessionOf(v, in.sessionID)
	}
	return &sessionsOutput{SessionsAnswer{list}}, nil
}

type revokeSessionInput struct {
	Caller
	ID string `path:"id" pattern:"^(all|[1-9][0-9]{0,17}|[1-8][0-9]{18})$" patternDescription:"a session id, or \"all\" for every other session" doc:"A session id, or \"all\" for every other session."`
}

func (s *Server) revokeSession(ctx context.Context, in *revokeSessionInput) (*struct{}, error) {
	req := &logicpb.RevokeSessionRequest{UserId: in.userID, CurrentSessionId: in.sessionID}
	if in.ID != "all" {
		session, err := id.Parse(in.ID)
		if err != nil {
			return nil, errs.InvalidField("id", "must be an id")
		}
		req.SessionId = session
	}
	_, err := s.logic.RevokeSession(ctx, req)
	return nil, err
}

// PasswordBody changes a password.
type PasswordBody struct {
	OldPassword string `json:"old_password"`
	NewPassword string `json:"new_password" doc:"8 to 128 characters."`
}

type passwordInput struct {
	Caller
	Body PasswordBody
}

func (s *Server) changePassword(ctx context.Context, in *passwordInput) (*struct{}, error) {
	_, err := s.logic.ChangePassword(ctx, &logicpb.ChangePasswordRequest{
		UserId: in.userID, SessionId: in.sessionID, OldPassword: in.Body.OldPassword, NewPassword: in.Body.NewPassword,
	})
	return nil, err
}
