package logic

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/rpc/rpctest"
	"github.com/gochat-im/gochat/repo/repopb"
	"github.com/gochat-im/gochat/task/taskpb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestOverGRPC is what the role promises, seen from another process.
func TestOverGRPC(t *testing.T) {
	t.Parallel()
	const hangsUp = "a caller that has hung up learns no outcome over gRPC"
	rpctest.Again(t, map[string]string{
		"TestChangesOfACallerThatHangsUp": hangsUp, "TestRemovalDetachesBeforeItReturns": hangsUp,
		"TestLogoutOfACallerThatHangsUp":    "a call that was given up before it began does not arrive",
		"TestSendMessageRefusesBadMessages": "gRPC carries no text that is not UTF-8, and does not name its field",
		"TestRegisterRefuses":               "as above",
	})
}

// rig is a service on doubles, with a clock that the test moves.
type rig struct {
	logicpb.LogicServiceServer // the role itself, or the way to it over gRPC
	role                       *Service
	store                      *store
	hub                        *hub
	lane                       *lane
	hash                       *plainHasher

	mu    sync.Mutex // guards clock
	clock time.Time
}

func newRig(t *testing.T, change ...func(*Config)) *rig {
	t.Helper()
	cfg := DefaultConfig()
	cfg.KeyDir = t.TempDir()
	for _, c := range change {
		c(&cfg)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	r := &rig{store: newStore(), hub: &hub{}, lane: &lane{}, hash: &plainHasher{cost: "v2"}, clock: time.Now()}
	r.hub.store = r.store
	s, err := New(cfg, r.store, r.hub, r.lane, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.passwords, s.now = r.hash, r.time
	r.role = s
	r.LogicServiceServer = rpctest.Reach[logicpb.LogicServiceServer](t, logicpb.LogicService_ServiceDesc.ServiceName, s,
		logicpb.RegisterLogicServiceServer, NewRemote)
	return r
}

func (r *rig) time() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.clock
}

func (r *rig) advance(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock = r.clock.Add(d)
}

// shown is what a client sees of an error.
type shown struct {
	Message string
	Details map[string]string
}

// wantCode fails unless err is of the code.
func wantCode(t *testing.T, err error, code errs.Code) shown {
	t.Helper()
	if errs.CodeOf(err) != code {
		t.Fatalf("got %v (%s), want %s", err, errs.CodeOf(err), code)
	}
	e := errs.From(err)
	return shown{e.Message, e.Details}
}

func must[T any](t *testing.T, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// plainHasher hashes to "cost:password" and counts what it was asked.
type plainHasher struct {
	mu      sync.Mutex
	cost    string
	dummies int
	real    int
	err     error
	during  func() // runs inside Verify
}

func (h *plainHasher) Hash(_ context.Context, password string) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.cost + ":" + password, h.err
}

func (h *plainHasher) Verify(_ context.Context, hash, password string) (bool, error) {
	h.mu.Lock()
	h.real++
	err, during := h.err, h.during
	h.mu.Unlock()
	if during != nil {
		during()
	}
	_, plain, _ := strings.Cut(hash, ":")
	return plain == password, err
}

func (h *plainHasher) VerifyDummy(context.Context, string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dummies++
	return h.err
}

func (h *plainHasher) NeedsRehash(hash string) bool {
	cost, _, _ := strings.Cut(hash, ":")
	return cost != h.cost
}

// lane is a bus that keeps what is published.
type lane struct {
	bus.Bus

	mu        sync.Mutex
	err       error
	published []bus.Record
	topic     bus.Topic
	handler   bus.Handler
}

func (l *lane) Subscribe(t bus.Topic, h bus.Handler) error {
	l.topic, l.handler = t, h
	return nil
}

func (l *lane) Publish(ctx context.Context, topic string, records ...bus.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.err != nil:
		return l.err
	case ctx.Err() != nil:
		return ctx.Err()
	case topic != taskpb.PersistTopic:
		return errs.New(errs.Internal, "unexpected topic %s", topic)
	}
	l.published = append(l.published, records...)
	return nil
}

