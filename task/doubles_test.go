package task

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
	"github.com/gochat-im/gochat/task/taskpb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store is a repo in memory, as far as task uses one.
type store struct {
	repopb.RepoServiceServer

	mu      sync.Mutex
	down    error // answer of every call
	room    int   // jobs that it takes before it is down; 0: any number
	logs    map[int64][]*repopb.Event
	keys    map[string]*repopb.Event
	routes  map[int64]*repopb.Route
	members map[int64][]int64 // of large groups
	jobs    map[int64]*storedJob
	nextID  int64
	outbox  map[int64][]*repopb.OutboxRange
	views   map[pushTarget]*repopb.ConversationView
	user    repopb.UserStatus
	lenient bool // the muted may write
	created int  // calls of CreateMessages
	queries int  // calls of ClaimJobs
	routed  int  // calls of GetRoutes
}

type storedJob struct {
	job   *repopb.Job
	lease int64
	dead  bool
}

func newStore() *store {
	return &store{
		logs: map[int64][]*repopb.Event{}, keys: map[string]*repopb.Event{}, routes: map[int64]*repopb.Route{},
		members: map[int64][]int64{}, jobs: map[int64]*storedJob{}, outbox: map[int64][]*repopb.OutboxRange{},
		views: map[pushTarget]*repopb.ConversationView{}, user: repopb.UserStatus_USER_STATUS_ACTIVE,
	}
}

func (s *store) lock() func() {
	s.mu.Lock()
	return s.mu.Unlock
}

func (s *store) setDown(err error) {
	defer s.lock()()
	s.down = err
}

func (s *store) group(id int64, members ...int64) {
	s.routes[id] = &repopb.Route{ConversationId: id, Type: repopb.ConversationType_CONVERSATION_TYPE_GROUP, MemberIds: members}
}

// commit appends an event as another role would.
func (s *store) commit(conversation int64, kind repopb.EventKind) *repopb.Event {
	defer s.lock()()
	return s.appendLocked(&repopb.Event{ConversationId: conversation, Kind: kind, UserId: 1})
}

func (s *store) appendLocked(e *repopb.Event) *repopb.Event {
	e.Seq = int64(len(s.logs[e.ConversationId])) + 1
	e.CreatedAt = time.Now().UnixMilli()
	s.logs[e.ConversationId] = append(s.logs[e.ConversationId], e)
	return e
}

func (s *store) CreateMessages(_ context.Context, req *repopb.CreateMessagesRequest) (*repopb.CreateMessagesResponse, error) {
	defer s.lock()()
	if s.down != nil {
		return nil, s.down
	}
	s.created++
	out := &repopb.CreateMessagesResponse{}
	ranges := map[int64]*repopb.OutboxRange{}
	for _, m := range req.Messages {
		if old := s.keys[m.ClientMsgId]; old != nil {
			out.Results = append(out.Results, &repopb.CreateMessageResult{Event: old, Duplicate: true})
			continue
		}
		if m.Content == "muted" && !s.lenient {
			out.Results = append(out.Results, &repopb.CreateMessageResult{Code: int32(errs.Forbidden), Error: "you are muted"})
			continue
		}
		e := s.appendLocked(&repopb.Event{
			ConversationId: m.ConversationId, Kind: repopb.EventKind_EVENT_KIND_MESSAGE, UserId: m.SenderId, Content: m.Content, ClientMsgId: m.ClientMsgId,
		})
		s.keys[m.ClientMsgId] = e
		out.Results = append(out.Results, &repopb.CreateMessageResult{Event: e})
		if ranges[m.ConversationId] == nil {
			ranges[m.ConversationId] = &repopb.OutboxRange{ConversationId: m.ConversationId, FromSeq: e.Seq}
			if route := s.routes[m.ConversationId]; route != nil {
				out.Routes = append(out.Routes, route)
			}
		}
		ranges[m.ConversationId].ToSeq = e.Seq
	}
	if req.PushOutbox && len(ranges) > 0 {
		s.nextID++
		out.OutboxId = s.nextID
		s.outbox[out.OutboxId] = slices.Collect(maps.Values(ranges))
	}
	return out, nil
}

func (s *store) GetRoutes(_ context.Context, req *repopb.GetRoutesRequest) (*repopb.GetRoutesResponse, error) {
	defer s.lock()()
	s.routed++
	out := &repopb.GetRoutesResponse{}
	for _, id := range req.ConversationIds {
		if r := s.routes[id]; r != nil {
			out.Routes = append(out.Routes, r)
		}
	}
	return out, s.down
}

func (s *store) GetGroupMembers(_ context.Context, req *repopb.GetGroupMembersRequest) (*repopb.GetGroupMembersResponse, error) {
	defer s.lock()()
	out := &repopb.GetGroupMembersResponse{}
	for _, id := range s.members[req.GroupId] {
		if id <= req.AfterUserId {
			continue
		}
		if len(out.Members) == int(req.Limit) {
			out.HasMore = true
			break
		}
		out.Members = append(out.Members, &repopb.Member{UserId: id})
	}
	return out, s.down
}

