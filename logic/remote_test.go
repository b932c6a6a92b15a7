package logic_test

import (
	"testing"

	"github.com/gochat-im/gochat/logic"
	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/rpc/rpctest"
)

func TestEveryCallHasItsRemoteSide(t *testing.T) {
	t.Parallel()
	rpctest.Forwards(t, logicpb.LogicService_ServiceDesc.ServiceName, logic.NewRemote)
}