// persist returns what is published, in order.
func (l *lane) persist(t *testing.T) []*taskpb.Persist {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []*taskpb.Persist
	for _, r := range l.published {
		p, ok := r.Message.(*taskpb.Persist)
		if !ok {
			t.Fatalf("published %T", r.Message)
		}
		key := p.GetMessage().GetConversationId()
		if p.GetCommitted() != nil {
			key = p.GetCommitted().GetEvent().GetConversationId()
		}
		if r.Key != key {
			t.Fatalf("published under key %d, want the conversation %d", r.Key, key)
		}
		out = append(out, p)
	}
	return out
}

// hub is a gateway that keeps what it is told, and what was revoked when it was told to disconnect.
type hub struct {
	gatewaypb.GatewayServiceServer

	mu           sync.Mutex
	store        *store
	results      []*gatewaypb.Result
	deliveries   []*gatewaypb.Delivery
	disconnected []*gatewaypb.DisconnectRequest
	early        bool // a session's sockets were closed before its revocation was committed
}

func (h *hub) Deliver(ctx context.Context, r *gatewaypb.DeliverRequest) (*gatewaypb.DeliverResponse, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	h.results = append(h.results, r.GetResults()...)
	h.deliveries = append(h.deliveries, r.GetDeliveries()...)
	return &gatewaypb.DeliverResponse{}, nil
}

func (h *hub) Disconnect(ctx context.Context, r *gatewaypb.DisconnectRequest) (*gatewaypb.DisconnectResponse, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	for _, id := range r.GetSessionIds() {
		h.early = h.early || h.store.session(id).GetRevokedAt() == 0
	}
	h.disconnected = append(h.disconnected, r)
	return &gatewaypb.DisconnectResponse{}, nil
}

func (h *hub) closed() []*gatewaypb.DisconnectRequest {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.disconnected
}

// store is a repo in memory, as far as accounts and sessions go; what a test needs besides is a function of the test.
type store struct {
	repopb.RepoServiceServer

	mu       sync.Mutex
	nextID   int64
	users    map[int64]*repopb.Credentials
	sessions map[int64]*repopb.Session
	tokens   map[string]int64 // refresh hash -> session
	used     map[string]bool
	touched  []int64
	afterNew func() // runs after CreateSession has committed

	senders  map[[2]int64]*repopb.SenderState
	checks   int
	asked    []proto.Message // requests of the functions below
	err      error           // of the functions below
	change   *repopb.GroupChange
	stay     error // answer of RemoveGroupMember
	moved    []*repopb.DeliveredPointer
	group    *repopb.Group
	views    []*repopb.ConversationView
	status   *repopb.UpdateMessageStatusResponse
	routes   []*repopb.Route
	onChange func() // runs when a change has committed
}

func newStore() *store {
	return &store{
		nextID: 100, users: map[int64]*repopb.Credentials{}, sessions: map[int64]*repopb.Session{},
		tokens: map[string]int64{}, used: map[string]bool{}, senders: map[[2]int64]*repopb.SenderState{},
	}
}

// addUser stores an active user with the password "good secret".
func (s *store) addUser(id int64, name string) *repopb.User {
	u := &repopb.User{Id: id, Username: name, Email: name + "@example.org", Status: repopb.UserStatus_USER_STATUS_ACTIVE}
	s.users[id] = &repopb.Credentials{User: u, PasswordHash: "v2:good secret"}
	return u
}

func (s *store) session(id int64) *repopb.Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[id]
}

func (s *store) hashOf(id int64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.users[id].GetPasswordHash()
}

func (s *store) find(id int64, name string) *repopb.Credentials {
	if id != 0 {
		return s.users[id]
	}
	for _, c := range s.users {
		if strings.EqualFold(c.GetUser().GetUsername(), name) {
			return c
		}
	}
	return nil
}

func (s *store) CreateUser(_ context.Context, r *repopb.CreateUserRequest) (*repopb.User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r)
	if s.find(0, r.GetUser().GetUsername()) != nil {
		return nil, errs.New(errs.Conflict, "username: is taken").With("field", "username")
	}
	s.nextID++
	u, _ := proto.Clone(r.GetUser()).(*repopb.User)
	u.Id = s.nextID
	s.users[u.GetId()] = &repopb.Credentials{User: u, PasswordHash: r.GetPasswordHash()}
	return u, nil
}

