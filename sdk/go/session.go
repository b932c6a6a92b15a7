package gochat

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// ErrClosed is the answer of a session that was closed.
var ErrClosed = errors.New("gochat: session closed")

// ErrOutboxFull is the answer to a send when too many wait for their ack.
var ErrOutboxFull = errors.New("gochat: too many messages wait for an answer")

// SessionConfig says how a session works. The zero value is usable.
type SessionConfig struct {
	// Store keeps the conversations' logs, from one session to the next when it
	// is durable. A new MemoryStore when nil.
	Store Store
	// FromStart makes each log begin with the conversation's first entry: what
	// the store does not have yet is pulled. Otherwise a log begins where the
	// conversation stood when the session first heard of it.
	FromStart bool
	// MaxOutbox bounds the messages that wait for their ack; 1,000 when 0.
	MaxOutbox int
	// GapWait is how long a missing entry may be late before it is pulled;
	// 200 ms when 0.
	GapWait time.Duration
	// AckTimeout is how long a message waits for its ack before it is sent again
	// under the same id; 15 s when 0.
	AckTimeout time.Duration
	// Trace, when set, is called with each text frame as it arrives, before
	// anything is done about it. It must not keep data.
	Trace func(data []byte)
}

func (cfg SessionConfig) complete() SessionConfig {
	if cfg.Store == nil {
		cfg.Store = &MemoryStore{}
	}
	if cfg.MaxOutbox <= 0 {
		cfg.MaxOutbox = 1000
	}
	if cfg.GapWait <= 0 {
		cfg.GapWait = 200 * time.Millisecond
	}
	if cfg.AckTimeout <= 0 {
		cfg.AckTimeout = 15 * time.Second
	}
	return cfg
}

const (
	eventBuffer = 256 // events that the application has not read yet
	inputBuffer = 256 // frames that wait for the loop
	maxOpen     = 16  // conversations on screen
)

// Session is the live side of an account: a connection that comes back by
// itself, and the logs of the conversations. It is safe for concurrent use.
//
// Read [Session.Events] until it is closed, from a goroutine that does not also
// wait for [Session.Send]: a session whose events are not read stops reading
// its socket.
type Session struct {
	client *Client
	cfg    SessionConfig
	events chan Event
	input  chan func() // what the loop does, one after the other
	out    *outbox

	stop    context.CancelFunc
	ctx     context.Context //nolint:containedctx // the session's own life, ended by Close
	workers sync.WaitGroup  // run, loop, pulls
	done    chan struct{}   // closed when every worker has returned

	mu    sync.Mutex // guards what follows
	err   error      // why the session ended
	hello Hello
	drop  func() // breaks the present connection

	asked atomic.Bool // the application broke the connection
	logs  logs        // of the loop
}

// Connect opens a session. It returns when the first connection is up, or with
// the error that keeps it from coming up; a server that cannot be reached now
// is tried until ctx ends. The session itself outlives ctx: end it with
// [Session.Close].
func (c *Client) Connect(ctx context.Context, cfg SessionConfig) (*Session, error) {
	cfg = cfg.complete()
	position, err := cfg.Store.Load(ctx)
	if err != nil {
		return nil, err
	}
	s := &Session{
		client: c, cfg: cfg, out: newOutbox(), done: make(chan struct{}),
		events: make(chan Event, eventBuffer), input: make(chan func(), inputBuffer),
	}
	s.ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.logs = newLogs(s, position)
	up := make(chan struct{})
	s.workers.Go(func() { s.run(up) }) //nolint:contextcheck // the session lives on after the call; its own context ends it
	s.workers.Go(s.loop)
	go s.finish()
	select {
	case <-up:
		return s, nil
	case <-s.done:
		return nil, s.Err()
	case <-ctx.Done():
		_ = s.Close()
		return nil, ctx.Err()
	}
}

// finish ends what is left when the session is over.
func (s *Session) finish() {
	<-s.ctx.Done()
	s.out.fail(ErrClosed)
	s.workers.Wait()
	s.out.fail(ErrClosed) // what a late Send put in
	close(s.events)
	close(s.done)
}

// Close ends the session and waits until nothing of it is left.
func (s *Session) Close() error {
	s.end(ErrClosed)
	<-s.done
	return nil
}

