package task

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/trace"
	"github.com/gochat-im/gochat/task/taskpb"
)

// pushPublishWait bounds how long delivery waits for room on the push topics.
// What does not fit is found in the outbox a minute later.
const pushPublishWait = 50 * time.Millisecond

// pushPlanner decides after a delivery whose members may need an offline push
// and hands them on. Records of one outbox entry share its key: the last one,
// which lets the entry be deleted, is handled after all others.
type pushPlanner struct {
	bus     bus.Bus
	metrics *metrics
	log     *slog.Logger
}

// decide publishes the users that had no socket, and the large groups whose members must be walked.
func (p *pushPlanner) decide(ctx context.Context, outbox int64, pl *plan, offline []*gatewaypb.OfflineUsers) {
	candidates, walks := candidatesOf(pl, offline)
	switch {
	case len(walks) > 0:
		walks[len(walks)-1].OutboxId = outbox
	case len(candidates) > 0:
		candidates[len(candidates)-1].OutboxId = outbox
	default:
		candidates = []*taskpb.PushCandidates{{OutboxId: outbox}}
	}
	ctx, cancel := context.WithTimeout(ctx, pushPublishWait)
	defer cancel()
	records := make([]bus.Record, 0, len(candidates)+len(walks))
	for _, c := range candidates {
		records = append(records, bus.Record{Key: outbox, Message: c, Trace: trace.RefOf(ctx)})
	}
	if len(records) > 0 {
		if err := p.bus.Publish(ctx, taskpb.PushTopic, records...); err != nil {
			p.deferred(ctx, err)
			return
		}
	}
	if len(walks) == 0 {
		return
	}
	records = records[len(records):]
	for _, w := range walks {
		records = append(records, bus.Record{Key: outbox, Message: w, Trace: trace.RefOf(ctx)})
	}
	if err := p.bus.Publish(ctx, taskpb.GroupTopic, records...); err != nil {
		p.deferred(ctx, err)
	}
}

func (p *pushPlanner) deferred(ctx context.Context, err error) {
	p.metrics.pushDeferred.Inc()
	p.log.DebugContext(ctx, "push decision left to the outbox", "error", err)
}

// candidatesOf collects, per conversation, the offline users of the messages
// that were stored now, without who sent them, and the ranges of large groups.
// Deliveries of one conversation stand side by side.
func candidatesOf(pl *plan, offline []*gatewaypb.OfflineUsers) (candidates []*taskpb.PushCandidates, walks []*taskpb.GroupFanout) {
	var c *taskpb.PushCandidates
	var w *taskpb.GroupFanout
	for i, d := range pl.deliveries {
		if !pl.fresh[i] {
			continue
		}
		event := d.GetEvent()
		if d.Interested {
			if w == nil || w.ConversationId != event.ConversationId {
				w = &taskpb.GroupFanout{ConversationId: event.ConversationId, FromSeq: event.Seq}
				walks = append(walks, w)
			}
			w.ToSeq = event.Seq
			continue
		}
		if i >= len(offline) || len(offline[i].GetUserIds()) == 0 {
			continue
		}
		if c == nil || c.ConversationId != event.ConversationId {
			c = &taskpb.PushCandidates{ConversationId: event.ConversationId, FromSeq: event.Seq}
			candidates = append(candidates, c)
		}
		c.ToSeq = event.Seq
		for _, user := range offline[i].UserIds {
			if user != event.UserId {
				c.UserIds = append(c.UserIds, user)
			}
		}
	}
	for _, c := range candidates {
		slices.Sort(c.UserIds)
		c.UserIds = slices.Compact(c.UserIds)
	}
	return candidates, walks
}
