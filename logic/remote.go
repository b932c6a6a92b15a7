package logic

import (
	"context"

	"google.golang.org/grpc"

	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/repo/repopb"
)

// remote is the role in another process: each method calls its namesake there.
type remote struct{ c logicpb.LogicServiceClient }

// NewRemote returns the role behind a connection.
func NewRemote(conn grpc.ClientConnInterface) logicpb.LogicServiceServer {
	return remote{logicpb.NewLogicServiceClient(conn)}
}

func (r remote) Register(ctx context.Context, in *logicpb.RegisterRequest) (*repopb.User, error) {
	return r.c.Register(ctx, in)
}

func (r remote) Authenticate(ctx context.Context, in *logicpb.AuthenticateRequest) (*logicpb.AuthenticateResponse, error) {
	return r.c.Authenticate(ctx, in)
}

func (r remote) Refresh(ctx context.Context, in *logicpb.RefreshRequest) (*logicpb.AuthenticateResponse, error) {
	return r.c.Refresh(ctx, in)
}

func (r remote) ValidateToken(ctx context.Context, in *logicpb.ValidateTokenRequest) (*logicpb.Identity, error) {
	return r.c.ValidateToken(ctx, in)
}

func (r remote) CheckSession(ctx context.Context, in *logicpb.CheckSessionRequest) (*repopb.Empty, error) {
	return r.c.CheckSession(ctx, in)
}

func (r remote) Logout(ctx context.Context, in *logicpb.LogoutRequest) (*repopb.Empty, error) {
	return r.c.Logout(ctx, in)
}

func (r remote) ListSessions(ctx context.Context, in *logicpb.ListSessionsRequest) (*repopb.ListSessionsResponse, error) {
	return r.c.ListSessions(ctx, in)
}

func (r remote) RevokeSession(ctx context.Context, in *logicpb.RevokeSessionRequest) (*repopb.Empty, error) {
	return r.c.RevokeSession(ctx, in)
}

func (r remote) ChangePassword(ctx context.Context, in *logicpb.ChangePasswordRequest) (*repopb.Empty, error) {
	return r.c.ChangePassword(ctx, in)
}

func (r remote) GetJWKS(ctx context.Context, in *repopb.Empty) (*logicpb.JWKS, error) {
	return r.c.GetJWKS(ctx, in)
}

func (r remote) GetUserProfile(ctx context.Context, in *logicpb.GetUserProfileRequest) (*repopb.User, error) {
	return r.c.GetUserProfile(ctx, in)
}

func (r remote) SearchUsers(ctx context.Context, in *logicpb.SearchUsersRequest) (*logicpb.SearchUsersResponse, error) {
	return r.c.SearchUsers(ctx, in)
}

func (r remote) UpdateUserProfile(ctx context.Context, in *logicpb.UpdateUserProfileRequest) (*repopb.User, error) {
	return r.c.UpdateUserProfile(ctx, in)
}

func (r remote) SendMessage(ctx context.Context, in *logicpb.Upstream) (*repopb.Empty, error) {
	return r.c.SendMessage(ctx, in)
}

func (r remote) GetMessageHistory(ctx context.Context, in *repopb.GetMessagesRequest) (*repopb.GetMessagesResponse, error) {
	return r.c.GetMessageHistory(ctx, in)
}

func (r remote) GetUnread(ctx context.Context, in *repopb.GetUnreadRequest) (*repopb.GetUnreadResponse, error) {
	return r.c.GetUnread(ctx, in)
}

func (r remote) ConfirmDelivery(ctx context.Context, in *repopb.MarkDeliveredRequest) (*repopb.Empty, error) {
	return r.c.ConfirmDelivery(ctx, in)
}

func (r remote) MarkMessageRead(ctx context.Context, in *logicpb.MarkMessageReadRequest) (*repopb.Empty, error) {
	return r.c.MarkMessageRead(ctx, in)
}

func (r remote) EditMessage(ctx context.Context, in *logicpb.EditMessageRequest) (*repopb.Event, error) {
	return r.c.EditMessage(ctx, in)
}

func (r remote) RecallMessage(ctx context.Context, in *logicpb.RecallMessageRequest) (*repopb.Event, error) {
	return r.c.RecallMessage(ctx, in)
}

func (r remote) Sync(ctx context.Context, in *repopb.GetChangesRequest) (*repopb.GetChangesResponse, error) {
	return r.c.Sync(ctx, in)
}

func (r remote) SetTyping(ctx context.Context, in *logicpb.SetTypingRequest) (*repopb.Empty, error) {
	return r.c.SetTyping(ctx, in)
}

func (r remote) CreateConversation(ctx context.Context, in *logicpb.CreateConversationRequest) (*logicpb.CreateConversationResponse, error) {
	return r.c.CreateConversation(ctx, in)
}

