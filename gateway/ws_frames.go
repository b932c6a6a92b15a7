package gateway

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/gateway/internal/wire"
	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

// Conversations that one socket may have on screen.
const maxOpen = 16

// do does what a well-formed frame asks for.
func (s *Server) do(c *conn, ws *websocket.Conn, f *wire.Frame) {
	userID, sessionID := c.identity()
	if userID == 0 {
		s.doStranger(c, ws, f)
		return
	}
	var err error
	switch f.Type {
	case wire.TypeMessage:
		err = s.doMessage(c, f, userID, sessionID)
	case wire.TypePing:
		s.hub.send(c, controlFrame(wire.AppendEmpty(wire.NewText(64), "pong", f.ID)))
	case wire.TypePong:
	case wire.TypeSync:
		err = s.doSync(c, f, userID)
	default:
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		defer cancel()
		ctx, span := s.traceFrame(ctx, f)
		if err = s.doCall(ctx, c, f, userID, sessionID); err == nil {
			s.confirm(c, f)
		}
		span.End(err)
	}
	if err != nil {
		s.refuse(c, f, err)
	}
}

func (s *Server) doCall(ctx context.Context, c *conn, f *wire.Frame, userID, sessionID int64) error {
	switch f.Type {
	case wire.TypeRead:
		_, err := s.logic.MarkMessageRead(ctx, &logicpb.MarkMessageReadRequest{
			UserId: userID, ConversationId: f.ConversationID, Seq: f.Seq, Origin: s.origin(c, f, sessionID),
		})
		return err
	case wire.TypeTyping:
		_, err := s.logic.SetTyping(ctx, &logicpb.SetTypingRequest{
			UserId: userID, ConversationId: f.ConversationID, Origin: s.origin(c, f, sessionID),
		})
		return err
	case wire.TypeOpen:
		return c.look(f.ConversationID)
	case wire.TypeClose:
		c.mu.Lock()
		c.open = without(c.open, f.ConversationID)
		c.mu.Unlock()
	case wire.TypeAuth:
		return s.refresh(ctx, c, f.Token, userID, sessionID)
	default:
		return errs.InvalidField("type", "unknown")
	}
	return nil
}

// doStranger handles the frames of who has not authenticated.
func (s *Server) doStranger(c *conn, ws *websocket.Conn, f *wire.Frame) {
	switch f.Type {
	case wire.TypePing:
		s.hub.send(c, controlFrame(wire.AppendEmpty(wire.NewText(64), "pong", f.ID)))
	case wire.TypePong:
	case wire.TypeAuth:
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		defer cancel()
		who, err := s.logic.ValidateToken(ctx, &logicpb.ValidateTokenRequest{Token: f.Token})
		if err != nil {
			c.close(verdict(err))
			return
		}
		s.admit(ctx, c, ws, who)
		s.confirm(c, f)
	default:
		s.malformed(c, f, errs.New(errs.Unauthorized, "authenticate first"))
	}
}

// refresh extends the life of a connection by a newer token of its session.
func (s *Server) refresh(ctx context.Context, c *conn, token string, userID, sessionID int64) error {
	who, err := s.logic.ValidateToken(ctx, &logicpb.ValidateTokenRequest{Token: token})
	if err != nil {
		return err
	}
	if who.GetUserId() != userID || who.GetSessionId() != sessionID {
		return errs.New(errs.Unauthorized, "the token is of another session")
	}
	c.mu.Lock()
	c.expiresAt = max(c.expiresAt, c.hub.clock.at(time.UnixMilli(who.GetExpiresAt())))
	c.mu.Unlock()
	return nil
}

func (c *conn) look(conversation int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.Contains(c.open, conversation) {
		return nil
	}
	if len(c.open) >= maxOpen {
		return errs.InvalidField("conversation_id", "more than %d conversations open", maxOpen)
	}
	c.open = append(c.open, conversation)
	return nil
}

// origin says where the answer to a frame goes.
func (s *Server) origin(c *conn, f *wire.Frame, sessionID int64) *gatewaypb.Origin {
	return &gatewaypb.Origin{
		GatewayId: s.hub.id, ConnectionId: c.id, FrameId: f.ID, SessionId: sessionID,
		RequestId: "w" + strconv.FormatInt(s.hub.nextID(), 36), ReceivedAt: time.Now().UnixMicro(),
	}
}

// doMessage hands a message on; its ack or error comes through Deliver.
func (s *Server) doMessage(c *conn, f *wire.Frame, userID, sessionID int64) (err error) {
	ctx, span := s.traceFrame(s.deadline.context(time.Now()), f)
	defer func() { span.End(err) }()
	if err := s.allowSend(ctx, userID); err != nil {
		s.hub.metrics.limited.Inc()
		return err
	}
	origin := s.origin(c, f, sessionID)
	span.Request(origin.RequestId)
	m := &repopb.NewMessage{
		ConversationId: f.ConversationID, SenderId: userID, Content: f.Content, MessageType: f.MessageType,
		ClientMsgId: f.ClientMsgID, EchoClientMsgId: f.ClientMsgID != "", RequestId: origin.RequestId,
	}
	if m.ClientMsgId == "" {
		m.ClientMsgId = origin.RequestId
	}
	if s.log.Enabled(ctx, slog.LevelDebug) {
		s.log.LogAttrs(ctx, slog.LevelDebug, "message received",
			slog.String("request_id", origin.RequestId), slog.Int64("conversation_id", f.ConversationID), span.Ref().Attr())
	}
	// Counted before the look at leaving: the drain looks the other way round.
	c.unanswered.Add(1)
	err = errDraining
	if !c.leaving.Load() {
		err = s.bus.Publish(ctx, logicpb.UpstreamTopic, bus.Record{
			Key: f.ConversationID, Message: &logicpb.Upstream{Origin: origin, Message: m}, Trace: span.Ref(),
		})
	}
	if err != nil {
		c.unanswered.Add(-1)
	}
	return err
}

// sharedDeadline hands out one context with a deadline to all the sends of a
// moment: a context each costs more than the rest of a send's way to the bus.
type sharedDeadline struct {
	current atomic.Pointer[deadlineContext]
}

type deadlineContext struct {
	context.Context
	until  time.Time
	cancel context.CancelFunc
}

// context returns a context that ends in callTimeout or up to a second earlier.
func (d *sharedDeadline) context(now time.Time) context.Context {
	c := d.current.Load()
	if c != nil && now.Before(c.until) {
		return c
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	fresh := &deadlineContext{Context: ctx, until: now.Add(time.Second), cancel: cancel}
	if !d.current.CompareAndSwap(c, fresh) {
		cancel()
		return d.current.Load()
	}
	return fresh
}
