package task

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/repo/repopb"
	"github.com/gochat-im/gochat/task/taskpb"
)

// process runs jobs of kind "k" on a store until stop is called, politely or by force.
func process(t *testing.T, s *store, run jobFunc) (r *runner, stop, kill func()) {
	t.Helper()
	r = newRunner(DefaultConfig().Jobs, time.Second, s, map[string]jobKind{
		"k": {run: run, attempts: 3, backoff: 10 * time.Second, maxBackoff: time.Minute},
	}, newMetrics(nil), slog.New(slog.DiscardHandler))
	work, cut := context.WithCancel(t.Context())
	claiming, end := context.WithCancel(work)
	done := make(chan struct{})
	go func() {
		r.run(claiming, work)
		close(done)
	}()
	return r, func() { end(); <-done; cut() }, func() { cut(); <-done; end() }
}

func addJob(t *testing.T, s *store, j *repopb.Job) {
	t.Helper()
	if _, err := s.CreateJobs(t.Context(), &repopb.CreateJobsRequest{Jobs: []*repopb.Job{j}}); err != nil {
		t.Fatal(err)
	}
}

func TestJobOfALostProcessRunsAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		addJob(t, s, &repopb.Job{Kind: "k", Key: "x"})
		_, _, kill := process(t, s, func(ctx context.Context, _ *repopb.Job) (func(context.Context) error, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		synctest.Wait()
		kill()
		equal(t, "jobs", s.keysOf(), []string{"x"})

		var runs atomic.Int32
		_, stop, _ := process(t, s, func(_ context.Context, j *repopb.Job) (func(context.Context) error, error) {
			runs.Add(j.Attempts)
			return nil, nil
		})
		time.Sleep(30 * time.Second)
		if runs.Load() != 0 {
			t.Error("ran under another's lease")
		}
		time.Sleep(40 * time.Second)
		stop()
		if runs.Load() != 2 {
			t.Errorf("attempt = %d, want the second", runs.Load())
		}
		equal(t, "jobs", s.keysOf(), nil)
	})
}

func TestJobWhoseOutcomeWasNotStoredRunsAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		addJob(t, s, &repopb.Job{Kind: "k", Key: "x"})
		var runs atomic.Int32
		_, stop, _ := process(t, s, func(context.Context, *repopb.Job) (func(context.Context) error, error) {
			if runs.Add(1) == 1 {
				s.setDown(errors.New("gone"))
			}
			return nil, nil
		})
		time.Sleep(2 * time.Second)
		s.setDown(nil)
		time.Sleep(2 * time.Minute)
		stop()
		if runs.Load() != 2 {
			t.Errorf("%d runs, want 2", runs.Load())
		}
	})
}

func TestJobBacksOffThenDies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		addJob(t, s, &repopb.Job{Kind: "k"})
		addJob(t, s, &repopb.Job{Kind: "nobody knows"})
		begun := time.Now()
		var at []time.Duration
		_, stop, _ := process(t, s, func(context.Context, *repopb.Job) (func(context.Context) error, error) {
			at = append(at, time.Since(begun))
			panic("boom")
		})
		time.Sleep(5 * time.Minute)
		stop()
		if len(at) != 3 {
			t.Fatalf("%d runs, want 3", len(at))
		}
		if first, second := at[1]-at[0], at[2]-at[1]; first < 5*time.Second || first > 11*time.Second || second < 10*time.Second || second > 21*time.Second {
			t.Errorf("waited %v and %v, want 5–10 s and 10–20 s", first, second)
		}
		dead, _ := s.ListDeadJobs(t.Context(), nil)
		if len(dead.Jobs) != 2 {
			t.Errorf("%d dead jobs, want 2", len(dead.Jobs))
		}
	})
}

func TestRunnerIsIdleWithoutJobsAndWakesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		var ran atomic.Bool
		r, stop, _ := process(t, s, func(context.Context, *repopb.Job) (func(context.Context) error, error) {
			ran.Store(true)
			return nil, nil
		})
		time.Sleep(time.Minute + time.Millisecond)
		if n := s.claims(); n > 61 {
			t.Errorf("%d queries in an idle minute", n)
		}
		addJob(t, s, &repopb.Job{Kind: "k"})
		r.wake()
		synctest.Wait()
		if !ran.Load() {
			t.Error("the job waits for the poll")
		}
		stop()
	})
}

func TestRunnerIsBoundedAndKeepsItsWorkersBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		for range 80 {
			addJob(t, s, &repopb.Job{Kind: "k"})
		}
		var running, most, ran atomic.Int32
		_, stop, _ := process(t, s, func(context.Context, *repopb.Job) (func(context.Context) error, error) {
			most.Store(max(most.Load(), running.Add(1)))
			time.Sleep(10 * time.Millisecond)
			running.Add(-1)
			ran.Add(1)
			return nil, nil
		})
		time.Sleep(200 * time.Millisecond) // 80 jobs of 10 ms by 8 workers take 100
		stop()
		if ran.Load() != 80 || most.Load() > 8 {
			t.Errorf("%d ran, %d at once; want 80 and at most 8", ran.Load(), most.Load())
		}
	})
}

func TestDeadRecordIsKeptAndRequeued(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, quietPush)
		f.store.group(7, 1, 2)
		start(t, f)
		record := bus.Record{Key: 7, Message: committed(f.store.commit(7, repopb.EventKind_EVENT_KIND_EDIT))}
		for range 2 { // told twice, kept once
			if err := f.topics.topic[taskpb.PersistTopic].OnDead(t.Context(), record, errors.New("poison")); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		dead, err := f.ListDead(t.Context(), &repopb.ListDeadJobsRequest{})
		if err != nil || len(dead.Jobs) != 1 || dead.Jobs[0].Kind != "bus:im-persist-topic" {
			t.Fatalf("dead jobs = %v, %v", dead, err)
		}
		if n := f.topics.count(taskpb.PersistTopic); n != 0 {
			t.Fatalf("published %d times before it was requeued", n)
		}
		if _, err := f.Requeue(t.Context(), &repopb.RequeueJobsRequest{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		equal(t, "delivered", f.sockets.seqs(7), []int64{1})
		equal(t, "jobs", f.store.keysOf(), nil)
	})
}

func TestStopCutsOffJobsWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		f.runner.kinds["k"] = jobKind{attempts: 1, run: func(ctx context.Context, _ *repopb.Job) (func(context.Context) error, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		addJob(t, f.store, &repopb.Job{Kind: "k", Key: "x"})
		if err := f.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := f.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Stop = %v", err)
		}
		equal(t, "jobs", f.store.keysOf(), []string{"x"})
	})
}
