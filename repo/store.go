package repo

import (
	"context"

	"github.com/gochat-im/gochat/repo/repopb"
)

// Store is what a database engine does for the repo role. Every method is one
// atomic unit; a mutation returns when it is durable. Errors are those of
// platform/errs as the contract in repopb says them; what an engine cannot do
// for now (disk full, no connection) is Unavailable. repotest holds every
// engine to this.
type Store interface {
	userStore
	sessionStore
	conversationStore
	messageStore
	groupStore
	jobStore

	Backup(ctx context.Context, r *repopb.BackupRequest) (*repopb.BackupResponse, error)
	Stats(ctx context.Context) (*repopb.StatsResponse, error)
	// Close finishes what was accepted.
	Close() error
}

type userStore interface {
	CreateUser(ctx context.Context, r *repopb.CreateUserRequest) (*repopb.User, error)
	// Users returns those that exist.
	Users(ctx context.Context, ids []int64) (map[int64]*repopb.User, error)
	Credentials(ctx context.Context, r *repopb.GetCredentialsRequest) (*repopb.Credentials, error)
	SearchUsers(ctx context.Context, r *repopb.SearchUsersRequest) ([]*repopb.User, error)
	UpdateUser(ctx context.Context, r *repopb.UpdateUserRequest) (*repopb.User, error)
	SetPassword(ctx context.Context, r *repopb.SetPasswordRequest) (*repopb.RevokedSessions, error)
	CreateInvitation(ctx context.Context, r *repopb.CreateInvitationRequest) error
}

type sessionStore interface {
	CreateSession(ctx context.Context, r *repopb.CreateSessionRequest) (*repopb.CreateSessionResponse, error)
	RotateSession(ctx context.Context, r *repopb.RotateSessionRequest) (*repopb.RotateSessionResponse, error)
	Session(ctx context.Context, id int64) (*repopb.Session, error)
	ListSessions(ctx context.Context, userID int64) ([]*repopb.Session, error)
	RevokeSessions(ctx context.Context, r *repopb.RevokeSessionsRequest) (*repopb.RevokedSessions, error)
	TouchSessions(ctx context.Context, r *repopb.TouchSessionsRequest) error
}

type conversationStore interface {
	CreateConversation(ctx context.Context, r *repopb.CreateConversationRequest) (*repopb.CreateConversationResponse, error)
	Conversation(ctx context.Context, r *repopb.GetConversationRequest) (*repopb.ConversationView, error)
	Conversations(ctx context.Context, r *repopb.GetConversationsRequest) (*repopb.GetConversationsResponse, error)
	UpdateConversation(ctx context.Context, r *repopb.UpdateConversationRequest) (*repopb.ConversationView, error)
	Unread(ctx context.Context, userID int64) (*repopb.GetUnreadResponse, error)
	// Routes returns those of the conversations that exist.
	Routes(ctx context.Context, conversationIDs []int64) (map[int64]*repopb.Route, error)
	LargeGroups(ctx context.Context, userID int64) ([]int64, error)
	// Senders returns what admission needs of each, but for active; member is false for who is none.
	Senders(ctx context.Context, of []Sender) (map[Sender]*repopb.SenderState, error)
}

// Sender is a user in a conversation.
type Sender = struct{ ConversationID, UserID int64 }

type messageStore interface {
	// CreateMessages leaves the routes of its answer empty.
	CreateMessages(ctx context.Context, r *repopb.CreateMessagesRequest) (*repopb.CreateMessagesResponse, error)
	Messages(ctx context.Context, r *repopb.GetMessagesRequest) (*repopb.GetMessagesResponse, error)
	EditMessage(ctx context.Context, r *repopb.EditMessageRequest) (*repopb.Event, error)
	HideMessage(ctx context.Context, r *repopb.HideMessageRequest) error
	MarkDelivered(ctx context.Context, r *repopb.MarkDeliveredRequest) (*repopb.MarkDeliveredResponse, error)
	UpdateMessageStatus(ctx context.Context, r *repopb.UpdateMessageStatusRequest) (*repopb.UpdateMessageStatusResponse, error)
	Changes(ctx context.Context, r *repopb.GetChangesRequest) (*repopb.GetChangesResponse, error)
}

type groupStore interface {
	CreateGroup(ctx context.Context, r *repopb.CreateGroupRequest) (*repopb.CreateGroupResponse, error)
	Group(ctx context.Context, r *repopb.GetGroupRequest) (*repopb.Group, error)
	UpdateGroup(ctx context.Context, r *repopb.UpdateGroupRequest) (*repopb.GroupChange, error)
	DissolveGroup(ctx context.Context, r *repopb.DissolveGroupRequest) (*repopb.GroupChange, error)
	AddGroupMember(ctx context.Context, r *repopb.AddGroupMemberRequest) (*repopb.GroupChange, error)
	RemoveGroupMember(ctx context.Context, r *repopb.RemoveGroupMemberRequest) (*repopb.GroupChange, error)
	UpdateGroupMember(ctx context.Context, r *repopb.UpdateGroupMemberRequest) (*repopb.GroupChange, error)
	TransferGroup(ctx context.Context, r *repopb.TransferGroupRequest) (*repopb.GroupChange, error)
	GroupMembers(ctx context.Context, r *repopb.GetGroupMembersRequest) (*repopb.GetGroupMembersResponse, error)
	CreateJoinRequest(ctx context.Context, r *repopb.CreateJoinRequestRequest) error
	JoinRequests(ctx context.Context, r *repopb.ListJoinRequestsRequest) (*repopb.ListJoinRequestsResponse, error)
	DecideJoinRequest(ctx context.Context, r *repopb.DecideJoinRequestRequest) (*repopb.GroupChange, error)
}

type jobStore interface {
	CreateJobs(ctx context.Context, r *repopb.CreateJobsRequest) error
	ClaimJobs(ctx context.Context, r *repopb.ClaimJobsRequest) ([]*repopb.Job, error)
	FinishJobs(ctx context.Context, r *repopb.FinishJobsRequest) error
	DeadJobs(ctx context.Context, r *repopb.ListDeadJobsRequest) (*repopb.ListDeadJobsResponse, error)
	RequeueJobs(ctx context.Context, r *repopb.RequeueJobsRequest) (int64, error)
	Outbox(ctx context.Context, r *repopb.ListOutboxRequest) ([]*repopb.OutboxEntry, error)
}
