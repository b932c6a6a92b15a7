package gateway

import (
	"context"
	"crypto/rand"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/gateway/internal/wire"
	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/obs"
	"github.com/gochat-im/gochat/repo/repopb"
)

func (s *Server) registerMessages(api huma.API) {
	register(s, api, call{
		id: "send-message", method: http.MethodPost, path: "/api/v1/messages/send", tag: tagMessages, summary: "Send a message",
		description: "Answers once the message is stored. With a client_msg_id a repeated call answers with the first result; " +
			"after 504 (1011) the outcome is unknown: repeat it with the same client_msg_id.",
		errors: []errs.Code{errs.NotFound, errs.Forbidden, errs.Conflict},
	}, s.sendMessage)
	register(s, api, call{
		id: "get-history", method: http.MethodGet, path: "/api/v1/messages/history", tag: tagMessages, summary: "Page a conversation's history",
		description: "Without before_seq and after_seq the newest page. Entries are ascending by seq and stand as they are now: edited, recalled.",
		errors:      []errs.Code{errs.NotFound},
	}, s.history)
	register(s, api, call{
		id: "get-unread", method: http.MethodGet, path: "/api/v1/messages/unread", tag: tagMessages, summary: "Count what is unread",
	}, s.unread)
	register(s, api, call{
		id: "mark-read", method: http.MethodPost, path: "/api/v1/messages/read", tag: tagMessages, summary: "Mark as read up to a seq",
		description: "The pointer never moves back.", status: http.StatusNoContent, errors: []errs.Code{errs.NotFound},
	}, s.markRead)
	register(s, api, call{
		id: "edit-message", method: http.MethodPut, path: "/api/v1/messages/{id}", tag: tagMessages, summary: "Edit one's own message",
		errors: []errs.Code{errs.NotFound, errs.Forbidden, errs.Conflict},
	}, s.editMessage)
	register(s, api, call{
		id: "recall-message", method: http.MethodDelete, path: "/api/v1/messages/{id}", tag: tagMessages, summary: "Recall a message, or hide it for oneself",
		description: "A recalled message loses its content for everyone.",
		status:      http.StatusNoContent, errors: []errs.Code{errs.NotFound, errs.Forbidden, errs.Conflict},
	}, s.recallMessage)
}

// SendBody is a message to be sent.
type SendBody struct {
	ConversationID wire.ID `json:"conversation_id"`
	Content        string  `json:"content" doc:"Not empty; the server limits its bytes (16 KiB by default)." example:"Hello"`
	MessageType    string  `json:"message_type" enum:"text,image,file,audio,video,location,custom"`
	ClientMsgID    string  `json:"client_msg_id,omitempty" maxLength:"64" doc:"The client's own, unique among its messages, up to 64 bytes. The same again is the same message."`
}

type sendInput struct {
	Caller
	Body SendBody
}

// MessageAnswer is one message.
type MessageAnswer struct {
	Message wire.Message `json:"message"`
}

type messageOutput struct{ Body MessageAnswer }

func (s *Server) sendMessage(ctx context.Context, in *sendInput) (*messageOutput, error) {
	if err := s.checkContent(in.Body.Content); err != nil {
		return nil, err
	}
	if err := s.allowSend(ctx, in.userID); err != nil {
		return nil, err
	}
	m := &repopb.NewMessage{
		ConversationId: int64(in.Body.ConversationID), SenderId: in.userID, Content: in.Body.Content, MessageType: in.Body.MessageType,
		ClientMsgId: in.Body.ClientMsgID, EchoClientMsgId: true, RequestId: obs.RequestID(ctx),
	}
	if m.ClientMsgId == "" {
		m.ClientMsgId, m.EchoClientMsgId = "~"+rand.Text(), false
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.HTTP.SendTimeout)
	defer cancel()
	result, err := s.hub.Await(ctx, obs.RequestID(ctx), func(o *gatewaypb.Origin) error {
		o.SessionId = in.sessionID
		_, err := s.logic.SendMessage(ctx, &logicpb.Upstream{Origin: o, Message: m})
		return err
	})
	if err != nil {
		return nil, err
	}
	if code := errs.Code(result.GetCode()); code != errs.OK {
		return nil, &errs.Error{Code: code, Message: result.GetError(), Details: result.GetDetails()}
	}
	return &messageOutput{MessageAnswer{wire.MessageOf(result.GetEvent())}}, nil
}

func (s *Server) checkContent(content string) error {
	switch {
	case content == "":
		return errs.InvalidField("content", "must not be empty")
	case len(content) > s.cfg.MaxMessageBytes:
		return errs.New(errs.TooLarge, "content: must be at most %d bytes", s.cfg.MaxMessageBytes).With("field", "content")
	}
	return nil
}

