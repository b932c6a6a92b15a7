package rpc

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/gochat-im/gochat/platform/errs"
)

// A target is given up for breakOpen when at least half of breakMinCalls or more calls within breakWindow found nobody
// or ended without an answer. Then breakProbes calls at a time try it; all of them must succeed to close the breaker.
const (
	breakWindow   = 10 * time.Second
	breakMinCalls = 20
	breakOpen     = time.Second
	breakProbes   = 3
)

// breaker keeps callers from waiting for a target that does not answer. A nil one lets everything pass.
type breaker struct {
	target  string
	circuit *gobreaker.CircuitBreaker[struct{}]
}

func newBreaker(target string, log *slog.Logger, m *Metrics) *breaker {
	m.breakerState(target, gobreaker.StateClosed)
	return &breaker{target: target, circuit: gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:        target,
		Interval:    breakWindow,
		Timeout:     breakOpen,
		MaxRequests: breakProbes,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.Requests >= breakMinCalls && 2*c.TotalFailures >= c.Requests
		},
		IsSuccessful: func(err error) bool {
			code := errs.CodeOf(err)
			return code != errs.Unavailable && code != errs.Timeout
		},
		IsExcluded: func(err error) bool { return errors.Is(err, errCallerGone) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			m.breakerState(target, to)
			log.Warn("circuit breaker", "target", target, "from", from.String(), "to", to.String())
		},
	})}
}

// errCallerGone marks a call whose caller hung up: it says nothing about the target.
var errCallerGone = errors.New("the caller is gone")

func (b *breaker) do(ctx context.Context, call func() error) error {
	if b == nil {
		return call()
	}
	var err error
	_, refused := b.circuit.Execute(func() (struct{}, error) {
		err = call()
		if err != nil && errors.Is(ctx.Err(), context.Canceled) {
			return struct{}{}, errCallerGone
		}
		return struct{}{}, err
	})
	if errors.Is(refused, gobreaker.ErrOpenState) || errors.Is(refused, gobreaker.ErrTooManyRequests) {
		return errs.Wrap(errs.Unavailable, refused, "unavailable").RetryAfter(breakOpen)
	}
	return err
}
