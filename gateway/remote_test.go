package gateway_test

import (
	"testing"

	"github.com/gochat-im/gochat/gateway"
	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/platform/rpc/rpctest"
)

func TestEveryCallHasItsRemoteSide(t *testing.T) {
	t.Parallel()
	rpctest.Forwards(t, gatewaypb.GatewayService_ServiceDesc.ServiceName, gateway.NewRemote)
}
