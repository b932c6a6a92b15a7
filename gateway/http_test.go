package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/obs"
	"github.com/gochat-im/gochat/repo/repopb"
)

const (
	aliceID    = 387204871236485120
	bobID      = 387204871236485121
	convID     = 387204871236485200
	sessionID  = 387204871236485300
	goodToken  = "good-token"
	createdAt  = 1_767_225_600_125 // 2026-01-01T00:00:00.125Z
	messageURL = "/api/v1/messages/387204871236485200-7"
	groupURL   = "/api/v1/groups/387204871236485200"
)

// apiLogic answers like a healthy logic and remembers the last request of each method.
type apiLogic struct {
	logicpb.LogicServiceServer
	hub *Hub

	mu   sync.Mutex // guards what follows
	last map[string]proto.Message
	fail error
	// send answers a message; nil stores it.
	send func(*logicpb.Upstream) *gatewaypb.Result
	// created and pending steer the answers that have two forms.
	created, pending, more, panics bool
}

func (l *apiLogic) saw(name string, m proto.Message) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.panics {
		panic("the double panics")
	}
	l.last[name] = proto.Clone(m)
	return l.fail
}

// got returns the last request of a method.
func got[T proto.Message](t *testing.T, l *apiLogic, name string) T {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	m, ok := l.last[name].(T)
	if !ok {
		t.Fatalf("logic's %s was not called", name)
	}
	return m
}

func (l *apiLogic) called(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last[name] != nil
}

func (l *apiLogic) ValidateToken(_ context.Context, r *logicpb.ValidateTokenRequest) (*logicpb.Identity, error) {
	switch r.GetToken() {
	case goodToken:
		return &logicpb.Identity{UserId: aliceID, SessionId: sessionID}, nil
	case "expired":
		return nil, errs.New(errs.Unauthorized, "the token has expired").With("reason", "expired")
	}
	return nil, errs.New(errs.Unauthorized, "the token is not valid").With("reason", "invalid")
}

func alice(email bool) *repopb.User {
	u := &repopb.User{Id: aliceID, Username: "alice", Nickname: "Al <b>&", Status: repopb.UserStatus_USER_STATUS_ACTIVE, CreatedAt: createdAt}
	if email {
		u.Email = "alice@example.org"
	}
	return u
}

func view() *repopb.ConversationView {
	return &repopb.ConversationView{
		Conversation: &repopb.Conversation{Id: convID, Type: repopb.ConversationType_CONVERSATION_TYPE_SINGLE, Name: "Bob", LastSeq: 7, UpdatedAt: createdAt},
		LastMessage:  textEvent(7), PeerId: bobID, Role: repopb.Role_ROLE_MEMBER, ReadSeq: 5, Unread: 2, Pinned: true,
	}
}

func textEvent(seq int64) *repopb.Event {
	return &repopb.Event{
		ConversationId: convID, Seq: seq, Kind: repopb.EventKind_EVENT_KIND_MESSAGE, UserId: aliceID, PeerId: bobID, CreatedAt: createdAt,
		Content: "hi <b>&", MessageType: "text", Status: repopb.MessageStatus_MESSAGE_STATUS_SENT,
	}
}

func groupCard() *repopb.Group {
	return &repopb.Group{
		Id: convID, Name: "Friends", OwnerId: aliceID, MaxMembers: 200, MemberCount: 2,
		JoinPolicy: repopb.JoinPolicy_JOIN_POLICY_APPROVAL, CreatedAt: createdAt, MyRole: repopb.Role_ROLE_OWNER,
	}
}

func (l *apiLogic) tokens() *logicpb.AuthenticateResponse {
	return &logicpb.AuthenticateResponse{AccessToken: "a", RefreshToken: "r", ExpiresInMs: 900_000, User: alice(true), SessionId: sessionID}
}

func (l *apiLogic) Register(_ context.Context, r *logicpb.RegisterRequest) (*repopb.User, error) {
	return alice(true), l.saw("Register", r)
}

func (l *apiLogic) Authenticate(_ context.Context, r *logicpb.AuthenticateRequest) (*logicpb.AuthenticateResponse, error) {
	return l.tokens(), l.saw("Authenticate", r)
}