func (s *store) GetUser(_ context.Context, r *repopb.GetUserRequest) (*repopb.User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.find(r.GetId(), r.GetUsername())
	if c == nil {
		return nil, errs.New(errs.NotFound, "no such user")
	}
	return c.GetUser(), nil
}

func (s *store) GetUsers(_ context.Context, r *repopb.GetUsersRequest) (*repopb.GetUsersResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	resp := &repopb.GetUsersResponse{}
	for _, id := range r.GetIds() {
		if c := s.users[id]; c != nil {
			resp.Users = append(resp.Users, c.GetUser())
		}
	}
	return resp, nil
}

func (s *store) UpdateUser(_ context.Context, r *repopb.UpdateUserRequest) (*repopb.User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.users[r.GetId()]
	u, _ := proto.Clone(c.GetUser()).(*repopb.User)
	if r.Status != nil {
		u.Status = r.GetStatus()
	}
	if r.Nickname != nil {
		u.Nickname = r.GetNickname()
	}
	s.users[r.GetId()] = &repopb.Credentials{User: u, PasswordHash: c.GetPasswordHash()}
	return u, nil
}

func (s *store) SearchUsers(_ context.Context, r *repopb.SearchUsersRequest) (*repopb.SearchUsersResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r)
	resp := &repopb.SearchUsersResponse{}
	for _, c := range s.users {
		if len(resp.GetUsers()) < int(r.GetLimit()) {
			resp.Users = append(resp.Users, c.GetUser())
		}
	}
	return resp, nil
}

func (s *store) GetCredentials(_ context.Context, r *repopb.GetCredentialsRequest) (*repopb.Credentials, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.find(r.GetUserId(), r.GetUsername())
	if c == nil {
		return nil, errs.New(errs.NotFound, "no such user")
	}
	return c, nil
}

func (s *store) SetPassword(_ context.Context, r *repopb.SetPasswordRequest) (*repopb.RevokedSessions, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r)
	c := s.users[r.GetUserId()]
	if r.GetExpectedHash() != "" && r.GetExpectedHash() != c.GetPasswordHash() {
		return nil, errs.New(errs.Conflict, "the password was changed meanwhile")
	}
	s.users[r.GetUserId()] = &repopb.Credentials{User: c.GetUser(), PasswordHash: r.GetPasswordHash()}
	return s.revokeLocked(r.GetUserId(), func(id int64) bool { return !r.GetKeepAllSessions() && id != r.GetKeepSessionId() }), nil
}

func (s *store) revokeLocked(user int64, match func(int64) bool) *repopb.RevokedSessions {
	resp := &repopb.RevokedSessions{}
	for id, session := range s.sessions {
		if session.GetUserId() == user && session.GetRevokedAt() == 0 && match(id) {
			gone, _ := proto.Clone(session).(*repopb.Session)
			gone.RevokedAt = 1
			s.sessions[id] = gone
			resp.SessionIds = append(resp.SessionIds, id)
		}
	}
	return resp
}

func (s *store) CreateInvitation(_ context.Context, r *repopb.CreateInvitationRequest) (*repopb.CreateInvitationResponse, error) {
	s.asked = append(s.asked, r)
	return &repopb.CreateInvitationResponse{}, nil
}

func (s *store) CreateSession(_ context.Context, r *repopb.CreateSessionRequest) (*repopb.CreateSessionResponse, error) {
	s.mu.Lock()
	resp := &repopb.CreateSessionResponse{}
	for id, old := range s.sessions {
		if r.GetSession().GetDeviceId() != "" && old.GetDeviceId() == r.GetSession().GetDeviceId() && old.GetRevokedAt() == 0 {
			resp.Replaced = append(resp.Replaced, old)
			s.revokeLocked(old.GetUserId(), func(other int64) bool { return other == id })
		}
	}
	live := 0
	var oldest *repopb.Session
	for _, old := range s.sessions {
		if old.GetRevokedAt() == 0 {
			live++
			if oldest == nil || old.GetId() < oldest.GetId() {
				oldest = old
			}
		}
	}
	if live >= int(r.GetMaxSessions()) {
		resp.Replaced = append(resp.Replaced, oldest)
		s.revokeLocked(oldest.GetUserId(), func(other int64) bool { return other == oldest.GetId() })
	}
	s.nextID++
	session, _ := proto.Clone(r.GetSession()).(*repopb.Session)
	session.Id = s.nextID
	s.sessions[session.GetId()] = session
	s.tokens[string(r.GetRefreshHash())] = session.GetId()
	resp.Session = session
	after := s.afterNew
	s.mu.Unlock()
	if after != nil {
		after()
	}
	return resp, nil
}

