package task

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/trace"
	"github.com/gochat-im/gochat/repo/repopb"
	"github.com/gochat-im/gochat/task/taskpb"
)

// jobsPerCall bounds the jobs that one transaction creates.
const jobsPerCall = 500

// pushQueue turns candidates into durable push jobs, one for each user of a
// conversation at a time: messages that come while it waits need no other.
type pushQueue struct {
	cfg         PushConfig
	walkBatch   int
	callTimeout time.Duration
	repo        repopb.RepoServiceServer
	gateway     gatewaypb.GatewayServiceServer
	bus         bus.Bus
	log         *slog.Logger
	waiting     waitingPushes
}

// handleCandidates is the handler of im-push-topic.
func (q *pushQueue) handleCandidates(ctx context.Context, batch []bus.Record) error {
	var pending []*repopb.Job
	for _, r := range batch {
		c, ok := r.Message.(*taskpb.PushCandidates)
		if !ok {
			return errs.New(errs.Invalid, "record of %s holds no candidates", taskpb.PushTopic)
		}
		if !q.cfg.enabled() {
			continue
		}
		jobs, err := q.jobs(c.ConversationId, c.UserIds)
		if err != nil {
			return err
		}
		pending = append(pending, jobs...)
		if c.OutboxId != 0 || len(pending) >= jobsPerCall {
			if err := q.create(ctx, pending, c.OutboxId); err != nil {
				return err
			}
			pending = nil
		}
	}
	return q.create(ctx, pending, 0)
}

// handleWalks is the handler of im-group-topic. It walks each group of the
// batch once. That the outbox entries are done is told through the push topic,
// behind the candidates of the same entries.
func (q *pushQueue) handleWalks(ctx context.Context, batch []bus.Record) error {
	var groups, outboxes []int64
	for _, r := range batch {
		w, ok := r.Message.(*taskpb.GroupFanout)
		if !ok {
			return errs.New(errs.Invalid, "record of %s holds no walk", taskpb.GroupTopic)
		}
		groups = append(groups, w.ConversationId)
		if w.OutboxId != 0 {
			outboxes = append(outboxes, w.OutboxId)
		}
	}
	if !q.cfg.enabled() {
		return nil
	}
	slices.Sort(groups)
	for _, group := range slices.Compact(groups) {
		if err := q.walk(ctx, group); err != nil {
			return err
		}
	}
	for _, outbox := range outboxes {
		end := bus.Record{Key: outbox, Message: &taskpb.PushCandidates{OutboxId: outbox}, Trace: trace.RefOf(ctx)}
		err := q.bus.Publish(ctx, taskpb.PushTopic, end)
		if err != nil {
			return fmt.Errorf("publish the end of a walk: %w", err)
		}
	}
	return nil
}

// walk creates the jobs of a large group's members that have no socket.
func (q *pushQueue) walk(ctx context.Context, group int64) error {
	err := walkMembers(ctx, q.repo, group, q.walkBatch, q.callTimeout, func(page []int64) error {
		return q.createOffline(ctx, group, page)
	})
	if errs.CodeOf(err) == errs.NotFound {
		return nil // dissolved meanwhile
	}
	return err
}

// createOffline creates the jobs of those users that have no socket.
func (q *pushQueue) createOffline(ctx context.Context, conversation int64, users []int64) error {
	online, err := onlineOf(ctx, q.gateway, q.callTimeout, users)
	if err != nil {
		return err
	}
	offline := slices.DeleteFunc(slices.Clone(users), func(user int64) bool { return slices.Contains(online, user) })
	jobs, err := q.jobs(conversation, offline)
	if err != nil {
		return err
	}
	return q.create(ctx, jobs, 0)
}

// jobs makes the jobs of users that have none waiting.
func (q *pushQueue) jobs(conversation int64, users []int64) ([]*repopb.Job, error) {
	jobs := make([]*repopb.Job, 0, len(users))
	for _, user := range users {
		target := pushTarget{conversation, user}
		if q.waiting.has(target) {
			continue
		}
		job, err := newPushJob(target, time.Now().Add(q.cfg.Delay))
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, job)
	}
	return jobs, nil
}

func newPushJob(target pushTarget, due time.Time) (*repopb.Job, error) {
	payload, err := proto.Marshal(&taskpb.PushJob{ConversationId: target.conversation, UserId: target.user})
	if err != nil {
		return nil, fmt.Errorf("encode push job: %w", err)
	}
	return &repopb.Job{
		Kind:    pushKind,
		Key:     "push:" + strconv.FormatInt(target.conversation, 10) + ":" + strconv.FormatInt(target.user, 10),
		Payload: payload, DueAt: due.UnixMilli(),
	}, nil
}

// create stores jobs; the last call deletes the outbox entry with them.
func (q *pushQueue) create(ctx context.Context, jobs []*repopb.Job, outbox int64) error {
	for len(jobs) > 0 || outbox != 0 {
		n := min(len(jobs), jobsPerCall)
		req := &repopb.CreateJobsRequest{Jobs: jobs[:n]}
		if n == len(jobs) {
			req.DoneOutboxId, outbox = outbox, 0
		}
		if err := q.createPart(ctx, req); err != nil {
			return fmt.Errorf("create push jobs: %w", err)
		}
		jobs = jobs[n:]
	}
	return nil
}

func (q *pushQueue) createPart(ctx context.Context, req *repopb.CreateJobsRequest) error {
	ctx, cancel := context.WithTimeout(ctx, q.callTimeout)
	defer cancel()
	if _, err := q.repo.CreateJobs(ctx, req); err != nil {
		return err
	}
	for _, job := range req.Jobs {
		var payload taskpb.PushJob
		if proto.Unmarshal(job.Payload, &payload) == nil {
			q.waiting.add(pushTarget{payload.ConversationId, payload.UserId}, job.DueAt)
		}
	}
	return nil
}

// pushTarget is one member of one conversation.
type pushTarget struct{ conversation, user int64 }

// waitingPushes remembers jobs that are stored and not due yet, so that a busy
// conversation does not ask the store for each message. Forgetting one costs a call only.
type waitingPushes struct {
	mu  sync.Mutex
	due map[pushTarget]int64 // guarded by mu: unix ms
}

const maxWaitingPushes = 100_000

func (w *waitingPushes) has(t pushTarget) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().UnixMilli() < w.due[t]
}

func (w *waitingPushes) add(t pushTarget, due int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.due == nil || len(w.due) >= maxWaitingPushes {
		w.due = map[pushTarget]int64{}
	}
	w.due[t] = due
}
