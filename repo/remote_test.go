package repo_test

import (
	"testing"

	"google.golang.org/grpc"

	"github.com/gochat-im/gochat/platform/rpc/rpctest"
	"github.com/gochat-im/gochat/repo"
	"github.com/gochat-im/gochat/repo/repopb"
)

func TestEveryCallHasItsRemoteSide(t *testing.T) {
	t.Parallel()
	rpctest.Forwards(t, repopb.RepoService_ServiceDesc.ServiceName, repo.NewRemote)
}

func TestNobodyCallsWithoutTheSecret(t *testing.T) {
	t.Parallel()
	service := repopb.RepoService_ServiceDesc.ServiceName
	address := rpctest.Serve(t, func(s grpc.ServiceRegistrar) {
		repopb.RegisterRepoServiceServer(s, repopb.UnimplementedRepoServiceServer{})
	})
	rpctest.RefusesStrangers(t, address, rpctest.Secret, service)
}
