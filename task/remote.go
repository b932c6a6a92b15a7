package task

import (
	"context"

	"google.golang.org/grpc"

	"github.com/gochat-im/gochat/repo/repopb"
	"github.com/gochat-im/gochat/task/taskpb"
)

// remote is the role in another process: each method calls its namesake there.
type remote struct{ c taskpb.TaskServiceClient }

// NewRemote returns the role behind a connection.
func NewRemote(conn grpc.ClientConnInterface) taskpb.TaskServiceServer {
	return remote{taskpb.NewTaskServiceClient(conn)}
}

func (r remote) Submit(ctx context.Context, in *taskpb.SubmitRequest) (*repopb.Empty, error) {
	return r.c.Submit(ctx, in)
}

func (r remote) Stats(ctx context.Context, in *repopb.Empty) (*taskpb.StatsResponse, error) {
	return r.c.Stats(ctx, in)
}

func (r remote) ListDead(ctx context.Context, in *repopb.ListDeadJobsRequest) (*repopb.ListDeadJobsResponse, error) {
	return r.c.ListDead(ctx, in)
}

func (r remote) Requeue(ctx context.Context, in *repopb.RequeueJobsRequest) (*repopb.RequeueJobsResponse, error) {
	return r.c.Requeue(ctx, in)
}
