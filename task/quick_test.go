package task

import (
	"context"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/repo/repopb"
)

// quickStore answers at once, so that a benchmark measures task.
type quickStore struct {
	repopb.RepoServiceServer
	route *repopb.Route
	seq   int64
}

func (s *quickStore) CreateMessages(_ context.Context, req *repopb.CreateMessagesRequest) (*repopb.CreateMessagesResponse, error) {
	events, results := make([]repopb.Event, len(req.Messages)), make([]repopb.CreateMessageResult, len(req.Messages))
	out := &repopb.CreateMessagesResponse{Routes: []*repopb.Route{s.route}, Results: make([]*repopb.CreateMessageResult, len(req.Messages))}
	for i := range results {
		s.seq++
		events[i].ConversationId, events[i].Seq = s.route.ConversationId, s.seq
		events[i].ConversationType = repopb.ConversationType_CONVERSATION_TYPE_GROUP
		results[i].Event = &events[i]
		out.Results[i] = &results[i]
	}
	return out, nil
}

type quickSockets struct{ gatewaypb.GatewayServiceServer }

func (quickSockets) Deliver(context.Context, *gatewaypb.DeliverRequest) (*gatewaypb.DeliverResponse, error) {
	return &gatewaypb.DeliverResponse{}, nil
}
