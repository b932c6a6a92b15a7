// Package task is the role of asynchronous work: it stores messages, delivers
// what was committed, walks large groups, runs offline push, and runs durable
// jobs at least once.
package task

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
	"github.com/gochat-im/gochat/task/taskpb"
)

// Service implements taskpb.TaskServiceServer, and handles task's topics.
type Service struct {
	cfg     Config
	repo    repopb.RepoServiceServer
	metrics *metrics
	persist *persister
	queue   *pushQueue
	graves  *graveyard
	runner  *runner
	webhook *webhook // nil: push is off

	mu       sync.Mutex // guards what follows
	started  bool
	claiming context.CancelFunc
	work     context.CancelFunc
	loops    sync.WaitGroup
}

var _ taskpb.TaskServiceServer = (*Service)(nil)

// New makes the role and subscribes to its topics, so it comes before the bus
// starts. Start begins the jobs. reg may be nil.
func New(cfg Config, repo repopb.RepoServiceServer, gw gatewaypb.GatewayServiceServer, b bus.Bus, log *slog.Logger, reg prometheus.Registerer) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("task.%w", err)
	}
	m := newMetrics(reg)
	s := &Service{cfg: cfg, repo: repo, metrics: m}
	var planner *pushPlanner
	if cfg.Push.enabled() {
		s.webhook = newWebhook(cfg.Push)
		planner = &pushPlanner{bus: b, metrics: m, log: log}
	}
	s.persist = &persister{
		cfg: cfg.Persist, walkBatch: cfg.WalkBatch, callTimeout: cfg.CallTimeout,
		repo: repo, gateway: gw, push: planner, metrics: m, log: log,
	}
	s.queue = &pushQueue{
		cfg: cfg.Push, walkBatch: cfg.WalkBatch, callTimeout: cfg.CallTimeout, repo: repo, gateway: gw, bus: b, log: log,
	}
	s.graves = &graveyard{bus: b, repo: repo, callTimeout: cfg.CallTimeout, metrics: m}
	kinds := s.graves.kinds()
	pushes := &pusher{cfg: cfg.Push, callTimeout: cfg.CallTimeout, repo: repo, gateway: gw, webhook: s.webhook, metrics: m}
	kinds[pushKind] = jobKind{run: pushes.run, attempts: cfg.Push.Attempts, backoff: cfg.Push.Backoff, maxBackoff: cfg.Push.MaxBackoff}
	s.runner = newRunner(cfg.Jobs, cfg.CallTimeout, repo, kinds, m, log)
	s.graves.wake = s.runner.wake
	if err := s.subscribe(b); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Service) subscribe(b bus.Bus) error {
	bury := s.graves.onDead(taskpb.PersistTopic)
	for _, t := range []struct {
		topic  bus.Topic
		handle bus.Handler
	}{
		{bus.Topic{
			Name: taskpb.PersistTopic, New: requeueable[taskpb.PersistTopic], MaxBatch: s.cfg.Persist.MaxBatch,
			OnDead: func(ctx context.Context, r bus.Record, cause error) error { return s.persist.dead(ctx, r, cause, bury) },
		}, s.persist.handle},
		{bus.Topic{
			Name: taskpb.GroupTopic, New: requeueable[taskpb.GroupTopic], OnDead: s.graves.onDead(taskpb.GroupTopic),
		}, s.queue.handleWalks},
		{bus.Topic{
			Name: taskpb.PushTopic, New: requeueable[taskpb.PushTopic], OnDead: s.graves.onDead(taskpb.PushTopic),
		}, s.queue.handleCandidates},
		{bus.Topic{
			Name: taskpb.DeadLetterTopic, New: func() proto.Message { return new(taskpb.DeadLetter) },
		}, s.graves.handle},
	} {
		if err := b.Subscribe(t.topic, t.handle); err != nil {
			return fmt.Errorf("subscribe to %s: %w", t.topic.Name, err)
		}
	}
	return nil
}

// Start begins to run jobs and to replay the outbox. The end of ctx does not end them; Stop does.
func (s *Service) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started {
		return errors.New("start task: already started")
	}
	s.started = true
	var claiming, work context.Context
	work, s.work = context.WithCancel(context.WithoutCancel(ctx))
	claiming, s.claiming = context.WithCancel(work)
	s.loops.Go(func() { s.runner.run(claiming, work) })
	if s.cfg.Push.enabled() {
		s.loops.Go(func() { s.queue.replayLoop(claiming) })
	}
	return nil
}

// Stop claims no more jobs and waits for those that run; when ctx ends they
// are cut off, and run again after their lease.
func (s *Service) Stop(ctx context.Context) error {
	s.mu.Lock()
	started, claiming, work := s.started, s.claiming, s.work
	s.mu.Unlock()
	if !started {
		return nil
	}
	claiming()
	done := make(chan struct{})
	go func() {
		s.loops.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("stop task: jobs were cut off: %w", context.Cause(ctx))
	}
	work()
	<-done
	if s.webhook != nil {
		s.webhook.close()
	}
	return err
}

// Submit implements taskpb.TaskServiceServer.
func (s *Service) Submit(ctx context.Context, req *taskpb.SubmitRequest) (*repopb.Empty, error) {
	job := req.GetJob()
	if job.GetKind() == "" {
		return nil, errs.InvalidField("kind", "is required")
	}
	if _, ok := s.runner.kinds[job.Kind]; !ok {
		return nil, errs.New(errs.Conflict, "there is no job of this kind").With("kind", job.Kind)
	}
	if _, err := s.repo.CreateJobs(ctx, &repopb.CreateJobsRequest{Jobs: []*repopb.Job{job}}); err != nil {
		return nil, fmt.Errorf("create job: %w", err)
	}
	if job.DueAt <= time.Now().UnixMilli() {
		s.runner.wake()
	}
	return &repopb.Empty{}, nil
}

// Stats implements taskpb.TaskServiceServer.
func (s *Service) Stats(ctx context.Context, _ *repopb.Empty) (*taskpb.StatsResponse, error) {
	stored, err := s.repo.Stats(ctx, &repopb.Empty{})
	if err != nil {
		return nil, fmt.Errorf("get the store's stats: %w", err)
	}
	return &taskpb.StatsResponse{
		PendingJobs: stored.PendingJobs, DeadJobs: stored.DeadJobs,
		PersistedMessages: s.metrics.persisted.Load(), PersistBatches: s.metrics.batches.Load(),
	}, nil
}

// ListDead implements taskpb.TaskServiceServer.
func (s *Service) ListDead(ctx context.Context, req *repopb.ListDeadJobsRequest) (*repopb.ListDeadJobsResponse, error) {
	return s.repo.ListDeadJobs(ctx, req)
}

// Requeue implements taskpb.TaskServiceServer.
func (s *Service) Requeue(ctx context.Context, req *repopb.RequeueJobsRequest) (*repopb.RequeueJobsResponse, error) {
	answer, err := s.repo.RequeueJobs(ctx, req)
	if err == nil {
		s.runner.wake()
	}
	return answer, err
}
