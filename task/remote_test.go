package task_test

import (
	"testing"

	"github.com/gochat-im/gochat/platform/rpc/rpctest"
	"github.com/gochat-im/gochat/task"
	"github.com/gochat-im/gochat/task/taskpb"
)

func TestEveryCallHasItsRemoteSide(t *testing.T) {
	t.Parallel()
	rpctest.Forwards(t, taskpb.TaskService_ServiceDesc.ServiceName, task.NewRemote)
}
