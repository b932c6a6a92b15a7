package task

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/id"
	"github.com/gochat-im/gochat/repo/repopb"
	"github.com/gochat-im/gochat/task/taskpb"
)

// pushKind is the kind of the jobs that tell an offline user of unread messages.
const pushKind = "push"

// pusher runs push jobs. A job holds no message: what it sends is what is true when it runs.
type pusher struct {
	cfg         PushConfig
	callTimeout time.Duration
	repo        repopb.RepoServiceServer
	gateway     gatewaypb.GatewayServiceServer
	webhook     *webhook // nil: push is off, and jobs from before are dropped
	metrics     *metrics
}

// notice is what the webhook gets. It never holds what was written.
type notice struct {
	UserID         string `json:"user_id"`
	ConversationID string `json:"conversation_id"`
	LastSeq        int64  `json:"last_seq"`
	Unread         int64  `json:"unread"`       // in this conversation
	TotalUnread    int64  `json:"total_unread"` // the badge
	CollapseKey    string `json:"collapse_key"` // a later notice of the same key replaces this one
}

// run implements jobFunc.
func (p *pusher) run(ctx context.Context, job *repopb.Job) (finished func(context.Context) error, err error) {
	var payload taskpb.PushJob
	if err := proto.Unmarshal(job.Payload, &payload); err != nil {
		return nil, fmt.Errorf("decode push job: %w", err)
	}
	target := pushTarget{payload.ConversationId, payload.UserId}
	if p.webhook == nil {
		return nil, nil
	}
	n, err := p.notice(ctx, target)
	if err != nil || n == nil {
		if err == nil {
			p.metrics.pushes.WithLabelValues("skipped").Inc()
		}
		return nil, err
	}
	if err := p.webhook.post(ctx, job.Id, n); err != nil {
		p.metrics.pushes.WithLabelValues("failed").Inc()
		return nil, err
	}
	p.metrics.pushes.WithLabelValues("sent").Inc()
	return func(ctx context.Context) error { return p.again(ctx, target, n.LastSeq) }, nil
}

// notice returns what to tell the user; nil when there is nothing to tell any more.
func (p *pusher) notice(ctx context.Context, t pushTarget) (*notice, error) {
	ctx, cancel := context.WithTimeout(ctx, p.callTimeout)
	defer cancel()
	view, err := p.repo.GetConversation(ctx, &repopb.GetConversationRequest{ConversationId: t.conversation, UserId: t.user})
	if errs.CodeOf(err) == errs.NotFound {
		return nil, nil // not a member any more
	}
	if err != nil {
		return nil, fmt.Errorf("get conversation: %w", err)
	}
	if view.Unread <= 0 || view.Muted {
		return nil, nil
	}
	user, err := p.repo.GetUser(ctx, &repopb.GetUserRequest{Id: t.user})
	if err != nil {
		return nil, fmt.Errorf("get user: %w", err)
	}
	if user.Status == repopb.UserStatus_USER_STATUS_DISABLED {
		return nil, nil
	}
	online, err := onlineOf(ctx, p.gateway, p.callTimeout, []int64{t.user})
	if err != nil {
		return nil, err
	}
	if len(online) > 0 {
		return nil, nil
	}
	unread, err := p.repo.GetUnread(ctx, &repopb.GetUnreadRequest{UserId: t.user})
	if err != nil {
		return nil, fmt.Errorf("get unread: %w", err)
	}
	return &notice{
		UserID: id.Format(t.user), ConversationID: id.Format(t.conversation), CollapseKey: id.Format(t.conversation),
		LastSeq: view.Conversation.GetLastSeq(), Unread: view.Unread, TotalUnread: unread.Total,
	}, nil
}

// again queues another push when something came while the last one was on its
// way: the job that stood for it is deleted by now, and its key kept others out.
func (p *pusher) again(ctx context.Context, t pushTarget, sent int64) error {
	ctx, cancel := context.WithTimeout(ctx, p.callTimeout)
	defer cancel()
	view, err := p.repo.GetConversation(ctx, &repopb.GetConversationRequest{ConversationId: t.conversation, UserId: t.user})
	if errs.CodeOf(err) == errs.NotFound {
		return nil
	}
	if err != nil {
		return fmt.Errorf("get conversation: %w", err)
	}
	if view.Conversation.GetLastSeq() <= sent || view.Unread <= 0 || view.Muted {
		return nil
	}
	job, err := newPushJob(t, time.Now().Add(p.cfg.Delay))
	if err != nil {
		return err
	}
	if _, err := p.repo.CreateJobs(ctx, &repopb.CreateJobsRequest{Jobs: []*repopb.Job{job}}); err != nil {
		return fmt.Errorf("create the next push job: %w", err)
	}
	return nil
}
