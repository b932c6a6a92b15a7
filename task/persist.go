package task

import (
	"context"
	"log/slog"
	"time"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/trace"
	"github.com/gochat-im/gochat/repo/repopb"
	"github.com/gochat-im/gochat/task/taskpb"
)

// persister is the handler of im-persist-topic: it stores messages, answers
// their senders and delivers what was committed. The order of a conversation is
// kept by the gateways, so several processes may deliver its events.
//
// A batch may be handled again after a failure: a message that was stored then
// comes back as a duplicate, is acknowledged and delivered again, and gateways
// drop what they have delivered. A refusal might turn out otherwise then, so
// senders are told only once the batch will not come again.
type persister struct {
	cfg         PersistConfig
	walkBatch   int
	callTimeout time.Duration
	repo        repopb.RepoServiceServer
	gateway     gatewaypb.GatewayServiceServer
	push        *pushPlanner // nil: push is off
	metrics     *metrics
	log         *slog.Logger

	refused  refusals
	store    outage // of the store
	gateways outage // of the gateways
}

// handle implements bus.Handler.
func (p *persister) handle(ctx context.Context, batch []bus.Record) error {
	in, err := readPersist(batch)
	if err != nil {
		return err
	}
	stored, err := p.create(ctx, in)
	if err != nil {
		if !retryable(err) || !p.store.over(p.cfg.GiveUpAfter) {
			return err
		}
		p.log.ErrorContext(ctx, "the store is unavailable, messages are refused", "messages", len(in.messages), "error", err)
		p.refuse(ctx, in.origins, in.messages, errs.New(errs.Unavailable, "the message could not be stored, try again").RetryAfter(time.Second))
		in.messages, in.origins, stored = nil, nil, &repopb.CreateMessagesResponse{}
	}
	plan, planErr := p.plan(ctx, in, stored)
	if err := p.deliver(ctx, in, stored, plan); err != nil {
		return err
	}
	if planErr != nil && retryable(planErr) && !p.store.over(p.cfg.GiveUpAfter) {
		return planErr
	}
	if planErr != nil {
		p.log.ErrorContext(ctx, "events were not delivered, clients will pull them", "error", planErr)
	}
	return nil
}