type historyInput struct {
	Caller
	ConversationID pathID      `query:"conversation_id" required:"true"`
	BeforeSeq      optionalSeq `query:"before_seq" doc:"The page that ends before this seq."`
	AfterSeq       optionalSeq `query:"after_seq" doc:"The page that begins after this seq. Not together with before_seq."`
	Limit          int         `query:"limit" minimum:"1" default:"50" doc:"At most so many; more than 100 means 100."`
	Include        string      `query:"include" enum:"all" doc:"\"all\": the log itself, with edits, recalls and the like, so that the seqs have no holes. Otherwise what people read: messages and notices."`
}

// HistoryAnswer is a page of a conversation's log.
type HistoryAnswer struct {
	Messages []wire.Entry `json:"messages" doc:"Ascending by seq."`
	HasMore  bool         `json:"has_more" doc:"In the direction of paging."`
}

type historyOutput struct{ Body HistoryAnswer }

func (s *Server) history(ctx context.Context, in *historyInput) (*historyOutput, error) {
	switch {
	case in.BeforeSeq.set && in.AfterSeq.set:
		return nil, errs.InvalidField("after_seq", "not together with before_seq")
	case in.BeforeSeq.set && in.BeforeSeq.seq == 0:
		return nil, errs.InvalidField("before_seq", "must be at least 1")
	}
	r, err := s.logic.GetMessageHistory(ctx, &repopb.GetMessagesRequest{
		ConversationId: in.ConversationID.int64, UserId: in.userID, BeforeSeq: in.BeforeSeq.seq,
		AfterSeq: in.AfterSeq.seq, AfterSet: in.AfterSeq.set, Limit: Page{Limit: in.Limit}.limit(), IncludeAll: in.Include == "all",
	})
	if err != nil {
		return nil, err
	}
	return &historyOutput{HistoryAnswer{Messages: wire.EntriesOf(r.GetEvents()), HasMore: r.GetHasMore()}}, nil
}

// UnreadAnswer counts what the caller has not read.
type UnreadAnswer struct {
	Total         int64              `json:"total"`
	Conversations []wire.UnreadCount `json:"conversations" doc:"Those with something unread."`
}

type unreadOutput struct{ Body UnreadAnswer }

func (s *Server) unread(ctx context.Context, in *callerInput) (*unreadOutput, error) {
	r, err := s.logic.GetUnread(ctx, &repopb.GetUnreadRequest{UserId: in.userID})
	if err != nil {
		return nil, err
	}
	out := UnreadAnswer{Total: r.GetTotal(), Conversations: make([]wire.UnreadCount, len(r.GetConversations()))}
	for i, c := range r.GetConversations() {
		out.Conversations[i] = wire.UnreadCountOf(c)
	}
	return &unreadOutput{out}, nil
}

// ReadBody says how far the caller has read.
type ReadBody struct {
	ConversationID wire.ID `json:"conversation_id"`
	Seq            int64   `json:"seq" minimum:"1" maximum:"9007199254740991"`
}

type readInput struct {
	Caller
	Body ReadBody
}

func (s *Server) markRead(ctx context.Context, in *readInput) (*struct{}, error) {
	_, err := s.logic.MarkMessageRead(ctx, &logicpb.MarkMessageReadRequest{
		UserId: in.userID, ConversationId: int64(in.Body.ConversationID), Seq: in.Body.Seq,
	})
	return nil, err
}

// EditBody is a message's new content.
type EditBody struct {
	Content string `json:"content"`
}

type editInput struct {
	Caller
	ID   messageID `path:"id" doc:"A message."`
	Body EditBody
}

// EventAnswer is the event that a change made.
type EventAnswer struct {
	Event wire.Event `json:"event"`
}

type eventOutput struct{ Body EventAnswer }

func (s *Server) editMessage(ctx context.Context, in *editInput) (*eventOutput, error) {
	if err := s.checkContent(in.Body.Content); err != nil {
		return nil, err
	}
	e, err := s.logic.EditMessage(ctx, &logicpb.EditMessageRequest{
		ActorId: in.userID, ConversationId: in.ID.conversationID, Seq: in.ID.seq, Content: in.Body.Content,
	})
	if err != nil {
		return nil, err
	}
	return &eventOutput{EventAnswer{wire.EventOf(e)}}, nil
}

type recallInput struct {
	Caller
	ID    messageID `path:"id" doc:"A message."`
	Scope string    `query:"scope" enum:"self,everyone" default:"everyone" doc:"\"self\" hides the message for the caller only."`
}

func (s *Server) recallMessage(ctx context.Context, in *recallInput) (*struct{}, error) {
	_, err := s.logic.RecallMessage(ctx, &logicpb.RecallMessageRequest{
		ActorId: in.userID, ConversationId: in.ID.conversationID, Seq: in.ID.seq, OnlySelf: in.Scope == "self",
	})
	return nil, err
}
