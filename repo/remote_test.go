package repo_test

import (
	"testing"

	"github.com/gochat-im/gochat/platform/rpc/rpctest"
	"github.com/gochat-im/gochat/repo"
	"github.com/gochat-im/gochat/repo/repopb"
)

func TestEveryCallHasItsRemoteSide(t *testing.T) {
	t.Parallel()
	rpctest.Forwards(t, repopb.RepoService_ServiceDesc.ServiceName, repo.NewRemote)
}
