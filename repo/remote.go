package repo

import (
	"context"

	"google.golang.org/grpc"

	"github.com/gochat-im/gochat/repo/repopb"
)

// remote is the role in another process: each method calls its namesake there.
type remote struct{ c repopb.RepoServiceClient }

// NewRemote returns the role behind a connection.
func NewRemote(conn grpc.ClientConnInterface) repopb.RepoServiceServer {
	return remote{repopb.NewRepoServiceClient(conn)}
}

func (r remote) CreateUser(ctx context.Context, in *repopb.CreateUserRequest) (*repopb.User, error) {
	return r.c.CreateUser(ctx, in)
}

func (r remote) GetUser(ctx context.Context, in *repopb.GetUserRequest) (*repopb.User, error) {
	return r.c.GetUser(ctx, in)
}

func (r remote) GetUsers(ctx context.Context, in *repopb.GetUsersRequest) (*repopb.GetUsersResponse, error) {
	return r.c.GetUsers(ctx, in)
}

func (r remote) SearchUsers(ctx context.Context, in *repopb.SearchUsersRequest) (*repopb.SearchUsersResponse, error) {
	return r.c.SearchUsers(ctx, in)
}

func (r remote) UpdateUser(ctx context.Context, in *repopb.UpdateUserRequest) (*repopb.User, error) {
	return r.c.UpdateUser(ctx, in)
}

func (r remote) GetCredentials(ctx context.Context, in *repopb.GetCredentialsRequest) (*repopb.Credentials, error) {
	return r.c.GetCredentials(ctx, in)
}

func (r remote) SetPassword(ctx context.Context, in *repopb.SetPasswordRequest) (*repopb.RevokedSessions, error) {
	return r.c.SetPassword(ctx, in)
}

func (r remote) CreateInvitation(ctx context.Context, in *repopb.CreateInvitationRequest) (*repopb.CreateInvitationResponse, error) {
	return r.c.CreateInvitation(ctx, in)
}

func (r remote) CreateSession(ctx context.Context, in *repopb.CreateSessionRequest) (*repopb.CreateSessionResponse, error) {
	return r.c.CreateSession(ctx, in)
}

func (r remote) RotateSession(ctx context.Context, in *repopb.RotateSessionRequest) (*repopb.RotateSessionResponse, error) {
	return r.c.RotateSession(ctx, in)
}

func (r remote) GetSession(ctx context.Context, in *repopb.GetSessionRequest) (*repopb.Session, error) {
	return r.c.GetSession(ctx, in)
}

func (r remote) ListSessions(ctx context.Context, in *repopb.ListSessionsRequest) (*repopb.ListSessionsResponse, error) {
	return r.c.ListSessions(ctx, in)
}

func (r remote) RevokeSessions(ctx context.Context, in *repopb.RevokeSessionsRequest) (*repopb.RevokedSessions, error) {
	return r.c.RevokeSessions(ctx, in)
}

func (r remote) TouchSessions(ctx context.Context, in *repopb.TouchSessionsRequest) (*repopb.Empty, error) {
	return r.c.TouchSessions(ctx, in)
}

func (r remote) CreateConversation(ctx context.Context, in *repopb.CreateConversationRequest) (*repopb.CreateConversationResponse, error) {
	return r.c.CreateConversation(ctx, in)
}

func (r remote) GetConversation(ctx context.Context, in *repopb.GetConversationRequest) (*repopb.ConversationView, error) {
	return r.c.GetConversation(ctx, in)
}

func (r remote) GetConversations(ctx context.Context, in *repopb.GetConversationsRequest) (*repopb.GetConversationsResponse, error) {
	return r.c.GetConversations(ctx, in)
}

func (r remote) UpdateConversation(ctx context.Context, in *repopb.UpdateConversationRequest) (*repopb.ConversationView, error) {
	return r.c.UpdateConversation(ctx, in)
}

func (r remote) GetUnread(ctx context.Context, in *repopb.GetUnreadRequest) (*repopb.GetUnreadResponse, error) {
	return r.c.GetUnread(ctx, in)
}

func (r remote) GetRoutes(ctx context.Context, in *repopb.GetRoutesRequest) (*repopb.GetRoutesResponse, error) {
	return r.c.GetRoutes(ctx, in)
}

func (r remote) GetLargeGroups(ctx context.Context, in *repopb.GetLargeGroupsRequest) (*repopb.GetLargeGroupsResponse, error) {
	return r.c.GetLargeGroups(ctx, in)
}

func (r remote) CheckSenders(ctx context.Context, in *repopb.CheckSendersRequest) (*repopb.CheckSendersResponse, error) {
	return r.c.CheckSenders(ctx, in)
}

func (r remote) CreateMessages(ctx context.Context, in *repopb.CreateMessagesRequest) (*repopb.CreateMessagesResponse, error) {
	return r.c.CreateMessages(ctx, in)
}

func (r remote) GetMessages(ctx context.Context, in *repopb.GetMessagesRequest) (*repopb.GetMessagesResponse, error) {
	return r.c.GetMessages(ctx, in)
}

