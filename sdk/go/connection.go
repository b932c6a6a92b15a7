package gochat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
)

const (
	dialTimeout  = 15 * time.Second
	writeTimeout = 10 * time.Second
	maxFrame     = 1 << 20
	// stableAfter is how long a connection must have held for the backoff to
	// begin anew.
	stableAfter = 2 * time.Second
)

// run keeps the session connected until it ends. up is closed with the first
// connection.
func (s *Session) run(up chan struct{}) {
	for failures := 0; s.ctx.Err() == nil; failures++ {
		began := time.Now()
		connected := false
		err := s.serve(func() {
			connected = true
			if up != nil {
				close(up)
				up = nil
			}
		})
		if s.ctx.Err() != nil {
			return
		}
		wait, err := s.verdict(err)
		if err != nil {
			s.end(err)
			return
		}
		if connected && (s.asked.Swap(false) || time.Since(began) > stableAfter) {
			failures = 0
		}
		wait = max(wait, backoff(failures))
		s.client.log.Debug("reconnecting", "after", wait, "failures", failures)
		select {
		case <-time.After(wait):
		case <-s.ctx.Done():
		}
	}
}

// verdict decides how a connection's end goes on: after how long at least to
// come back, or the error that ends the session.
func (s *Session) verdict(cause error) (wait time.Duration, err error) {
	if errors.Is(cause, ErrNotLoggedIn) {
		return 0, cause
	}
	if refusal, ok := errors.AsType[*Error](cause); ok { // of the handshake or the refresh
		switch refusal.Code {
		case CodeUnauthorized:
			return 0, s.refreshLogin(refusal)
		case CodeRateLimited, CodeUnavailable, CodeInternal, CodeTimeout:
			return refusal.RetryAfter, nil
		default:
			return 0, refusal
		}
	}
	gone, ok := errors.AsType[*DisconnectError](cause)
	switch {
	case !ok:
		return 0, nil
	case gone.terminal():
		return 0, gone
	case gone.Code == CloseTokenExpired:
		return gone.delay(), s.refreshLogin(gone)
	case gone.Code == CloseStateInvalid:
		s.post(func() { s.logs.stateInvalid(gone) })
	}
	return gone.delay(), nil
}

// refreshLogin exchanges the refresh token, because the access token was
// refused; it returns the error that ends the session.
func (s *Session) refreshLogin(cause error) error {
	if !s.client.canRefresh() {
		return cause
	}
	_, err := s.client.refreshed(s.ctx, s.client.Tokens().Access)
	if refusal, ok := errors.AsType[*Error](err); ok && !refusal.Temporary() {
		return refusal
	}
	return nil // what failed otherwise is tried again with the next connection
}

// serve makes one connection and lives until it ends.
func (s *Session) serve(onUp func()) error {
	conn, hello, at, err := s.dial()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(s.ctx)
	written := make(chan struct{})
	s.mu.Lock()
	s.hello, s.drop = hello, cancel
	s.mu.Unlock()
	s.out.restart(time.Now())
	s.post(func() {
		s.emit(StateEvent{State: Connected})
		s.logs.resume(hello.UserID)
	})
	onUp()
	go func() {
		defer close(written)
		s.write(ctx, conn, time.Duration(hello.HeartbeatMS)*time.Millisecond)
	}()
	err = s.read(ctx, conn)
	cancel()
	_ = conn.CloseNow()
	<-written
	if !s.asked.Load() {
		s.client.servers.leave(at) // it ended the connection, or is gone
	}
	s.mu.Lock()
	s.drop = nil
	s.mu.Unlock()
	s.post(func() { s.emit(StateEvent{State: Disconnected, Err: err}) })
	return err
}

// dial opens a socket at the server in use and reads the greeting. A server
// that cannot be reached is left; at says which one it was otherwise.
func (s *Session) dial() (conn *websocket.Conn, hello Hello, at uint32, err error) {
	ctx, cancel := context.WithTimeout(s.ctx, dialTimeout)
	defer cancel()
	token, err := s.client.accessToken(ctx)
	if err != nil {
		return nil, Hello{}, 0, err
	}
	base, at := s.client.servers.current()
	defer func() {
		if refusal, ok := errors.AsType[*Error](err); err != nil && (!ok || refusal.Temporary()) {
			s.client.servers.leave(at)
		}
	}()
	conn, resp, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(base, "http")+"/ws", &websocket.DialOptions{ //nolint:bodyclose // Dial closes it
		HTTPClient:      s.client.http,
		HTTPHeader:      http.Header{"Authorization": {"Bearer " + token}},
		CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		if resp != nil && resp.StatusCode >= 400 {
			return nil, Hello{}, at, responseError(resp)
		}
		return nil, Hello{}, at, fmt.Errorf("gochat: connect: %w", err)
	}
	conn.SetReadLimit(maxFrame)
	if hello, err = s.greeting(ctx, conn); err != nil {
		_ = conn.CloseNow()
		return nil, Hello{}, at, err
	}
	return conn, hello, at, nil
}

func (s *Session) greeting(ctx context.Context, conn *websocket.Conn) (Hello, error) {
	var hello Hello
	_, data, err := conn.Read(ctx)
	if err != nil {
		return hello, ended(err, nil)
	}
	var f frame
	if err := json.Unmarshal(data, &f); err != nil {
		return hello, fmt.Errorf("gochat: greeting: %w", err)
	}
	switch f.Type {
	case "hello":
		if err := json.Unmarshal(f.Data, &hello); err != nil {
			return hello, fmt.Errorf("gochat: greeting: %w", err)
		}
		return hello, nil
	case "disconnect":
		if gone := decodeDisconnect(f.Data); gone != nil {
			return hello, gone
		}
	}
	return hello, fmt.Errorf("gochat: greeting: got a %q frame", f.Type)
}

// ended names the reason for which a connection ended.
func ended(err error, last *DisconnectError) error {
	if gone := disconnectOf(err, last); gone != nil {
		return gone
	}
	return fmt.Errorf("gochat: connection: %w", err)
}

// read hands frames to the loop until the connection ends.
func (s *Session) read(ctx context.Context, conn *websocket.Conn) error {
	var last *DisconnectError
	silence := 3 * time.Duration(max(s.Hello().HeartbeatMS, 1000)) * time.Millisecond
	for {
		readCtx, cancel := context.WithTimeout(ctx, silence)
		_, data, err := conn.Read(readCtx)
		cancel()
		if err != nil {
			return ended(err, last)
		}
		if s.cfg.Trace != nil {
			s.cfg.Trace(data)
		}
		var f frame
		if json.Unmarshal(data, &f) != nil {
			continue // of a later protocol: not ours to judge
		}
		if f.Type == "disconnect" {
			last = decodeDisconnect(f.Data)
			continue
		}
		if !s.post(func() { s.logs.handle(f) }) {
			return ErrClosed
		}
	}
}

// write says what the outbox holds until the connection ends. Something goes
// out at least twice a heartbeat.
func (s *Session) write(ctx context.Context, conn *websocket.Conn, heartbeat time.Duration) {
	beat := time.NewTicker(max(heartbeat/2, 100*time.Millisecond))
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			s.out.change(func() { s.out.ping = true })
		case <-s.out.wake:
			for _, data := range s.out.take(time.Now()) {
				// The deadline only: canceling a write would break the frame that the
				// reader's close still wants to follow.
				writeCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
				err := conn.Write(writeCtx, websocket.MessageText, data)
				cancel()
				if err != nil {
					_ = conn.CloseNow()
					return
				}
			}
		}
	}
}