// create stores the messages of a batch, in one call.
func (p *persister) create(ctx context.Context, in persistBatch) (*repopb.CreateMessagesResponse, error) {
	if len(in.messages) == 0 {
		return &repopb.CreateMessagesResponse{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.callTimeout)
	defer cancel()
	p.metrics.waited(in.origins)
	refused, messages := p.refused.split(in.messages)
	if len(messages) == 0 {
		return &repopb.CreateMessagesResponse{Results: merge(refused, nil)}, nil
	}
	start := time.Now()
	stored, err := p.repo.CreateMessages(ctx, &repopb.CreateMessagesRequest{Messages: messages, PushOutbox: p.push != nil})
	if err != nil {
		if retryable(err) {
			p.store.failed()
		}
		return nil, err
	}
	if len(stored.Results) != len(messages) {
		return nil, errs.New(errs.Internal, "store answered %d results for %d messages", len(stored.Results), len(messages))
	}
	p.store.ended()
	p.metrics.stored(len(messages), time.Since(start))
	p.refused.note(messages, stored.Results)
	stored.Results = merge(refused, stored.Results)
	p.tell(ctx, in, stored)
	return stored, nil
}

// tell tells, in a debug log, what became of each message.
func (p *persister) tell(ctx context.Context, in persistBatch, stored *repopb.CreateMessagesResponse) {
	if !p.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	for i, r := range stored.Results {
		m := in.messages[i]
		p.log.LogAttrs(ctx, slog.LevelDebug, "message persisted", slog.String("request_id", m.GetRequestId()),
			slog.Int64("conversation_id", m.GetConversationId()), slog.Int64("seq", r.GetEvent().GetSeq()),
			slog.Bool("duplicate", r.GetDuplicate()), slog.Int("code", int(r.GetCode())), in.traces[i].Attr())
	}
}

// deliver hands the answers and the plan to the gateways, then starts the push
// decision.
func (p *persister) deliver(ctx context.Context, in persistBatch, stored *repopb.CreateMessagesResponse, plan *plan) error {
	results, refused := p.results(in, stored)
	if len(refused) > 0 {
		bus.AfterDone(ctx, func(ctx context.Context) { p.answer(ctx, refused) })
	}
	var offline []*gatewaypb.OfflineUsers
	if len(results) > 0 || len(plan.deliveries) > 0 {
		report := p.push != nil && stored.OutboxId != 0
		call, cancel := context.WithTimeout(ctx, p.callTimeout)
		answer, err := p.gateway.Deliver(call, &gatewaypb.DeliverRequest{
			Results: results, Deliveries: plan.deliveries, ReportOffline: report,
		})
		cancel()
		if err != nil {
			p.gateways.failed()
			if !p.gateways.over(p.cfg.GiveUpAfter) {
				return errs.Wrap(errs.Unavailable, err, "deliver to the gateways")
			}
			p.log.ErrorContext(ctx, "the gateways are unavailable, clients will pull", "deliveries", len(plan.deliveries), "error", err)
			return nil // the push decision is left to the outbox
		}
		p.gateways.ended()
		offline = answer.GetOffline()
	}
	p.metrics.delivered(len(plan.deliveries))
	p.metrics.acked(results)
	if p.push != nil && stored.OutboxId != 0 {
		p.push.decide(ctx, stored.OutboxId, plan, offline)
	}
	return nil
}

// results answers the senders, in the order of the batch: those whose messages
// were stored, and the others.
func (p *persister) results(in persistBatch, stored *repopb.CreateMessagesResponse) (results, refused []*gatewaypb.Result) {
	if len(in.messages) == 0 {
		return nil, nil
	}
	slab := make([]gatewaypb.Result, len(in.messages))
	results = make([]*gatewaypb.Result, 0, len(in.messages))
	for i, r := range stored.Results {
		if r.Code != 0 {
			p.metrics.refused(errs.Code(r.Code))
		}
		if in.origins[i] == nil {
			continue
		}
		out := &slab[i]
		out.Origin = in.origins[i]
		out.ClientMsgId = in.messages[i].ClientMsgId
		out.Event, out.Duplicate = r.Event, r.Duplicate
		out.Code, out.Error = r.Code, r.Error
		if r.Code != 0 {
			refused = append(refused, out)
		} else {
			results = append(results, out)
		}
	}
	return results, refused
}

// refuse answers every sender with one error. Nothing was acknowledged, so nothing is lost.
func (p *persister) refuse(ctx context.Context, origins []*gatewaypb.Origin, messages []*repopb.NewMessage, cause *errs.Error) {
	results := make([]*gatewaypb.Result, 0, len(origins))
	for i, o := range origins {
		p.metrics.refused(cause.Code)
		if o != nil {
			results = append(results, &gatewaypb.Result{
				Origin: o, ClientMsgId: messages[i].ClientMsgId,
				Code: int32(cause.Code), Error: cause.Message, Details: cause.Details,
			})
		}
	}
	if len(results) > 0 {
		p.answer(ctx, results)
	}
}

// answer hands refusals to the gateways. What does not arrive its sender sends again.
func (p *persister) answer(ctx context.Context, refused []*gatewaypb.Result) {
	ctx, cancel := context.WithTimeout(ctx, p.callTimeout)
	defer cancel()
	if _, err := p.gateway.Deliver(ctx, &gatewaypb.DeliverRequest{Results: refused}); err != nil {
		p.log.ErrorContext(ctx, "refusals were not delivered", "count", len(refused), "error", err)
	}
}

// dead takes over a record that failed by itself. A sender who waits is told,
// and since nothing was acknowledged that ends it; other records are kept as dead letters.
func (p *persister) dead(ctx context.Context, r bus.Record, cause error, bury func(context.Context, bus.Record, error) error) error {
	m, ok := r.Message.(*taskpb.Persist)
	if !ok || m.Message == nil || m.Origin == nil {
		return bury(ctx, r, cause)
	}
	e := errs.From(cause)
	p.log.ErrorContext(ctx, "a message could not be stored", "conversation_id", m.Message.ConversationId,
		"request_id", m.Origin.RequestId, "error", cause)
	p.refuse(ctx, []*gatewaypb.Origin{m.Origin}, []*repopb.NewMessage{m.Message}, e)
	return nil
}

// persistBatch is a batch taken apart.
type persistBatch struct {
	messages  []*repopb.NewMessage
	origins   []*gatewaypb.Origin // of messages, at the same index
	traces    []*trace.Ref        // of messages, at the same index
	committed []*taskpb.Committed
}

func readPersist(batch []bus.Record) (persistBatch, error) {
	in := persistBatch{
		messages: make([]*repopb.NewMessage, 0, len(batch)),
		origins:  make([]*gatewaypb.Origin, 0, len(batch)),
		traces:   make([]*trace.Ref, 0, len(batch)),
	}
	for _, r := range batch {
		m, ok := r.Message.(*taskpb.Persist)
		switch {
		case ok && m.GetMessage() != nil:
			in.messages = append(in.messages, m.Message)
			in.origins = append(in.origins, m.Origin)
			in.traces = append(in.traces, r.Trace)
		case ok && m.GetCommitted().GetEvent() != nil:
			in.committed = append(in.committed, m.Committed)
		default:
			return in, errs.New(errs.Invalid, "record of %s holds neither a message nor an event", taskpb.PersistTopic)
		}
	}
	return in, nil
}

// retryable says whether the bus should repeat the batch as it is.
func retryable(err error) bool {
	code := errs.CodeOf(err)
	return code == errs.Unavailable || code == errs.Timeout
}
