package task

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/rpc/rpctest"
	"github.com/gochat-im/gochat/repo/repopb"
	"github.com/gochat-im/gochat/task/taskpb"
)

// reach is how a caller reaches the role.
type reach func(t *testing.T, f *fixture) taskpb.TaskServiceServer

// TestContract is what the role promises its callers, in the same process and over gRPC.
func TestContract(t *testing.T) {
	t.Parallel()
	ways := map[string]reach{
		"in process": func(_ *testing.T, f *fixture) taskpb.TaskServiceServer { return f.Service },
		"over gRPC": func(t *testing.T, f *fixture) taskpb.TaskServiceServer {
			return NewRemote(rpctest.Connect(t, taskpb.TaskService_ServiceDesc.ServiceName, func(r grpc.ServiceRegistrar) {
				taskpb.RegisterTaskServiceServer(r, f.Service)
			}))
		},
	}
	for name, way := range ways {
		for what, test := range map[string]func(t *testing.T, reach reach){"dead jobs": testDeadJobs, "submit": testSubmit, "the store is down": testStoreDown} {
			t.Run(what+" "+name, func(t *testing.T) {
				t.Parallel()
				test(t, way)
			})
		}
	}
}

// A job is dead after its attempts, is listed without what its receiver's address hides, and is done when it is asked for again.
func testDeadJobs(t *testing.T, reach reach) {
	h, url := newHook(t)
	h.status = []int{500, 500, 500}
	f := newFixture(t, func(c *Config) {
		withPush(url + "/hook?token=hidden")(c)
		c.Push.Attempts = 3
	})
	f.store.group(7, 1, 2)
	f.store.views[pushTarget{7, 2}] = view(5, 3)
	start(t, f)
	role := reach(t, f)
	f.persistAll(t, message(7, 1, "a"))
	dead := func() int64 {
		s, err := role.Stats(t.Context(), &repopb.Empty{})
		if err != nil {
			t.Fatal(err)
		}
		return s.DeadJobs
	}
	eventually(t, "the job is dead", func() bool { return dead() == 1 })
	if n := len(h.got()); n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
	list, err := role.ListDead(t.Context(), &repopb.ListDeadJobsRequest{})
	if err != nil || strings.Contains(list.Jobs[0].LastError, "hidden") {
		t.Errorf("dead jobs = %v, %v", list, err)
	}
	if _, err := role.Requeue(t.Context(), &repopb.RequeueJobsRequest{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the requeued job is done", func() bool { return dead() == 0 && len(h.got()) == 4 })
}

func testSubmit(t *testing.T, reach reach) {
	role := reach(t, newFixture(t, nil))
	for kind, want := range map[string]errs.Code{"": errs.Invalid, "unknown": errs.Conflict, "push": errs.OK} {
		_, err := role.Submit(t.Context(), &taskpb.SubmitRequest{Job: &repopb.Job{Kind: kind}})
		if errs.CodeOf(err) != want {
			t.Errorf("kind %q: %v, want %v", kind, err, want)
		}
	}
	if _, err := role.Submit(t.Context(), &taskpb.SubmitRequest{}); errs.CodeOf(err) != errs.Invalid {
		t.Errorf("no job: %v", err)
	}
}

// Every call answers with the store's error, and a caller that gave up with that.
func testStoreDown(t *testing.T, reach reach) {
	f := newFixture(t, nil)
	role := reach(t, f)
	f.store.setDown(errs.New(errs.Unavailable, "no database").RetryAfter(1500e6))
	calls := map[string]func(ctx context.Context) error{
		"Submit": func(ctx context.Context) error {
			_, err := role.Submit(ctx, &taskpb.SubmitRequest{Job: &repopb.Job{Kind: "push"}})
			return err
		},
		"ListDead": func(ctx context.Context) error {
			_, err := role.ListDead(ctx, &repopb.ListDeadJobsRequest{})
			return err
		},
		"Requeue": func(ctx context.Context) error {
			_, err := role.Requeue(ctx, &repopb.RequeueJobsRequest{})
			return err
		},
	}
	for name, call := range calls {
		if e := errs.From(call(t.Context())); e.Code != errs.Unavailable || e.Details["retry_after_ms"] != "1500" {
			t.Errorf("%s: %v %v", name, e, e.Details)
		}
	}
}
