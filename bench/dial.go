package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/gochat-im/gochat/bench/internal/rawws"
)

// dialAll opens a connection for each account, a few at a time, each ready once
// it has been greeted. Of several servers neighbours get different ones, and the
// pairs 0 and 1, 2 and 3 … the same ones in turn the other way round.
func (w *world) dialAll(ctx context.Context, accounts []account, bufferSize int) ([]*rawws.Conn, error) {
	conns := make([]*rawws.Conn, len(accounts))
	err := each(ctx, len(accounts), func(ctx context.Context, i int) error {
		conn, err := dial(ctx, w.hosts[(i+i/len(w.hosts))%len(w.hosts)], accounts[i].Token, bufferSize)
		conns[i] = conn
		return err
	})
	if err != nil {
		closeAll(conns)
		return nil, fmt.Errorf("open %d connections: %w", len(accounts), err)
	}
	return conns, nil
}

func dial(ctx context.Context, host, token string, bufferSize int) (*rawws.Conn, error) {
	conn, err := rawws.Dial(ctx, host, "/ws", token, bufferSize)
	if err != nil {
		return nil, err
	}
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	hello, err := conn.Next()
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("greeting: %w", err)
	}
	if !rawws.IsType(hello, "hello") {
		conn.Close()
		return nil, fmt.Errorf("greeting: got %.80q", hello)
	}
	return conn, conn.SetReadDeadline(time.Time{})
}

func closeAll(conns []*rawws.Conn) {
	for _, c := range conns {
		if c != nil {
			c.Close()
		}
	}
}

var pingFrame = rawws.AppendText(nil, []byte(`{"type":"ping"}`))

// heartbeats pings on every connection each interval, spread over it, until ctx
// ends. It must be the only one that writes to them.
func heartbeats(ctx context.Context, conns []*rawws.Conn, interval time.Duration) {
	if len(conns) == 0 {
		return
	}
	ticker := time.NewTicker(max(interval/time.Duration(len(conns)), time.Millisecond))
	defer ticker.Stop()
	batch := max(1, len(conns)*int(time.Millisecond)/int(interval))
	for next := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			for range batch {
				_ = conns[next%len(conns)].Write(pingFrame)
				next++
			}
		}
	}
}

// sequence checks the seqs that one receiver sees of one conversation.
type sequence struct {
	first, last int64 // lowest and highest seen; 0: none
	missing     map[int64]struct{}

	Received, Duplicated, Reordered int64
}

func (s *sequence) see(seq int64) {
	s.Received++
	switch {
	case s.last == 0:
		s.first, s.last = seq, seq
	case seq > s.last:
		s.miss(s.last+1, seq)
		s.last = seq
	case seq < s.first:
		s.miss(seq+1, s.first)
		s.first = seq
		s.Reordered++
	default:
		if _, late := s.missing[seq]; late {
			delete(s.missing, seq)
			s.Reordered++
		} else {
			s.Duplicated++
		}
	}
}

// miss notes that the seqs from from up to, not including, to have not come.
func (s *sequence) miss(from, to int64) {
	if s.missing == nil && from < to {
		s.missing = map[int64]struct{}{}
	}
	for seq := from; seq < to && len(s.missing) < 1<<20; seq++ {
		s.missing[seq] = struct{}{}
	}
}

// Lost is how many of first to last have not been seen, those being the lowest
// and the highest seq that were acknowledged.
func (s *sequence) Lost(first, last int64) int64 {
	if s.last == 0 {
		if last == 0 {
			return 0
		}
		return last - first + 1
	}
	return int64(len(s.missing)) + max(s.first-first, 0) + max(last-s.last, 0)
}

// waitUntil waits for a condition; false when it did not come true in time.
func waitUntil(ctx context.Context, timeout time.Duration, condition func() bool) bool {
	deadline := time.Now().Add(timeout)
	for !condition() {
		if time.Now().After(deadline) || ctx.Err() != nil {
			return condition()
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
	return true
}

// counter is an atomic counter on a cache line of its own.
type counter struct {
	atomic.Int64
	_ [56]byte
}