func (s *store) CreateJobs(_ context.Context, req *repopb.CreateJobsRequest) (*repopb.Empty, error) {
	defer s.lock()()
	if s.room != 0 && len(s.jobs)+len(req.Jobs) > s.room {
		return nil, errs.New(errs.Unavailable, "no room")
	}
	if s.down != nil {
		return nil, s.down
	}
	for _, j := range req.Jobs {
		taken := slices.ContainsFunc(slices.Collect(maps.Values(s.jobs)), func(o *storedJob) bool {
			return j.Key != "" && o.job.Key == j.Key && !o.dead
		})
		if !taken {
			s.nextID++
			s.jobs[s.nextID] = &storedJob{job: &repopb.Job{Id: s.nextID, Kind: j.Kind, Key: j.Key, Payload: j.Payload, DueAt: j.DueAt}}
		}
	}
	delete(s.outbox, req.DoneOutboxId)
	return &repopb.Empty{}, nil
}

func (s *store) ClaimJobs(_ context.Context, req *repopb.ClaimJobsRequest) (*repopb.ClaimJobsResponse, error) {
	defer s.lock()()
	s.queries++
	if s.down != nil {
		return nil, s.down
	}
	now := time.Now().UnixMilli()
	out := &repopb.ClaimJobsResponse{}
	for _, id := range slices.Sorted(maps.Keys(s.jobs)) {
		j := s.jobs[id]
		if j.dead || j.job.DueAt > now || j.lease > now || len(out.Jobs) == int(req.Limit) {
			continue
		}
		j.lease = req.LeaseUntil
		j.job.Attempts++
		out.Jobs = append(out.Jobs, &repopb.Job{
			Id: id, Kind: j.job.Kind, Key: j.job.Key, Payload: j.job.Payload, DueAt: j.job.DueAt,
			Attempts: j.job.Attempts, LastError: j.job.LastError,
		})
	}
	return out, nil
}

func (s *store) FinishJobs(_ context.Context, req *repopb.FinishJobsRequest) (*repopb.Empty, error) {
	defer s.lock()()
	if s.down != nil {
		return nil, s.down
	}
	for _, o := range req.Outcomes {
		if o.Done {
			delete(s.jobs, o.Id)
		} else if j := s.jobs[o.Id]; j != nil {
			j.dead, j.job.DueAt, j.job.LastError, j.lease = o.Dead, o.DueAt, o.Error, 0
		}
	}
	return &repopb.Empty{}, nil
}

func (s *store) RequeueJobs(context.Context, *repopb.RequeueJobsRequest) (*repopb.RequeueJobsResponse, error) {
	defer s.lock()()
	if s.down != nil {
		return nil, s.down
	}
	out := &repopb.RequeueJobsResponse{}
	for _, j := range s.jobs {
		if j.dead {
			j.dead, j.job.Attempts, j.job.DueAt = false, 0, time.Now().UnixMilli()
			out.Requeued++
		}
	}
	return out, nil
}

func (s *store) ListDeadJobs(context.Context, *repopb.ListDeadJobsRequest) (*repopb.ListDeadJobsResponse, error) {
	defer s.lock()()
	if s.down != nil {
		return nil, s.down
	}
	out := &repopb.ListDeadJobsResponse{}
	for _, j := range s.jobs {
		if j.dead {
			out.Jobs = append(out.Jobs, j.job)
		}
	}
	return out, nil
}

