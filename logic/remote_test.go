package logic_test

import (
	"testing"

	"google.golang.org/grpc"

	"github.com/gochat-im/gochat/logic"
	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/rpc/rpctest"
)

func TestEveryCallHasItsRemoteSide(t *testing.T) {
	t.Parallel()
	rpctest.Forwards(t, logicpb.LogicService_ServiceDesc.ServiceName, logic.NewRemote)
}

func TestNobodyCallsWithoutTheSecret(t *testing.T) {
	t.Parallel()
	service := logicpb.LogicService_ServiceDesc.ServiceName
	address := rpctest.Serve(t, func(s grpc.ServiceRegistrar) {
		logicpb.RegisterLogicServiceServer(s, logicpb.UnimplementedLogicServiceServer{})
	})
	rpctest.RefusesStrangers(t, address, rpctest.Secret, service)
}
