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

type fanoutOptions struct {
	*options
	load
	Members   int
	Ahead     int64
	Threshold int
}

func fanoutCommand(o *options) *cobra.Command {
	fanout := fanoutOptions{options: o, load: load{Senders: 8, Outstanding: 16}}
	cmd := &cobra.Command{
		Use:   "fanout",
		Short: "Messages in one group whose members are all connected",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return o.measure(cmd, fanout.run) },
	}
	fanout.addFlags(cmd, "members that send")
	flags := cmd.Flags()
	flags.IntVar(&fanout.Members, "members", 1000, "connected members")
	flags.Int64Var(&fanout.Ahead, "ahead", 256, "messages that the senders may be ahead of the deliveries")
	flags.IntVar(&fanout.Threshold, "threshold", 0, "delivery.large_group_threshold of the server; 0: its default")
	o.addFloor(cmd)
	return cmd
}

// crowd is the receiving side: every connection reads everything.
type crowd struct {
	receivers []*receiver
	total     counter // deliveries, added up in batches
	paced     bool
	from      int64 // unix nanoseconds: what was sent before has no latency
	completed completions
}

type receiver struct {
	conn    *rawws.Conn
	seen    sequence
	latency latency.Histogram
	behind  int64
	err     error
}

// sampleEvery is how many deliveries of a saturated receiver go by for one
// whose latency is taken: reading the clock is most of a delivery's cost.
const sampleEvery = 16

func (c *crowd) receive(r *receiver) {
	var batch int64
	for n := 0; ; n++ {
		data, err := r.conn.Next()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				r.err = err
			}
			return
		}
		if !rawws.IsType(data, "message") {
			if rawws.IsType(data, "event") {
				r.behind++
			}
			continue
		}
		seq, _ := rawws.Number(data, keySeq)
		r.seen.see(seq)
		if c.paced || n%sampleEvery == 0 {
			stamp, _ := rawws.Number(data, keyContent)
			if now := time.Now().UnixNano(); stamp >= c.from {
				r.latency.Add(time.Duration(now - stamp))
				if c.paced {
					c.completed.delivered(seq, time.Duration(now-stamp))
				}
			}
		}
		batch++
		if !r.conn.Buffered() {
			c.total.Add(batch)
			batch = 0
		}
	}
}

// completions notes for each message how long the slowest delivery took.
type completions struct {
	slots [1 << 16]struct{ slowest atomic.Int64 }
}

func (c *completions) delivered(seq int64, after time.Duration) {
	slot := &c.slots[int(seq)%len(c.slots)].slowest
	for old := slot.Load(); int64(after) > old; old = slot.Load() {
		if slot.CompareAndSwap(old, int64(after)) {
			return
		}
	}
}

func (o fanoutOptions) run(ctx context.Context) (*report, error) {
	if err := raiseFileLimit(o.Members + o.Senders + 100); err != nil {
		return nil, err
	}
	p := plan{Users: o.Members + o.Senders}
	if o.Threshold > 0 {
		p.Env = append(p.Env, thresholdEnv(o.Threshold))
	}
	all := make([]int, p.Users)
	for i := range all {
		all[i] = i
	}
	p.Groups = [][]int{all}
	return o.against(ctx, p, fmt.Sprintf("fan-out to %d members%s", o.Members, o.suffix()), o.measureFanout, o.fanoutFloor)
}

func (o fanoutOptions) measureFanout(ctx context.Context, w *world, r *report) error {
	sending, err := w.dialAll(ctx, w.Accounts[:o.Senders], 32<<10)
	if err != nil {
		return err
	}
	defer closeAll(sending)
	receiving, err := w.dialAll(ctx, w.Accounts[o.Senders:], 16<<10)
	if err != nil {
		return err
	}
	defer closeAll(receiving)

	senders := make([]*sender, o.Senders)
	from := o.measuredFrom()
	for i, conn := range sending {
		senders[i] = o.sender(conn, w.Groups[0], from)
	}
	return o.drive(ctx, w.server, r, senders, receiving, from)
}

// drive sends on some connections, receives on the others, and tells what came.
func (o fanoutOptions) drive(ctx context.Context, s *server, r *report, senders []*sender, receiving []*rawws.Conn, from int64) error {
	c := &crowd{paced: o.Rate > 0, from: from}
	var refused refusals
	var readers sync.WaitGroup
	for _, conn := range receiving {
		one := &receiver{conn: conn}
		c.receivers = append(c.receivers, one)
		readers.Go(func() { c.receive(one) })
	}
	for _, one := range senders {
		one.admit = func() bool { return o.ahead(senders, c) < o.Ahead }
		readers.Go(func() { one.receive(&refused) })
	}
	m, err := o.meter(s, c.total.Load)
	if err != nil {
		return err
	}
	sendErr := o.send(ctx, senders, m.begin)
	waitUntil(ctx, 30*time.Second, func() bool {
		for _, one := range senders {
			if !one.answered() {
				return false
			}
		}
		return c.total.Load() >= acknowledged(senders)*int64(len(receiving))
	})
	m.end()
	for _, one := range senders {
		one.conn.Close()
	}
	closeAll(receiving)
	readers.Wait()
	if err := errors.Join(sendErr, m.err, refused.err()); err != nil {
		return err
	}
	return o.tell(r, senders, c, m)
}

// ahead is how many messages the deliveries are behind, on average.
func (o fanoutOptions) ahead(senders []*sender, c *crowd) int64 {
	var sent int64
	for _, s := range senders {
		sent += s.sent.Load()
	}
	return sent - c.total.Load()/int64(len(c.receivers))
}

func acknowledged(senders []*sender) int64 {
	var n int64
	for _, s := range senders {
		s.mu.Lock()
		n += s.acked
		s.mu.Unlock()
	}
	return n
}

func (o fanoutOptions) tell(r *report, senders []*sender, c *crowd, m *meter) error {
	var last, unanswered int64
	var acks, deliveries, slowest latency.Histogram
	first := int64(0)
	for _, s := range senders {
		last = max(last, s.lastSeq)
		unanswered += s.sent.Load() - s.acked
		acks.Merge(&s.latency)
		if s.firstAt > 0 && (first == 0 || s.firstAt < first) {
			first = s.firstAt
		}
		if s.err != nil {
			return fmt.Errorf("a sender's connection: %w", s.err)
		}
	}
	acked := acknowledged(senders)
	var delivered, lost, duplicated, reordered, behind int64
	for _, one := range c.receivers {
		if one.err != nil {
			return fmt.Errorf("a member's connection: %w", one.err)
		}
		delivered += one.seen.Received
		lost += one.seen.Lost(first, last)
		duplicated += one.seen.Duplicated
		reordered += one.seen.Reordered
		behind += one.behind
		deliveries.Merge(&one.latency)
	}
	r.add("messages", float64(acked), "")
	r.add("deliveries", float64(delivered), "")
	_, speed := m.done()
	r.add("deliveries a second", speed, "/s")
	r.latencies("send to ack", &acks)
	r.latencies("send to delivery", &deliveries)
	if c.paced {
		for seq := first; seq <= last; seq++ {
			if d := c.completed.slots[int(seq)%len(c.completed.slots)].slowest.Load(); d > 0 {
				slowest.Add(time.Duration(d))
			}
		}
		r.latencies("send to last delivery", &slowest)
	}
	m.tell(r, "delivery")
	r.add("unanswered", float64(unanswered), "")
	r.add("lost", float64(lost), "")
	r.add("duplicated", float64(duplicated), "")
	r.add("reordered", float64(reordered), "")
	r.add("replaced by marks", float64(behind), "")
	return nil
}
