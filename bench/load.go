package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/gochat-im/gochat/bench/internal/rawws"
)

// load is how messages are sent.
type load struct {
	Senders     int
	Outstanding int
	Duration    time.Duration
	Rate        float64       // messages a second of all senders together; 0: as fast as it goes
	Warmup      time.Duration // before the duration: sent like the rest, and counted in no speed and no latency
	Processes   []string      // NAME=PID,PID…: whose CPU to tell, besides that of a server of its own
}

// addFlags adds a flag for each; what l holds are the defaults.
func (l *load) addFlags(cmd *cobra.Command, senders string) {
	flags := cmd.Flags()
	flags.IntVar(&l.Senders, "senders", l.Senders, senders)
	flags.IntVar(&l.Outstanding, "outstanding", l.Outstanding, "messages of a sender that wait for their ack")
	flags.DurationVar(&l.Duration, "duration", 10*time.Second, "how long to send")
	flags.Float64Var(&l.Rate, "rate", 0, "messages a second of all senders together; 0: as fast as the acks come")
	flags.DurationVar(&l.Warmup, "warmup", 0, "how long to send before that, with the same load, without measuring")
	flags.StringArrayVar(&l.Processes, "process", nil, "`NAME=PID,PID…` of processes whose CPU a message to tell, with what they start; may be repeated")
}

// suffix names the rate in a report's title.
func (l *load) suffix() string {
	if l.Rate <= 0 {
		return ""
	}
	return fmt.Sprintf(" at %v/s", l.Rate)
}

// measuredFrom is the end of a warm-up that begins now.
func (l *load) measuredFrom() int64 { return time.Now().Add(l.Warmup).UnixNano() }

// sender returns one of the senders of the load.
func (l *load) sender(conn *rawws.Conn, conversation string, from int64) *sender {
	s := newSender(conn, conversation, l.Outstanding)
	s.from = from
	if l.Rate > 0 {
		s.pace = time.Duration(float64(l.Senders) / l.Rate * float64(time.Second))
	}
	return s
}

// send lets all senders send for the load's warm-up and duration. It calls begin
// when the warm-up is over.
func (l *load) send(ctx context.Context, senders []*sender, begin func()) error {
	ctx, cancel := context.WithTimeout(ctx, l.Warmup+l.Duration)
	defer cancel()
	errs := make([]error, len(senders))
	var working sync.WaitGroup
	working.Go(func() {
		select {
		case <-time.After(l.Warmup):
		case <-ctx.Done():
		}
		begin()
	})
	for i, s := range senders {
		working.Go(func() {
			if l.Rate > 0 { // over the first interval, so that they do not send in step
				select {
				case <-time.After(s.pace * time.Duration(i) / time.Duration(len(senders))):
				case <-ctx.Done():
				}
			}
			errs[i] = s.send(ctx)
		})
	}
	working.Wait()
	return errors.Join(errs...)
}