func (s *store) RotateSession(_ context.Context, r *repopb.RotateSessionRequest) (*repopb.RotateSessionResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.tokens[string(r.GetRefreshHash())]
	session := s.sessions[id]
	if session == nil || session.GetRevokedAt() != 0 {
		return nil, errs.New(errs.Unauthorized, "invalid refresh token")
	}
	if s.used[string(r.GetRefreshHash())] {
		s.revokeLocked(session.GetUserId(), func(other int64) bool { return other == id })
		return &repopb.RotateSessionResponse{Session: s.sessions[id], Reused: true}, nil
	}
	s.used[string(r.GetRefreshHash())] = true
	s.tokens[string(r.GetNextRefreshHash())] = id
	return &repopb.RotateSessionResponse{Session: session}, nil
}

func (s *store) GetSession(_ context.Context, r *repopb.GetSessionRequest) (*repopb.Session, error) {
	if session := s.session(r.GetId()); session != nil {
		return session, nil
	}
	return nil, errs.New(errs.NotFound, "no such session")
}

func (s *store) ListSessions(_ context.Context, r *repopb.ListSessionsRequest) (*repopb.ListSessionsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	resp := &repopb.ListSessionsResponse{}
	for _, session := range s.sessions {
		if session.GetUserId() == r.GetUserId() && session.GetRevokedAt() == 0 {
			resp.Sessions = append(resp.Sessions, session)
		}
	}
	return resp, nil
}

func (s *store) RevokeSessions(_ context.Context, r *repopb.RevokeSessionsRequest) (*repopb.RevokedSessions, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revokeLocked(r.GetUserId(), func(id int64) bool {
		if len(r.GetSessionIds()) == 0 {
			return id != r.GetExceptSessionId()
		}
		return slices.Contains(r.GetSessionIds(), id)
	}), nil
}

func (s *store) TouchSessions(_ context.Context, r *repopb.TouchSessionsRequest) (*repopb.Empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.touched = append(s.touched, r.GetSessionIds()...)
	return &repopb.Empty{}, nil
}

func (s *store) CheckSenders(_ context.Context, r *repopb.CheckSendersRequest) (*repopb.CheckSendersResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checks++
	if s.err != nil {
		return nil, s.err
	}
	resp := &repopb.CheckSendersResponse{}
	for _, sender := range r.GetSenders() {
		state := s.senders[[2]int64{sender.GetConversationId(), sender.GetUserId()}]
		if state == nil {
			state = &repopb.SenderState{Active: true}
		}
		resp.Senders = append(resp.Senders, state)
	}
	return resp, nil
}

// answer records a request and returns the test's answer to it.
func answer[T any](s *store, request proto.Message, v T) (T, error) {
	s.mu.Lock()
	s.asked = append(s.asked, request)
	err, committed := s.err, s.onChange
	s.mu.Unlock()
	if committed != nil {
		committed()
	}
	return v, err
}

// last is the last request of a type that the store was asked.
func last[T proto.Message](t *testing.T, s *store) T {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, asked := range slices.Backward(s.asked) {
		if m, ok := asked.(T); ok {
			return m
		}
	}
	var none T
	t.Fatalf("the store was not asked %T", none)
	return none
}

func (s *store) GetMessages(_ context.Context, r *repopb.GetMessagesRequest) (*repopb.GetMessagesResponse, error) {
	return answer(s, r, &repopb.GetMessagesResponse{})
}

func (s *store) GetChanges(_ context.Context, r *repopb.GetChangesRequest) (*repopb.GetChangesResponse, error) {
	return answer(s, r, &repopb.GetChangesResponse{})
}