func (l *apiLogic) Refresh(_ context.Context, r *logicpb.RefreshRequest) (*logicpb.AuthenticateResponse, error) {
	return l.tokens(), l.saw("Refresh", r)
}

func (l *apiLogic) Logout(_ context.Context, r *logicpb.LogoutRequest) (*repopb.Empty, error) {
	return &repopb.Empty{}, l.saw("Logout", r)
}

func (l *apiLogic) ListSessions(_ context.Context, r *logicpb.ListSessionsRequest) (*repopb.ListSessionsResponse, error) {
	return &repopb.ListSessionsResponse{Sessions: []*repopb.Session{
		{Id: sessionID, UserId: aliceID, DeviceId: "phone", Platform: "ios", CreatedAt: createdAt, LastSeenAt: createdAt},
		{Id: sessionID + 1, UserId: aliceID, CreatedAt: createdAt, LastSeenAt: createdAt},
	}}, l.saw("ListSessions", r)
}

func (l *apiLogic) RevokeSession(_ context.Context, r *logicpb.RevokeSessionRequest) (*repopb.Empty, error) {
	return &repopb.Empty{}, l.saw("RevokeSession", r)
}

func (l *apiLogic) ChangePassword(_ context.Context, r *logicpb.ChangePasswordRequest) (*repopb.Empty, error) {
	return &repopb.Empty{}, l.saw("ChangePassword", r)
}

