package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/gochat-im/gochat/bench/internal/latency"
	"github.com/gochat-im/gochat/bench/internal/rawws"
)

type sendOptions struct {
	*options
	load
}

func sendCommand(o *options) *cobra.Command {
	send := sendOptions{options: o, load: load{Senders: 100, Outstanding: 10}}
	cmd := &cobra.Command{
		Use:   "send",
		Short: "Messages in one-to-one conversations, each delivered to a connected peer",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return o.measure(cmd, send.run) },
	}
	send.addFlags(cmd, "how many senders, each with a peer of its own")
	o.addFloor(cmd)
	return cmd
}

// peer receives what one sender sends.
type peer struct {
	conn     *rawws.Conn
	from     int64 // unix nanoseconds: what was sent before has no latency
	received atomic.Int64

	seen    sequence // of its goroutine, until that has ended
	latency latency.Histogram
	behind  int64
	err     error
}

func (p *peer) receive() {
	for {
		data, err := p.conn.Next()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				p.err = err
			}
			return
		}
		if !rawws.IsType(data, "message") {
			if rawws.IsType(data, "event") {
				p.behind++
			}
			continue
		}
		seq, _ := rawws.Number(data, keySeq)
		stamp, _ := rawws.Number(data, keyContent)
		if stamp >= p.from {
			p.latency.Add(time.Duration(time.Now().UnixNano() - stamp))
		}
		p.seen.see(seq)
		p.received.Add(1)
	}
}

func (o sendOptions) run(ctx context.Context) (*report, error) {
	p := plan{Users: 2 * o.Senders}
	for i := range o.Senders {
		p.Singles = append(p.Singles, [2]int{2 * i, 2*i + 1})
	}
	batch := 0
	return o.against(ctx, p, "one-to-one sends"+o.suffix(), func(ctx context.Context, w *world, r *report) error {
		if err := o.measureSends(ctx, w, r); err != nil {
			return err
		}
		batch = w.meanCommit(ctx)
		r.add("messages a transaction", float64(batch), "")
		return nil
	}, func(ctx context.Context) (*report, error) { return o.sendFloor(ctx, max(batch, 1)) })
}

func (o sendOptions) measureSends(ctx context.Context, w *world, r *report) error {
	conns, err := w.dialAll(ctx, w.Accounts, 32<<10)
	if err != nil {
		return err
	}
	defer closeAll(conns)
	senders := make([]*sender, o.Senders)
	peers := make([]*peer, o.Senders)
	var refused refusals
	var receivers sync.WaitGroup
	from := o.measuredFrom()
	for i := range senders {
		senders[i] = o.sender(conns[2*i], w.Singles[i], from)
		peers[i] = &peer{conn: conns[2*i+1], from: from}
		receivers.Go(func() { senders[i].receive(&refused) })
		receivers.Go(peers[i].receive)
	}
	m, err := o.meter(w.server, func() int64 { return acknowledged(senders) })
	if err != nil {
		return err
	}
	sendErr := o.send(ctx, senders, m.begin)
	complete := waitUntil(ctx, 20*time.Second, func() bool {
		for i, s := range senders {
			s.mu.Lock()
			acked, quiet := s.acked, s.inFlight == 0 || s.err != nil
			s.mu.Unlock()
			if !quiet || peers[i].received.Load() < acked {
				return false
			}
		}
		return true
	})
	m.end()
	closeAll(conns)
	receivers.Wait()
	if err := errors.Join(sendErr, m.err, refused.err()); err != nil {
		return err
	}
	return o.tell(r, senders, peers, m, complete)
}

// meanCommit is how many messages the server stored in one transaction; 0 when
// it does not tell.
func (s *server) meanCommit(ctx context.Context) int {
	const name = "gochat_repo_commit_messages"
	sum, _ := s.metric(ctx, name+"_sum")
	count, _ := s.metric(ctx, name+"_count")
	without, _ := s.metric(ctx, name+`_bucket{le="0"}`)
	if count <= without {
		return 0
	}
	return int(sum/(count-without) + 0.5)
}

func (o sendOptions) tell(r *report, senders []*sender, peers []*peer, m *meter, complete bool) error {
	var acks, deliveries latency.Histogram
	var unanswered, lost, duplicated, reordered, behind int64
	for i, s := range senders {
		p := peers[i]
		acks.Merge(&s.latency)
		deliveries.Merge(&p.latency)
		unanswered += s.sent.Load() - s.acked
		lost += p.seen.Lost(s.firstAt, s.lastSeq)
		duplicated += p.seen.Duplicated
		reordered += p.seen.Reordered
		behind += p.behind
		if s.err != nil {
			return fmt.Errorf("a sender's connection: %w", s.err)
		}
		if p.err != nil {
			return fmt.Errorf("a peer's connection: %w", p.err)
		}
	}
	r.add("messages acknowledged", float64(acknowledged(senders)), "")
	_, speed := m.done()
	r.add("sends", speed, "/s")
	r.latencies("send to ack", &acks)
	r.latencies("send to delivery", &deliveries)
	m.tell(r, "message")
	r.add("unanswered", float64(unanswered), "")
	r.add("lost", float64(lost), "")
	r.add("duplicated", float64(duplicated), "")
	r.add("reordered", float64(reordered), "")
	r.add("replaced by marks", float64(behind), "")
	if !complete && lost == 0 && unanswered == 0 {
		return errors.New("deliveries and acks do not add up")
	}
	return nil
}