func (r remote) EditMessage(ctx context.Context, in *repopb.EditMessageRequest) (*repopb.Event, error) {
	return r.c.EditMessage(ctx, in)
}

func (r remote) HideMessage(ctx context.Context, in *repopb.HideMessageRequest) (*repopb.Empty, error) {
	return r.c.HideMessage(ctx, in)
}

func (r remote) MarkDelivered(ctx context.Context, in *repopb.MarkDeliveredRequest) (*repopb.MarkDeliveredResponse, error) {
	return r.c.MarkDelivered(ctx, in)
}

func (r remote) UpdateMessageStatus(ctx context.Context, in *repopb.UpdateMessageStatusRequest) (*repopb.UpdateMessageStatusResponse, error) {
	return r.c.UpdateMessageStatus(ctx, in)
}

func (r remote) GetChanges(ctx context.Context, in *repopb.GetChangesRequest) (*repopb.GetChangesResponse, error) {
	return r.c.GetChanges(ctx, in)
}

func (r remote) CreateGroup(ctx context.Context, in *repopb.CreateGroupRequest) (*repopb.CreateGroupResponse, error) {
	return r.c.CreateGroup(ctx, in)
}

func (r remote) GetGroup(ctx context.Context, in *repopb.GetGroupRequest) (*repopb.Group, error) {
	return r.c.GetGroup(ctx, in)
}

func (r remote) UpdateGroup(ctx context.Context, in *repopb.UpdateGroupRequest) (*repopb.GroupChange, error) {
	return r.c.UpdateGroup(ctx, in)
}

func (r remote) DissolveGroup(ctx context.Context, in *repopb.DissolveGroupRequest) (*repopb.GroupChange, error) {
	return r.c.DissolveGroup(ctx, in)
}

func (r remote) AddGroupMember(ctx context.Context, in *repopb.AddGroupMemberRequest) (*repopb.GroupChange, error) {
	return r.c.AddGroupMember(ctx, in)
}

func (r remote) RemoveGroupMember(ctx context.Context, in *repopb.RemoveGroupMemberRequest) (*repopb.GroupChange, error) {
	return r.c.RemoveGroupMember(ctx, in)
}

func (r remote) UpdateGroupMember(ctx context.Context, in *repopb.UpdateGroupMemberRequest) (*repopb.GroupChange, error) {
	return r.c.UpdateGroupMember(ctx, in)
}

func (r remote) TransferGroup(ctx context.Context, in *repopb.TransferGroupRequest) (*repopb.GroupChange, error) {
	return r.c.TransferGroup(ctx, in)
}

func (r remote) GetGroupMembers(ctx context.Context, in *repopb.GetGroupMembersRequest) (*repopb.GetGroupMembersResponse, error) {
	return r.c.GetGroupMembers(ctx, in)
}

func (r remote) CreateJoinRequest(ctx context.Context, in *repopb.CreateJoinRequestRequest) (*repopb.Empty, error) {
	return r.c.CreateJoinRequest(ctx, in)
}

func (r remote) ListJoinRequests(ctx context.Context, in *repopb.ListJoinRequestsRequest) (*repopb.ListJoinRequestsResponse, error) {
	return r.c.ListJoinRequests(ctx, in)
}

func (r remote) DecideJoinRequest(ctx context.Context, in *repopb.DecideJoinRequestRequest) (*repopb.GroupChange, error) {
	return r.c.DecideJoinRequest(ctx, in)
}

func (r remote) CreateJobs(ctx context.Context, in *repopb.CreateJobsRequest) (*repopb.Empty, error) {
	return r.c.CreateJobs(ctx, in)
}

func (r remote) ClaimJobs(ctx context.Context, in *repopb.ClaimJobsRequest) (*repopb.ClaimJobsResponse, error) {
	return r.c.ClaimJobs(ctx, in)
}

func (r remote) FinishJobs(ctx context.Context, in *repopb.FinishJobsRequest) (*repopb.Empty, error) {
	return r.c.FinishJobs(ctx, in)
}

func (r remote) ListDeadJobs(ctx context.Context, in *repopb.ListDeadJobsRequest) (*repopb.ListDeadJobsResponse, error) {
	return r.c.ListDeadJobs(ctx, in)
}

func (r remote) RequeueJobs(ctx context.Context, in *repopb.RequeueJobsRequest) (*repopb.RequeueJobsResponse, error) {
	return r.c.RequeueJobs(ctx, in)
}

func (r remote) ListOutbox(ctx context.Context, in *repopb.ListOutboxRequest) (*repopb.ListOutboxResponse, error) {
	return r.c.ListOutbox(ctx, in)
}

func (r remote) Backup(ctx context.Context, in *repopb.BackupRequest) (*repopb.BackupResponse, error) {
	return r.c.Backup(ctx, in)
}

func (r remote) Stats(ctx context.Context, in *repopb.Empty) (*repopb.StatsResponse, error) {
	return r.c.Stats(ctx, in)
}
