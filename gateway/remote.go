package gateway

import (
	"context"

	"google.golang.org/grpc"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
)

// remote is the role in another process: each method calls its namesake there.
type remote struct {
	c gatewaypb.GatewayServiceClient
}

// NewRemote returns the role behind a connection.
func NewRemote(conn grpc.ClientConnInterface) gatewaypb.GatewayServiceServer {
	return remote{gatewaypb.NewGatewayServiceClient(conn)}
}

func (r remote) Deliver(ctx context.Context, in *gatewaypb.DeliverRequest) (*gatewaypb.DeliverResponse, error) {
	return r.c.Deliver(ctx, in)
}

func (r remote) Disconnect(ctx context.Context, in *gatewaypb.DisconnectRequest) (*gatewaypb.DisconnectResponse, error) {
	return r.c.Disconnect(ctx, in)
}

func (r remote) Stats(ctx context.Context, in *gatewaypb.StatsRequest) (*gatewaypb.StatsResponse, error) {
	return r.c.Stats(ctx, in)
}
