package task_test

import (
	"testing"

	"google.golang.org/grpc"

	"github.com/gochat-im/gochat/platform/rpc/rpctest"
	"github.com/gochat-im/gochat/task"
	"github.com/gochat-im/gochat/task/taskpb"
)

func TestEveryCallHasItsRemoteSide(t *testing.T) {
	t.Parallel()
	rpctest.Forwards(t, taskpb.TaskService_ServiceDesc.ServiceName, task.NewRemote)
}

func TestNobodyCallsWithoutTheSecret(t *testing.T) {
	t.Parallel()
	service := taskpb.TaskService_ServiceDesc.ServiceName
	address := rpctest.Serve(t, func(s grpc.ServiceRegistrar) {
		taskpb.RegisterTaskServiceServer(s, taskpb.UnimplementedTaskServiceServer{})
	})
	rpctest.RefusesStrangers(t, address, rpctest.Secret, service)
}