// end stops the session; the first reason stays.
func (s *Session) end(reason error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = reason
	}
	s.mu.Unlock()
	s.stop()
}

// Events brings what happens. It is closed when the session has ended: see
// [Session.Err].
func (s *Session) Events() <-chan Event { return s.events }

// Err returns why the session ended: ErrClosed after Close, a *DisconnectError
// when the server said not to come back, an *Error when the login is not valid
// any more. Nil while it lives.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Hello returns how the server greeted the latest connection.
func (s *Session) Hello() Hello {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hello
}

// Send sends a message and waits until it is stored. It is resent under the
// same client message id after every reconnect until the server answers. The
// error is an *Error when the server refused the message. When that is Uncertain,
// or ctx ends first, the outcome is unknown: send it again under the same
// ClientMsgID.
func (s *Session) Send(ctx context.Context, message Outgoing) (Ack, error) {
	sending, err := s.Start(message)
	if err != nil {
		return Ack{}, err
	}
	return sending.Wait(ctx)
}

// Start is a Send that does not wait. Messages go out in the order of their
// Start calls.
func (s *Session) Start(message Outgoing) (*Sending, error) {
	p := &pendingSend{message: message.complete(), done: make(chan sendResult, 1)}
	var full bool
	s.out.change(func() {
		if full = len(s.out.sends) >= s.cfg.MaxOutbox; !full {
			s.out.sends = append(s.out.sends, p)
		}
	})
	if full {
		return nil, ErrOutboxFull
	}
	return &Sending{session: s, pending: p}, nil
}

// Sending is a message on its way.
type Sending struct {
	session *Session
	pending *pendingSend
}

// ClientMsgID returns the message's client message id.
func (w *Sending) ClientMsgID() string { return w.pending.message.ClientMsgID }

// Wait waits for the answer, as Send does. Call it once.
func (w *Sending) Wait(ctx context.Context) (Ack, error) {
	select {
	case result := <-w.pending.done:
		return result.ack, result.err
	case <-ctx.Done():
		w.session.out.drop(w.pending)
		return Ack{}, ctx.Err()
	case <-w.session.done:
		return Ack{}, ErrClosed
	}
}

// MarkRead says that everything up to seq is read. It does not wait.
func (s *Session) MarkRead(conversationID string, seq int64) {
	s.out.change(func() {
		if s.out.reads[conversationID].seq < seq {
			s.out.reads[conversationID] = read{seq: seq, at: time.Now(), unsent: true}
		}
	})
}

// Typing says that one types, if there is a connection now.
func (s *Session) Typing(conversationID string) {
	s.out.change(func() { s.out.typing[conversationID] = true })
}

// Open says that a conversation is on screen, so that typing arrives for it.
// At most 16 are open at a time: beyond, the call does nothing.
func (s *Session) Open(conversationID string) {
	s.out.change(func() {
		if len(s.out.open) < maxOpen {
			s.out.open[conversationID] = true
		}
	})
}

// CloseConversation says that a conversation is not on screen any more.
func (s *Session) CloseConversation(conversationID string) {
	s.out.change(func() { delete(s.out.open, conversationID) })
}

// Reconnect drops the connection and comes back at once: for when the
// application knows that the network has changed.
func (s *Session) Reconnect() {
	s.asked.Store(true)
	s.breakConnection()
}

func (s *Session) breakConnection() {
	s.mu.Lock()
	drop := s.drop
	s.mu.Unlock()
	if drop != nil {
		drop()
	}
}

// post makes the loop do f; false when the session is over.
func (s *Session) post(f func()) bool {
	select {
	case s.input <- f:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// emit hands an event to the application. Once one is lost because the session
// is over, none follows: what was handed out has no hole.
func (s *Session) emit(e Event) {
	if s.ctx.Err() != nil {
		return
	}
	select {
	case s.events <- e:
	case <-s.ctx.Done():
	}
}

// loop does one thing at a time: all state of the logs is its own.
func (s *Session) loop() {
	resend := time.NewTicker(time.Second)
	defer resend.Stop()
	for {
		select {
		case f := <-s.input:
			f()
		case now := <-resend.C:
			s.out.resend(now.Add(-s.cfg.AckTimeout))
		case <-s.ctx.Done():
			return
		}
	}
}
