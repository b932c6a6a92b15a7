package gateway_test

import (
	"testing"

	"google.golang.org/grpc"

	"github.com/gochat-im/gochat/gateway"
	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/platform/rpc/rpctest"
)

func TestEveryCallHasItsRemoteSide(t *testing.T) {
	t.Parallel()
	rpctest.Forwards(t, gatewaypb.GatewayService_ServiceDesc.ServiceName, gateway.NewRemote)
}

func TestNobodyCallsWithoutTheSecret(t *testing.T) {
	t.Parallel()
	service := gatewaypb.GatewayService_ServiceDesc.ServiceName
	address := rpctest.Serve(t, func(s grpc.ServiceRegistrar) {
		gatewaypb.RegisterGatewayServiceServer(s, gatewaypb.UnimplementedGatewayServiceServer{})
	})
	rpctest.RefusesStrangers(t, address, rpctest.Secret, service)
}