func (r remote) GetConversation(ctx context.Context, in *repopb.GetConversationRequest) (*repopb.ConversationView, error) {
	return r.c.GetConversation(ctx, in)
}

func (r remote) GetConversations(ctx context.Context, in *repopb.GetConversationsRequest) (*logicpb.GetConversationsResponse, error) {
	return r.c.GetConversations(ctx, in)
}

func (r remote) UpdateConversation(ctx context.Context, in *logicpb.UpdateConversationRequest) (*repopb.ConversationView, error) {
	return r.c.UpdateConversation(ctx, in)
}

func (r remote) GetLargeGroups(ctx context.Context, in *repopb.GetLargeGroupsRequest) (*repopb.GetLargeGroupsResponse, error) {
	return r.c.GetLargeGroups(ctx, in)
}

func (r remote) CreateGroup(ctx context.Context, in *repopb.CreateGroupRequest) (*repopb.Group, error) {
	return r.c.CreateGroup(ctx, in)
}

func (r remote) GetGroupInfo(ctx context.Context, in *repopb.GetGroupRequest) (*repopb.Group, error) {
	return r.c.GetGroupInfo(ctx, in)
}

func (r remote) UpdateGroup(ctx context.Context, in *repopb.UpdateGroupRequest) (*repopb.Group, error) {
	return r.c.UpdateGroup(ctx, in)
}

func (r remote) DissolveGroup(ctx context.Context, in *repopb.DissolveGroupRequest) (*repopb.Empty, error) {
	return r.c.DissolveGroup(ctx, in)
}

func (r remote) JoinGroup(ctx context.Context, in *logicpb.JoinGroupRequest) (*logicpb.JoinGroupResponse, error) {
	return r.c.JoinGroup(ctx, in)
}

func (r remote) LeaveGroup(ctx context.Context, in *logicpb.LeaveGroupRequest) (*repopb.Empty, error) {
	return r.c.LeaveGroup(ctx, in)
}

func (r remote) AddGroupMember(ctx context.Context, in *repopb.AddGroupMemberRequest) (*repopb.Group, error) {
	return r.c.AddGroupMember(ctx, in)
}

func (r remote) RemoveGroupMember(ctx context.Context, in *repopb.RemoveGroupMemberRequest) (*repopb.Empty, error) {
	return r.c.RemoveGroupMember(ctx, in)
}

func (r remote) UpdateGroupMember(ctx context.Context, in *repopb.UpdateGroupMemberRequest) (*repopb.Member, error) {
	return r.c.UpdateGroupMember(ctx, in)
}

func (r remote) TransferGroup(ctx context.Context, in *repopb.TransferGroupRequest) (*repopb.Empty, error) {
	return r.c.TransferGroup(ctx, in)
}

func (r remote) GetGroupMembers(ctx context.Context, in *repopb.GetGroupMembersRequest) (*repopb.GetGroupMembersResponse, error) {
	return r.c.GetGroupMembers(ctx, in)
}

func (r remote) ListJoinRequests(ctx context.Context, in *repopb.ListJoinRequestsRequest) (*repopb.ListJoinRequestsResponse, error) {
	return r.c.ListJoinRequests(ctx, in)
}

func (r remote) DecideJoinRequest(ctx context.Context, in *repopb.DecideJoinRequestRequest) (*repopb.Empty, error) {
	return r.c.DecideJoinRequest(ctx, in)
}

func (r remote) AdminCreateUser(ctx context.Context, in *logicpb.RegisterRequest) (*repopb.User, error) {
	return r.c.AdminCreateUser(ctx, in)
}

func (r remote) AdminSetUserStatus(ctx context.Context, in *logicpb.AdminSetUserStatusRequest) (*repopb.User, error) {
	return r.c.AdminSetUserStatus(ctx, in)
}

func (r remote) AdminResetPassword(ctx context.Context, in *logicpb.AdminResetPasswordRequest) (*repopb.Empty, error) {
	return r.c.AdminResetPassword(ctx, in)
}

func (r remote) AdminListSessions(ctx context.Context, in *logicpb.AdminUserRequest) (*repopb.ListSessionsResponse, error) {
	return r.c.AdminListSessions(ctx, in)
}

func (r remote) AdminRevokeSessions(ctx context.Context, in *logicpb.AdminUserRequest) (*repopb.RevokedSessions, error) {
	return r.c.AdminRevokeSessions(ctx, in)
}

func (r remote) AdminCreateInvitation(ctx context.Context, in *logicpb.AdminCreateInvitationRequest) (*logicpb.AdminCreateInvitationResponse, error) {
	return r.c.AdminCreateInvitation(ctx, in)
}
