package gateway

import (
	"context"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/gochat-im/gochat/gateway/internal/wire"
	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

const (
	featureLevel = 1
	// What a socket that has not authenticated may send in one frame.
	strangerFrameBytes = 8 << 10
	// For a call to logic, or room on the bus, on behalf of a frame.
	callTimeout = 5 * time.Second
)

var pingFrame = controlFrame(wire.AppendEmpty(wire.NewText(32), "ping", ""))

// serveWS upgrades to a WebSocket. Everything that can be refused is refused
// before the upgrade, in the one shape of errors. The query is never logged.
func (s *Server) serveWS(w http.ResponseWriter, r *http.Request) {
	address, exempt := s.http.limits.addressKey(s.clientAddress(r))
	if err := s.mayConnect(r, address, exempt); err != nil {
		writeError(w, r, err)
		return
	}
	token := requestToken(r)
	var identity *logicpb.Identity
	if token != "" {
		var err error
		if identity, err = s.logic.ValidateToken(r.Context(), &logicpb.ValidateTokenRequest{Token: token}); err != nil {
			writeError(w, r, err)
			return
		}
	}
	if err := s.enter(address, exempt, identity != nil); err != nil {
		writeError(w, r, err)
		return
	}
	now := s.hub.clock.now()
	c := &conn{id: s.hub.nextID(), hub: s.hub, wheelSlot: noSlot}
	c.lastRead.Store(now)
	if identity == nil {
		c.addr = address
		c.authBy = now + s.cfg.WebSocket.AuthTimeout.Milliseconds()
	}
	upgrade := &hijacker{ResponseWriter: w, c: c}
	ws, err := websocket.Accept(upgrade, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // mayConnect did
		CompressionMode:    websocket.CompressionDisabled,
		OnPongReceived:     func(context.Context, []byte) { c.confirm() },
	})
	if err != nil { // it has answered
		s.known(c)
		s.readers.Done()
		return
	}
	upgrade.settle()
	ws.SetReadLimit(strangerFrameBytes)
	s.hub.add(c)
	s.hub.wheel.add(c, now) // it says when to come again
	if identity != nil {
		s.admit(context.WithoutCancel(r.Context()), c, ws, identity)
	}
	s.mu.Lock()
	draining := s.draining
	s.mu.Unlock()
	if draining { // Drain may have missed it
		c.close(closing{code: codeDrain, reason: "the server is stopping"})
	}
	// A new goroutine: this one's stack has grown and its server's buffers hang on it.
	go s.read(c, ws) //nolint:contextcheck // it outlives the request
}

// mayConnect checks what can be checked before anybody is asked.
func (s *Server) mayConnect(r *http.Request, address string, exempt bool) error {
	s.mu.Lock()
	draining := s.draining
	s.mu.Unlock()
	if draining {
		return errDraining
	}
	if !exempt {
		if ok, after := s.connects.Allow(r.Context(), address); !ok {
			return errs.New(errs.RateLimited, "too many connects").RetryAfter(after)
		}
	}
	if !s.allowedOrigin(r) {
		return errs.New(errs.Forbidden, "this origin may not connect")
	}
	return checkHandshake(r)
}

// allowedOrigin: a browser says which site its page is from; anything else says nothing.
func (s *Server) allowedOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	if strings.EqualFold(u.Host, r.Host) {
		return true
	}
	for _, pattern := range s.cfg.WebSocket.AllowedOrigins {
		target := u.Host
		if strings.Contains(pattern, "://") {
			target = u.Scheme + "://" + u.Host
		}
		if ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(target)); ok && err == nil {
			return true
		}
	}
	return false
}

// requestToken returns the token that came with the request, "" for none.
func requestToken(r *http.Request) string {
	if h := r.Header.Get("Authorization"); h != "" {
		if scheme, token, ok := strings.Cut(h, " "); ok && strings.EqualFold(scheme, "Bearer") {
			return strings.ToValidUTF8(strings.TrimSpace(token), "?")
		}
		return strings.ToValidUTF8(h, "?") // malformed: refused like any bad token
	}
	q := r.URL.Query()
	if q.Has("token") && q.Get("token") == "" {
		return "-"
	}
	return strings.ToValidUTF8(q.Get("token"), "?")
}

// admit makes c a connection of its user, says hello and lets events in.
func (s *Server) admit(ctx context.Context, c *conn, ws *websocket.Conn, who *logicpb.Identity) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	c.mu.Lock()
	// Nothing goes out before this ends: what comes in between waits in the queue, behind hello.
	held := !c.scheduled
	c.scheduled = true
	if !c.closing {
		c.append(controlFrame(wire.AppendObject(wire.NewText(256), "hello", "", wire.Hello{
			SessionID: wire.ID(who.GetSessionId()), UserID: wire.ID(who.GetUserId()),
			HeartbeatMS: s.cfg.WebSocket.Heartbeat.Milliseconds(), MaxMessageBytes: s.cfg.MaxMessageBytes,
			FeatureLevel: featureLevel,
		})))
	}
	c.mu.Unlock()

	if how, ok := s.welcome(ctx, c, who); !ok {
		c.close(how)
	}
	s.known(c)
	ws.SetReadLimit(int64(s.cfg.WebSocket.MaxFrameBytes))
	s.hub.wheel.schedule(c, s.hub.clock.now())
	if held {
		s.hub.flusher.push(c)
	}
}

// welcome registers c with the hub. Its session is looked at again once the hub
// knows the connection, so that one revoked in between cannot slip through.
func (s *Server) welcome(ctx context.Context, c *conn, who *logicpb.Identity) (closing, bool) {
	if !s.hub.register(c, who.GetUserId(), who.GetSessionId(), who.GetExpiresAt()) {
		return closing{code: codeTooManySockets, reason: "too many connections", purge: true}, false
	}
	check := &logicpb.CheckSessionRequest{UserId: who.GetUserId(), SessionId: who.GetSessionId()}
	if _, err := s.logic.CheckSession(ctx, check); err != nil {
		return verdict(err), false
	}
	// Before the large groups are read, and so before hello: see Router.
	s.hub.announce.Load().settle(ctx)
	large, err := s.logic.GetLargeGroups(ctx, &repopb.GetLargeGroupsRequest{UserId: who.GetUserId()})
	if err != nil {
		s.log.WarnContext(ctx, "Load the large groups of a user", "user_id", who.GetUserId(), "error", err)
		return verdict(err), false
	}
	s.hub.addToIndex(c, large.GetConversationIds()...)
	s.hub.announce.Load().settle(ctx)
	return closing{}, true
}

// verdict is how a socket whose token or session was refused is closed.
func verdict(err error) closing {
	e := errs.From(err)
	switch e.Code {
	case errs.Unauthorized:
	case errs.Unavailable, errs.Timeout, errs.RateLimited:
		return closing{code: codeOverloaded, reason: "the server is overloaded", purge: true}
	default:
		return closing{code: codeServerError, reason: "try again", purge: true}
	}
	switch e.Details["reason"] {
	case "expired":
		return closing{code: codeTokenExpired, reason: "the token has expired", purge: true}
	case "revoked":
		return closing{code: codeLoggedOut, reason: "logged out", purge: true}
	case "disabled":
		return closing{code: codeBanned, reason: "the account is disabled", purge: true}
	}
	return closing{code: codeInvalidToken, reason: "the token is invalid", purge: true}
}
