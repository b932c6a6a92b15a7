package task

import (
	"context"
	"fmt"
	"time"

	"github.com/gochat-im/gochat/repo/repopb"
)

const (
	outboxAge   = time.Minute // older entries were lost on their way, not just slow
	outboxEvery = time.Minute
	outboxPage  = 100
)

// replayLoop replays the outbox at once and then every minute, until ctx ends.
func (q *pushQueue) replayLoop(ctx context.Context) {
	for {
		if n, err := q.replay(ctx, time.Now()); err != nil && ctx.Err() == nil {
			q.log.WarnContext(ctx, "push decisions were not made up for, trying again in a minute", "done", n, "error", err)
		} else if n > 0 {
			q.log.InfoContext(ctx, "made up for push decisions", "batches", n)
		}
		timer := time.NewTimer(outboxEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// replay makes up for the push decisions that a crash or a full queue lost.
func (q *pushQueue) replay(ctx context.Context, now time.Time) (done int, err error) {
	for {
		entries, err := q.outbox(ctx, now)
		if err != nil || len(entries) == 0 {
			return done, err
		}
		for _, e := range entries {
			if err := q.replayEntry(ctx, e); err != nil {
				return done, fmt.Errorf("replay outbox entry %d: %w", e.Id, err)
			}
			done++
		}
		if len(entries) < outboxPage {
			return done, nil
		}
	}
}

func (q *pushQueue) outbox(ctx context.Context, now time.Time) ([]*repopb.OutboxEntry, error) {
	ctx, cancel := context.WithTimeout(ctx, q.callTimeout)
	defer cancel()
	answer, err := q.repo.ListOutbox(ctx, &repopb.ListOutboxRequest{Before: now.Add(-outboxAge).UnixMilli(), Limit: outboxPage})
	if err != nil {
		return nil, fmt.Errorf("list outbox: %w", err)
	}
	return answer.Entries, nil
}

// replayEntry creates the jobs of every member without a socket; the jobs themselves find who has read meanwhile.
func (q *pushQueue) replayEntry(ctx context.Context, e *repopb.OutboxEntry) error {
	for _, r := range e.Ranges {
		call, cancel := context.WithTimeout(ctx, q.callTimeout)
		answer, err := q.repo.GetRoutes(call, &repopb.GetRoutesRequest{ConversationIds: []int64{r.ConversationId}})
		cancel()
		if err != nil {
			return fmt.Errorf("get routes: %w", err)
		}
		for _, route := range answer.Routes {
			if route.Large {
				err = q.walk(ctx, route.ConversationId)
			} else if len(route.MemberIds) > 0 {
				err = q.createOffline(ctx, route.ConversationId, route.MemberIds)
			}
			if err != nil {
				return err
			}
		}
	}
	return q.create(ctx, nil, e.Id)
}
