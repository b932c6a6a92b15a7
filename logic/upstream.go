package logic

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/trace"
	"github.com/gochat-im/gochat/repo/repopb"
	"github.com/gochat-im/gochat/task/taskpb"
)

// SendMessage implements LogicService: admission of one message that came by a call.
func (s *Service) SendMessage(ctx context.Context, r *logicpb.Upstream) (*repopb.Empty, error) {
	if err := s.checkMessage(r.GetMessage()); err != nil {
		return nil, s.refuse(err)
	}
	m := r.GetMessage()
	states, err := s.repo.CheckSenders(ctx, &repopb.CheckSendersRequest{
		Senders: []*repopb.CheckSendersRequest_Sender{{ConversationId: m.GetConversationId(), UserId: m.GetSenderId()}},
	})
	if err != nil {
		return nil, err
	}
	if err := s.admit(states.GetSenders()[0]); err != nil {
		return nil, s.refuse(err)
	}
	s.metrics.admitted.Inc()
	s.log.DebugContext(ctx, "message admitted", "request_id", r.GetOrigin().GetRequestId(), "conversation_id", m.GetConversationId())
	record := bus.Record{
		Key: m.GetConversationId(), Message: &taskpb.Persist{Origin: r.GetOrigin(), Message: m}, Trace: trace.RefOf(ctx),
	}
	return &repopb.Empty{}, s.bus.Publish(ctx, taskpb.PersistTopic, record)
}

// admitBatch handles im-upstream-topic: one look-up of all senders, one publication of what is admitted, one answer to
// all that is refused.
func (s *Service) admitBatch(ctx context.Context, batch []bus.Record) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer cancel()
	senders := make([]repopb.CheckSendersRequest_Sender, len(batch))
	request := &repopb.CheckSendersRequest{Senders: make([]*repopb.CheckSendersRequest_Sender, len(batch))}
	for i, r := range batch {
		m := r.Message.(*logicpb.Upstream).GetMessage() // the topic's type
		senders[i].ConversationId, senders[i].UserId = m.GetConversationId(), m.GetSenderId()
		request.Senders[i] = &senders[i]
	}
	s.observeWait(batch)
	states, err := s.repo.CheckSenders(ctx, request)
	if err != nil {
		return err
	}
	var refusals []*gatewaypb.Result
	persist := make([]taskpb.Persist, len(batch))
	admitted := make([]bus.Record, 0, len(batch))
	debug := s.log.Enabled(ctx, slog.LevelDebug)
	for i, r := range batch {
		up := r.Message.(*logicpb.Upstream) // the topic's type
		err := s.checkMessage(up.GetMessage())
		if err == nil {
			err = s.admit(states.GetSenders()[i])
			if err != nil && r.Again {
				err = errUncertain // it may have been admitted the first time
			}
		}
		if err != nil {
			refusals = append(refusals, refusal(up, err))
			continue
		}
		if debug {
			s.log.LogAttrs(ctx, slog.LevelDebug, "message admitted",
				slog.String("request_id", up.GetOrigin().GetRequestId()), slog.Int64("conversation_id", r.Key), r.Trace.Attr())
		}
		persist[i].Origin, persist[i].Message = up.GetOrigin(), up.GetMessage()
		admitted = append(admitted, bus.Record{Key: r.Key, Message: &persist[i], Trace: r.Trace})
	}
	if len(admitted) > 0 {
		if err := s.bus.Publish(ctx, taskpb.PersistTopic, admitted...); err != nil {
			return err // the batch comes again: nothing of it may have been answered
		}
		s.metrics.admitted.Add(float64(len(admitted)))
	}
	if len(refusals) > 0 { // once the batch will not come again: it might be admitted then
		bus.AfterDone(ctx, func(ctx context.Context) {
			ctx, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout)
			defer cancel()
			s.answer(ctx, refusals)
		})
	}
	return nil
}

var errUncertain = errs.New(errs.Timeout, "whether the message was stored is not known: send it again")

// observeWait notes how long the oldest of a batch has waited.
func (s *Service) observeWait(batch []bus.Record) {
	oldest := int64(0)
	for _, r := range batch {
		received := r.Message.(*logicpb.Upstream).GetOrigin().GetReceivedAt() // the topic's type
		if received != 0 && (oldest == 0 || received < oldest) {
			oldest = received
		}
	}
	if oldest != 0 {
		s.metrics.waited.Observe(time.Since(time.UnixMicro(oldest)).Seconds())
	}
}

// answer hands refusals to their origins.
func (s *Service) answer(ctx context.Context, refusals []*gatewaypb.Result) {
	for _, r := range refusals {
		s.metrics.refused.WithLabelValues(errs.Code(r.GetCode()).String()).Inc()
	}
	if _, err := s.gateways.Deliver(ctx, &gatewaypb.DeliverRequest{Results: refusals}); err != nil {
		s.log.WarnContext(ctx, "refusals not delivered", "messages", len(refusals), "error", err)
	}
}

// admitDead answers a message whose admission failed for good, so that its sender need not wait for a timeout.
func (s *Service) admitDead(ctx context.Context, r bus.Record, cause error) error {
	if up, ok := r.Message.(*logicpb.Upstream); ok {
		s.answer(ctx, []*gatewaypb.Result{refusal(up, cause)})
	}
	return nil
}

// admit tells why a sender may not write now, from what the caches know. The store asks again in the message's own
// transaction: this only spares it what is hopeless.
func (s *Service) admit(state *repopb.SenderState) error {
	switch {
	case !state.GetActive():
		return errs.New(errs.Unauthorized, "the account is disabled").With("reason", "disabled")
	case !state.GetMember():
		return errs.New(errs.NotFound, "no such conversation")
	case state.GetDissolved():
		return errs.New(errs.Conflict, "the group is dissolved")
	case state.GetMutedUntil() > s.now().UnixMilli():
		return errs.New(errs.Forbidden, "you are muted in this group").With("muted_until", strconv.FormatInt(state.GetMutedUntil(), 10))
	}
	return nil
}

func (s *Service) refuse(err error) error {
	s.metrics.refused.WithLabelValues(errs.CodeOf(err).String()).Inc()
	return err
}

func refusal(up *logicpb.Upstream, err error) *gatewaypb.Result {
	e := errs.From(err)
	return &gatewaypb.Result{
		Origin: up.GetOrigin(), ClientMsgId: up.GetMessage().GetClientMsgId(), Code: int32(e.Code), Error: e.Message, Details: e.Details,
	}
}
