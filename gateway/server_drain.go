package gateway

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/gochat-im/gochat/platform/errs"
)

var errDraining = errs.New(errs.Unavailable, "the server is stopping").RetryAfter(time.Second)

// answerTimeout bounds how long a stop waits for the answers to the messages
// that a socket has sent.
const answerTimeout = 5 * time.Second

// Drain stops accepting sockets and closes those that exist, in random order
// over the drain window, so that their clients do not come back at once. What a
// socket has sent before its turn is answered first. It returns when all are
// closed, or with ctx's error after closing the rest at once.
func (s *Server) Drain(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	s.mu.Unlock()

	conns := s.hub.all()
	rand.Shuffle(len(conns), func(i, j int) { conns[i], conns[j] = conns[j], conns[i] })
	// A few connections need no window: one a millisecond at most.
	window := min(s.cfg.WebSocket.DrainWindow, time.Duration(len(conns))*time.Millisecond)
	gone := closing{code: codeDrain, reason: "the server is stopping", window: window}
	start := time.Now()
	var late []*conn
	for i, c := range conns {
		wait := time.Until(start.Add(window * time.Duration(i) / time.Duration(len(conns))))
		if wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
			}
		}
		if c.leaving.Store(true); c.unanswered.Load() > 0 {
			late = append(late, c)
			continue
		}
		c.close(gone)
	}
	awaitAnswers(ctx, late)
	for _, c := range late {
		c.close(gone)
	}
	done := make(chan struct{})
	go func() {
		s.readers.Wait()
		s.hub.order.stop()
		s.hub.receipts.stop()
		s.hub.flusher.wg.Wait()
		s.hub.wheel.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	for _, c := range s.hub.all() {
		c.abort()
	}
	<-done
	return ctx.Err()
}

// awaitAnswers waits until nobody of those who leave waits for an answer any more.
func awaitAnswers(ctx context.Context, leaving []*conn) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for _, c := range leaving {
		for c.unanswered.Load() > 0 {
			select {
			case <-again.C:
			case <-ctx.Done():
				return
			}
		}
	}
}
