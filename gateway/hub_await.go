package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/platform/errs"
)

// Await hands send an origin of its own and waits for the result that Deliver
// brings to it: what an HTTP request that sends a message needs. An error of
// send ends the wait. When ctx ends first the outcome is unknown: errs.Timeout.
func (h *Hub) Await(ctx context.Context, requestID string, send func(*gatewaypb.Origin) error) (*gatewaypb.Result, error) {
	id := h.nextID()
	result := make(chan *gatewaypb.Result, 1)
	h.waitersMu.Lock()
	h.waiters[id] = result
	h.waitersMu.Unlock()
	defer func() {
		h.waitersMu.Lock()
		delete(h.waiters, id)
		h.waitersMu.Unlock()
	}()

	origin := &gatewaypb.Origin{GatewayId: h.id, ConnectionId: id, RequestId: requestID}
	stampReceived(origin, time.Now())
	if err := send(origin); err != nil {
		return nil, err
	}
	select {
	case r := <-result:
		h.observeAck(r.GetOrigin())
		return r, nil
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil, errs.Wrap(errs.Timeout, ctx.Err(), "the message was accepted, its storage is not confirmed yet")
		}
		return nil, ctx.Err()
	}
}

// answerWaiter gives r to the request that waits for it, if any does.
func (h *Hub) answerWaiter(r *gatewaypb.Result) bool {
	h.waitersMu.Lock()
	defer h.waitersMu.Unlock()
	result, ok := h.waiters[r.GetOrigin().GetConnectionId()]
	if !ok {
		return false
	}
	select {
	case result <- r:
	default: // it has one already: a repeated delivery
	}
	return true
}