func (l *apiLogic) GetJWKS(_ context.Context, r *repopb.Empty) (*logicpb.JWKS, error) {
	return &logicpb.JWKS{Json: []byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"eA","kid":"1"}]}`)}, l.saw("GetJWKS", r)
}

func (l *apiLogic) GetUserProfile(_ context.Context, r *logicpb.GetUserProfileRequest) (*repopb.User, error) {
	return alice(r.GetActorId() == r.GetUserId()), l.saw("GetUserProfile", r)
}

func (l *apiLogic) SearchUsers(_ context.Context, r *logicpb.SearchUsersRequest) (*logicpb.SearchUsersResponse, error) {
	return &logicpb.SearchUsersResponse{Users: []*repopb.User{alice(false)}, HasMore: l.more}, l.saw("SearchUsers", r)
}

func (l *apiLogic) UpdateUserProfile(_ context.Context, r *logicpb.UpdateUserProfileRequest) (*repopb.User, error) {
	return alice(true), l.saw("UpdateUserProfile", r)
}

func (l *apiLogic) SendMessage(ctx context.Context, r *logicpb.Upstream) (*repopb.Empty, error) {
	if err := l.saw("SendMessage", r); err != nil {
		return nil, err
	}
	result := &gatewaypb.Result{Event: textEvent(8)}
	result.Event.Content = r.GetMessage().GetContent()
	if r.GetMessage().GetEchoClientMsgId() {
		result.Event.ClientMsgId = r.GetMessage().GetClientMsgId()
	}
	if l.send != nil {
		if result = l.send(r); result == nil {
			return &repopb.Empty{}, nil
		}
	}
	result.Origin = r.GetOrigin()
	_, err := l.hub.Deliver(ctx, &gatewaypb.DeliverRequest{Results: []*gatewaypb.Result{result}})
	return &repopb.Empty{}, err
}

func (l *apiLogic) GetMessageHistory(_ context.Context, r *repopb.GetMessagesRequest) (*repopb.GetMessagesResponse, error) {
	return &repopb.GetMessagesResponse{HasMore: true, Events: []*repopb.Event{
		{ConversationId: convID, Seq: 1, Kind: repopb.EventKind_EVENT_KIND_CREATED, UserId: aliceID, CreatedAt: createdAt, Name: "Friends"},
		textEvent(2),
		{ConversationId: convID, Seq: 3, Kind: repopb.EventKind_EVENT_KIND_EDIT, UserId: aliceID, TargetSeq: 2, Content: "ho", MessageType: "text", CreatedAt: createdAt},
		{ConversationId: convID, Seq: 4, Kind: repopb.EventKind_EVENT_KIND_MEMBER_JOINED, UserId: bobID, TargetUserIds: []int64{bobID}, CreatedAt: createdAt},
	}}, l.saw("GetMessageHistory", r)
}

func (l *apiLogic) GetUnread(_ context.Context, r *repopb.GetUnreadRequest) (*repopb.GetUnreadResponse, error) {
	return &repopb.GetUnreadResponse{Total: 2, Conversations: []*repopb.UnreadCount{{ConversationId: convID, Unread: 2, LastSeq: 7, ReadSeq: 5}}}, l.saw("GetUnread", r)
}

func (l *apiLogic) MarkMessageRead(_ context.Context, r *logicpb.MarkMessageReadRequest) (*repopb.Empty, error) {
	return &repopb.Empty{}, l.saw("MarkMessageRead", r)
}

func (l *apiLogic) EditMessage(_ context.Context, r *logicpb.EditMessageRequest) (*repopb.Event, error) {
	return &repopb.Event{
		ConversationId: convID, Seq: 9, Kind: repopb.EventKind_EVENT_KIND_EDIT, UserId: aliceID, TargetSeq: r.GetSeq(),
		Content: r.GetContent(), MessageType: "text", CreatedAt: createdAt,
	}, l.saw("EditMessage", r)
}

func (l *apiLogic) RecallMessage(_ context.Context, r *logicpb.RecallMessageRequest) (*repopb.Event, error) {
	return &repopb.Event{}, l.saw("RecallMessage", r)
}

func (l *apiLogic) CreateConversation(_ context.Context, r *logicpb.CreateConversationRequest) (*logicpb.CreateConversationResponse, error) {
	return &logicpb.CreateConversationResponse{Conversation: view(), Created: l.created}, l.saw("CreateConversation", r)
}

func (l *apiLogic) GetConversation(_ context.Context, r *repopb.GetConversationRequest) (*repopb.ConversationView, error) {
	return view(), l.saw("GetConversation", r)
}

func (l *apiLogic) GetConversations(_ context.Context, r *repopb.GetConversationsRequest) (*logicpb.GetConversationsResponse, error) {
	return &logicpb.GetConversationsResponse{Conversations: []*repopb.ConversationView{view()}, HasMore: l.more}, l.saw("GetConversations", r)
}

func (l *apiLogic) UpdateConversation(_ context.Context, r *logicpb.UpdateConversationRequest) (*repopb.ConversationView, error) {
	return view(), l.saw("UpdateConversation", r)
}

func (l *apiLogic) CreateGroup(_ context.Context, r *repopb.CreateGroupRequest) (*repopb.Group, error) {
	return groupCard(), l.saw("CreateGroup", r)
}

func (l *apiLogic) GetGroupInfo(_ context.Context, r *repopb.GetGroupRequest) (*repopb.Group, error) {
	g := groupCard()
	g.MyRole = repopb.Role_ROLE_UNSPECIFIED
	return g, l.saw("GetGroupInfo", r)
}

func (l *apiLogic) UpdateGroup(_ context.Context, r *repopb.UpdateGroupRequest) (*repopb.Group, error) {
	return groupCard(), l.saw("UpdateGroup", r)
}

func (l *apiLogic) DissolveGroup(_ context.Context, r *repopb.DissolveGroupRequest) (*repopb.Empty, error) {
	return &repopb.Empty{}, l.saw("DissolveGroup", r)
}

func (l *apiLogic) JoinGroup(_ context.Context, r *logicpb.JoinGroupRequest) (*logicpb.JoinGroupResponse, error) {
	return &logicpb.JoinGroupResponse{Pending: l.pending}, l.saw("JoinGroup", r)
}

func (l *apiLogic) LeaveGroup(_ context.Context, r *logicpb.LeaveGroupRequest) (*repopb.Empty, error) {
	return &repopb.Empty{}, l.saw("LeaveGroup", r)
}

func (l *apiLogic) AddGroupMember(_ context.Context, r *repopb.AddGroupMemberRequest) (*repopb.Group, error) {
	return groupCard(), l.saw("AddGroupMember", r)
}

func (l *apiLogic) RemoveGroupMember(_ context.Context, r *repopb.RemoveGroupMemberRequest) (*repopb.Empty, error) {
	return &repopb.Empty{}, l.saw("RemoveGroupMember", r)
}

func (l *apiLogic) UpdateGroupMember(_ context.Context, r *repopb.UpdateGroupMemberRequest) (*repopb.Member, error) {
	return &repopb.Member{UserId: bobID, Username: "bob", Role: repopb.Role_ROLE_ADMIN, MutedUntil: createdAt, JoinedAt: createdAt}, l.saw("UpdateGroupMember", r)
}

func (l *apiLogic) TransferGroup(_ context.Context, r *repopb.TransferGroupRequest) (*repopb.Empty, error) {
	return &repopb.Empty{}, l.saw("TransferGroup", r)
}

func (l *apiLogic) GetGroupMembers(_ context.Context, r *repopb.GetGroupMembersRequest) (*repopb.GetGroupMembersResponse, error) {
	return &repopb.GetGroupMembersResponse{HasMore: l.more, Members: []*repopb.Member{{UserId: bobID, Username: "bob", Role: repopb.Role_ROLE_MEMBER, JoinedAt: createdAt}}}, l.saw("GetGroupMembers", r)
}

func (l *apiLogic) ListJoinRequests(_ context.Context, r *repopb.ListJoinRequestsRequest) (*repopb.ListJoinRequestsResponse, error) {
	return &repopb.ListJoinRequestsResponse{HasMore: l.more, Requests: []*repopb.JoinRequest{{UserId: bobID, Username: "bob", CreatedAt: createdAt}}}, l.saw("ListJoinRequests", r)
}

func (l *apiLogic) DecideJoinRequest(_ context.Context, r *repopb.DecideJoinRequestRequest) (*repopb.Empty, error) {
	return &repopb.Empty{}, l.saw("DecideJoinRequest", r)
}

// httpFixture is a server over a double of logic, behind a real listener.
type httpFixture struct {
	*Server
	logic *apiLogic
	url   string
	log   *bytes.Buffer
	reg   *prometheus.Registry
}

func newHTTPFixture(t *testing.T, change func(*Config)) *httpFixture {
	t.Helper()
	cfg := DefaultConfig()
	if change != nil {
		change(&cfg)
	}
	f := &httpFixture{log: &bytes.Buffer{}, reg: prometheus.NewRegistry()}
	var mu sync.Mutex
	base, err := obs.NewLogger("debug", "json", lockedWriter{&mu, f.log})
	if err != nil {
		t.Fatal(err)
	}
	hub := NewHub(cfg, slog.New(slog.DiscardHandler), f.reg)
	f.logic = &apiLogic{hub: hub, last: map[string]proto.Message{}}
	f.Server, err = NewServer(cfg, hub, f.logic, nil, base, f.reg)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(f.Handler())
	s.Config = NewHTTPServer(cfg.HTTP, f.Handler(), base)
	s.Start()
	t.Cleanup(s.Close)
	f.url = s.URL
	return f
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// answer is a response, read.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("%d %q: %v", a.status, a.body, err)
	}
	return v
}

// do sends a request as alice; pairs of header names and values follow the body.
func (f *httpFixture) do(t *testing.T, method, path, body string, header ...string) answer {
	t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, f.url+path, r)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+goodToken)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i+1] == "" {
			req.Header.Del(header[i])
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

// wantError checks the one shape.
func (a answer) wantError(t *testing.T, what string, status int, code errs.Code) map[string]any {
	t.Helper()
	v := a.json(t)
	_, details := v["details"].(map[string]any)
	id, _ := v["request_id"].(string)
	if a.status != status || v["code"] != float64(code) || v["message"] == "" || !details || len(v) != 4 || id == "" || id != a.header.Get("X-Request-Id") {
		t.Errorf("%s: %d %s (X-Request-Id %q), want %d with code %d", what, a.status, a.body, a.header.Get("X-Request-Id"), status, code)
	}
	if ct := a.header.Get("Content-Type"); ct != "application/json" {
		t.Errorf("%s: Content-Type %q", what, ct)
	}
	return v
}