func (s *store) Stats(ctx context.Context, _ *repopb.Empty) (*repopb.StatsResponse, error) {
	dead, err := s.ListDeadJobs(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer s.lock()()
	return &repopb.StatsResponse{PendingJobs: int64(len(s.jobs) - len(dead.Jobs)), DeadJobs: int64(len(dead.Jobs))}, s.down
}

func (s *store) ListOutbox(_ context.Context, req *repopb.ListOutboxRequest) (*repopb.ListOutboxResponse, error) {
	defer s.lock()()
	out := &repopb.ListOutboxResponse{}
	for id, ranges := range s.outbox {
		if len(out.Entries) < int(req.Limit) {
			out.Entries = append(out.Entries, &repopb.OutboxEntry{Id: id, Ranges: ranges})
		}
	}
	return out, s.down
}

func (s *store) GetConversation(_ context.Context, req *repopb.GetConversationRequest) (*repopb.ConversationView, error) {
	defer s.lock()()
	if v := s.views[pushTarget{req.ConversationId, req.UserId}]; v != nil {
		return v, nil
	}
	return nil, errs.New(errs.NotFound, "not found")
}

func (s *store) GetUser(_ context.Context, req *repopb.GetUserRequest) (*repopb.User, error) {
	defer s.lock()()
	return &repopb.User{Id: req.Id, Status: s.user}, nil
}

func (s *store) GetUnread(context.Context, *repopb.GetUnreadRequest) (*repopb.GetUnreadResponse, error) {
	return &repopb.GetUnreadResponse{Total: 42}, nil
}

// keysOf returns the keys of the live jobs, ascending.
func (s *store) keysOf() []string {
	defer s.lock()()
	var keys []string
	for _, j := range s.jobs {
		if !j.dead {
			keys = append(keys, j.job.Key)
		}
	}
	slices.Sort(keys)
	return keys
}

func (s *store) outboxLen() int {
	defer s.lock()()
	return len(s.outbox)
}

func (s *store) claims() int {
	defer s.lock()()
	return s.queries
}

// sockets is a gateway that records what it gets.
type sockets struct {
	gatewaypb.GatewayServiceServer

	mu       sync.Mutex
	requests []*gatewaypb.DeliverRequest
	online   []int64
	down     error
}

func (g *sockets) Deliver(_ context.Context, req *gatewaypb.DeliverRequest) (*gatewaypb.DeliverResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.down != nil {
		return nil, g.down
	}
	g.requests = append(g.requests, req)
	out := &gatewaypb.DeliverResponse{}
	if req.ReportOffline {
		for _, d := range req.Deliveries {
			off := &gatewaypb.OfflineUsers{}
			for _, u := range d.UserIds {
				if !slices.Contains(g.online, u) {
					off.UserIds = append(off.UserIds, u)
				}
			}
			out.Offline = append(out.Offline, off)
		}
	}
	return out, nil
}

func (g *sockets) Stats(_ context.Context, req *gatewaypb.StatsRequest) (*gatewaypb.StatsResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := &gatewaypb.StatsResponse{}
	for _, u := range req.OnlineOf {
		if slices.Contains(g.online, u) {
			out.Online = append(out.Online, u)
		}
	}
	return out, nil
}

func (g *sockets) results() (all []*gatewaypb.Result) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.requests {
		all = append(all, r.Results...)
	}
	return all
}

func (g *sockets) deliveries() (all []*gatewaypb.Delivery) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.requests {
		all = append(all, r.Deliveries...)
	}
	return all
}

func (g *sockets) seqs(conversation int64) (seqs []int64) {
	for _, d := range g.deliveries() {
		if d.GetEvent().ConversationId == conversation {
			seqs = append(seqs, d.GetEvent().Seq)
		}
	}
	return seqs
}

// topics is a bus that runs each record's handler at once.
type topics struct {
	bus.Bus

	mu        sync.Mutex
	handlers  map[string]bus.Handler
	topic     map[string]bus.Topic
	published map[string][]bus.Record
	full      map[string]bool
}

func newTopics() *topics {
	return &topics{handlers: map[string]bus.Handler{}, topic: map[string]bus.Topic{}, published: map[string][]bus.Record{}, full: map[string]bool{}}
}

func (b *topics) Subscribe(t bus.Topic, h bus.Handler) error {
	b.handlers[t.Name], b.topic[t.Name] = h, t
	return nil
}

func (b *topics) Publish(ctx context.Context, topic string, records ...bus.Record) error {
	b.mu.Lock()
	full := b.full[topic]
	if !full {
		b.published[topic] = append(b.published[topic], records...)
	}
	b.mu.Unlock()
	if full {
		return errs.New(errs.Unavailable, "full")
	}
	if h := b.handlers[topic]; h != nil {
		return h(ctx, records)
	}
	return nil
}

func (b *topics) count(topic string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.published[topic])
}

// fixture is a task role on doubles.
type fixture struct {
	*Service
	store   *store
	sockets *sockets
	topics  *topics
}

func newFixture(t testing.TB, change func(*Config)) *fixture {
	t.Helper()
	cfg := DefaultConfig()
	if change != nil {
		change(&cfg)
	}
	f := &fixture{store: newStore(), sockets: &sockets{}, topics: newTopics()}
	var err error
	if f.Service, err = New(cfg, f.store, f.sockets, f.topics, slog.New(slog.DiscardHandler), nil); err != nil {
		t.Fatalf("New: %v", err)
	}
	return f
}

func (f *fixture) persistAll(t testing.TB, records ...*taskpb.Persist) {
	t.Helper()
	if err := f.handlePersist(t.Context(), records...); err != nil {
		t.Fatalf("handle: %v", err)
	}
}

func (f *fixture) handlePersist(ctx context.Context, records ...*taskpb.Persist) error {
	batch := make([]bus.Record, len(records))
	for i, r := range records {
		batch[i] = bus.Record{Key: r.GetMessage().GetConversationId(), Message: r}
	}
	return f.persist.handle(ctx, batch)
}

// message is a record of sender's message, with the origin "socket <sender>".
func message(conversation, sender int64, key string) *taskpb.Persist {
	return &taskpb.Persist{
		Origin:  &gatewaypb.Origin{GatewayId: "g", ConnectionId: sender},
		Message: &repopb.NewMessage{ConversationId: conversation, SenderId: sender, ClientMsgId: key, Content: "text " + key, MessageType: "text"},
	}
}

func committed(e *repopb.Event) *taskpb.Persist {
	return &taskpb.Persist{Committed: &taskpb.Committed{Event: e}}
}

func equal[T cmp.Ordered](t testing.TB, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}
