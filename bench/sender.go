package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gochat-im/gochat/bench/internal/latency"
	"github.com/gochat-im/gochat/bench/internal/rawws"
	gochat "github.com/gochat-im/gochat/sdk/go"
)

var (
	keySeq         = []byte(`"seq":`)
	keyClientMsgID = []byte(`"client_msg_id":"`)
	keyContent     = []byte(`"content":"`)
	keyCode        = []byte(`"code":`)
)

// sender sends on one connection and counts the acks. The time of sending is
// the message's id and the beginning of its content, so that nothing needs to
// be remembered: ids and contents come back with acks and deliveries.
type sender struct {
	conn         *rawws.Conn
	conversation string
	padding      string
	window       int           // unanswered messages at most
	pace         time.Duration // between messages; 0: as fast as the window lets
	admit        func() bool   // besides the window; nil: always
	from         int64         // unix nanoseconds: what was sent before has no latency

	mu       sync.Mutex // guards what follows
	inFlight int
	room     *sync.Cond
	stopped  bool

	sent    atomic.Int64
	acked   int64
	refused int64
	lastSeq int64 // highest acked
	firstAt int64 // lowest acked seq
	latency latency.Histogram
	err     error
}

func newSender(conn *rawws.Conn, conversation string, window int) *sender {
	s := &sender{conn: conn, conversation: conversation, window: window, padding: "the quick brown fox jumps over the lazy dog"}
	s.room = sync.NewCond(&s.mu)
	return s
}

// append appends the next message to a buffer of frames.
func (s *sender) append(frames, scratch []byte, last int64) (_, _ []byte, stamp int64) {
	stamp = max(time.Now().UnixNano(), last+1)
	b := append(scratch[:0], `{"type":"message","data":{"conversation_id":"`...)
	b = append(b, s.conversation...)
	b = append(b, `","message_type":"text","client_msg_id":"`...)
	b = strconv.AppendInt(b, stamp, 10)
	b = append(b, `","content":"`...)
	b = strconv.AppendInt(b, stamp, 10)
	b = append(b, ' ')
	b = append(b, s.padding...)
	b = append(b, `"}}`...)
	return rawws.AppendText(frames, b), b, stamp
}

// send sends until ctx ends.
func (s *sender) send(ctx context.Context) error {
	if s.pace > 0 {
		return s.sendPaced(ctx)
	}
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		s.stopped = true
		s.mu.Unlock()
		s.room.Broadcast()
	})
	defer stop()
	var frames, scratch []byte
	var stamp int64
	for {
		s.mu.Lock()
		for s.inFlight >= s.window && !s.stopped {
			s.room.Wait()
		}
		n := s.window - s.inFlight
		if s.stopped {
			s.mu.Unlock()
			return nil
		}
		if s.admit != nil && !s.admit() {
			s.mu.Unlock()
			time.Sleep(100 * time.Microsecond)
			continue
		}
		s.inFlight += n
		s.sent.Add(int64(n))
		s.mu.Unlock()
		frames = frames[:0]
		for range n {
			frames, scratch, stamp = s.append(frames, scratch, stamp)
		}
		if err := s.conn.Write(frames); err != nil {
			return fmt.Errorf("send: %w", err)
		}
	}
}

func (s *sender) sendPaced(ctx context.Context) error {
	ticker := time.NewTicker(s.pace)
	defer ticker.Stop()
	var frames, scratch []byte
	var stamp int64
	for ctx.Err() == nil {
		s.mu.Lock()
		s.inFlight++
		s.sent.Add(1)
		s.mu.Unlock()
		frames, scratch, stamp = s.append(frames[:0], scratch, stamp)
		if err := s.conn.Write(frames); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
	return nil
}

// receive reads acks until the connection is closed.
func (s *sender) receive(refusals *refusals) {
	for {
		data, err := s.conn.Next()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				s.mu.Lock()
				s.err = err
				s.mu.Unlock()
			}
			return
		}
		switch {
		case rawws.IsType(data, "ack"):
			stamp, _ := rawws.Number(data, keyClientMsgID)
			seq, _ := rawws.Number(data, keySeq)
			now := time.Now().UnixNano()
			s.mu.Lock()
			s.acked++
			s.inFlight--
			s.lastSeq = max(s.lastSeq, seq)
			if s.firstAt == 0 {
				s.firstAt = seq
			}
			if stamp >= s.from {
				s.latency.Add(time.Duration(now - stamp))
			}
			s.mu.Unlock()
		case rawws.IsType(data, "error"), rawws.IsType(data, "disconnect"):
			refusals.note(data)
			s.mu.Lock()
			s.refused++
			s.inFlight--
			s.mu.Unlock()
		}
		if !s.conn.Buffered() { // answer a batch of acks with a batch of messages
			s.room.Signal()
		}
	}
}

// answered reports whether nothing is in flight any more.
func (s *sender) answered() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inFlight == 0 || s.err != nil
}

// refusals keeps the first frame that was not expected, to be shown.
type refusals struct {
	mu    sync.Mutex // guards first
	first string
}

func (r *refusals) note(data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.first == "" {
		r.first = string(data)
	}
}

func (r *refusals) err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.first == "" {
		return nil
	}
	err := fmt.Errorf("the server refused: %s", r.first)
	if code, _ := rawws.Number([]byte(r.first), keyCode); code == int64(gochat.CodeRateLimited) {
		return errors.Join(err, rawws.ErrLimited)
	}
	return err
}