func (s *store) EditMessage(_ context.Context, r *repopb.EditMessageRequest) (*repopb.Event, error) {
	return answer(s, r, &repopb.Event{ConversationId: r.GetConversationId(), Seq: 9, Kind: repopb.EventKind_EVENT_KIND_EDIT, TargetSeq: r.GetSeq()})
}

func (s *store) HideMessage(_ context.Context, r *repopb.HideMessageRequest) (*repopb.Empty, error) {
	return answer(s, r, &repopb.Empty{})
}

func (s *store) MarkDelivered(_ context.Context, r *repopb.MarkDeliveredRequest) (*repopb.MarkDeliveredResponse, error) {
	return answer(s, r, &repopb.MarkDeliveredResponse{Moved: s.moved})
}

func (s *store) UpdateMessageStatus(_ context.Context, r *repopb.UpdateMessageStatusRequest) (*repopb.UpdateMessageStatusResponse, error) {
	return answer(s, r, s.status)
}

func (s *store) GetRoutes(_ context.Context, r *repopb.GetRoutesRequest) (*repopb.GetRoutesResponse, error) {
	return answer(s, r, &repopb.GetRoutesResponse{Routes: s.routes})
}

func (s *store) CreateConversation(_ context.Context, r *repopb.CreateConversationRequest) (*repopb.CreateConversationResponse, error) {
	return answer(s, r, &repopb.CreateConversationResponse{Conversation: s.views[0], Created: true})
}

func (s *store) GetConversation(_ context.Context, r *repopb.GetConversationRequest) (*repopb.ConversationView, error) {
	return answer(s, r, s.views[0])
}

func (s *store) GetConversations(_ context.Context, r *repopb.GetConversationsRequest) (*repopb.GetConversationsResponse, error) {
	return answer(s, r, &repopb.GetConversationsResponse{Conversations: s.views})
}

func (s *store) UpdateConversation(_ context.Context, r *repopb.UpdateConversationRequest) (*repopb.ConversationView, error) {
	return answer(s, r, s.views[0])
}

func (s *store) CreateGroup(_ context.Context, r *repopb.CreateGroupRequest) (*repopb.CreateGroupResponse, error) {
	return answer(s, r, &repopb.CreateGroupResponse{Change: s.change})
}

func (s *store) GetGroup(_ context.Context, r *repopb.GetGroupRequest) (*repopb.Group, error) {
	return answer(s, r, s.group)
}

func (s *store) UpdateGroup(_ context.Context, r *repopb.UpdateGroupRequest) (*repopb.GroupChange, error) {
	return answer(s, r, s.change)
}

func (s *store) DissolveGroup(_ context.Context, r *repopb.DissolveGroupRequest) (*repopb.GroupChange, error) {
	return answer(s, r, s.change)
}

func (s *store) AddGroupMember(_ context.Context, r *repopb.AddGroupMemberRequest) (*repopb.GroupChange, error) {
	return answer(s, r, s.change)
}

func (s *store) RemoveGroupMember(_ context.Context, r *repopb.RemoveGroupMemberRequest) (*repopb.GroupChange, error) {
	if s.stay != nil {
		return nil, s.stay
	}
	return answer(s, r, s.change)
}

func (s *store) UpdateGroupMember(_ context.Context, r *repopb.UpdateGroupMemberRequest) (*repopb.GroupChange, error) {
	return answer(s, r, s.change)
}

func (s *store) TransferGroup(_ context.Context, r *repopb.TransferGroupRequest) (*repopb.GroupChange, error) {
	return answer(s, r, s.change)
}

func (s *store) GetGroupMembers(_ context.Context, r *repopb.GetGroupMembersRequest) (*repopb.GetGroupMembersResponse, error) {
	return answer(s, r, &repopb.GetGroupMembersResponse{Members: []*repopb.Member{{UserId: r.GetAfterUserId() + 1}}})
}

func (s *store) CreateJoinRequest(_ context.Context, r *repopb.CreateJoinRequestRequest) (*repopb.Empty, error) {
	return answer(s, r, &repopb.Empty{})
}

func (s *store) DecideJoinRequest(_ context.Context, r *repopb.DecideJoinRequestRequest) (*repopb.GroupChange, error) {
	return answer(s, r, s.change)
}
