package repotest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

// Jobs holds an implementation to the contract of jobs and the outbox.
func Jobs(t *testing.T, open func(t testing.TB) repopb.RepoServiceServer) {
	for name, test := range map[string]func(*testing.T, *jobFixture){
		"life":          testJobLife,
		"keys":          testJobKeys,
		"order":         testJobOrder,
		"lease":         testJobLease,
		"claim once":    testJobClaimedOnce,
		"late outcomes": testJobLateOutcome,
		"dead":          testDeadJobs,
		"requeue":       testRequeue,
		"requeue many":  testRequeueMany,
		"outbox":        testOutbox,
		"bad input":     testJobBadInput,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, &jobFixture{groupFixture{RepoServiceServer: open(t)}})
		})
	}
}

type jobFixture struct{ groupFixture }

func (f *jobFixture) create(t testing.TB, jobs ...*repopb.Job) {
	t.Helper()
	if _, err := f.CreateJobs(t.Context(), &repopb.CreateJobsRequest{Jobs: jobs}); err != nil {
		t.Fatal(err)
	}
}

// claim leases for an hour, or for a time that is over at once.
func (f *jobFixture) claim(t testing.TB, limit int32, lease time.Duration) []*repopb.Job {
	t.Helper()
	r, err := f.ClaimJobs(t.Context(), &repopb.ClaimJobsRequest{Limit: limit, LeaseUntil: time.Now().Add(lease).UnixMilli()})
	if err != nil {
		t.Fatal(err)
	}
	return r.GetJobs()
}

func (f *jobFixture) finish(t testing.TB, outcomes ...*repopb.JobOutcome) {
	t.Helper()
	if _, err := f.FinishJobs(t.Context(), &repopb.FinishJobsRequest{Outcomes: outcomes}); err != nil {
		t.Fatal(err)
	}
}

func (f *jobFixture) counts(t testing.TB) (pending, dead int64) {
	t.Helper()
	s, err := f.Stats(t.Context(), &repopb.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	return s.GetPendingJobs(), s.GetDeadJobs()
}

func (f *jobFixture) dead(t testing.TB, before int64, limit int32) *repopb.ListDeadJobsResponse {
	t.Helper()
	r, err := f.ListDeadJobs(t.Context(), &repopb.ListDeadJobsRequest{BeforeId: before, Limit: limit})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func kinds(jobs []*repopb.Job) []string {
	out := make([]string, len(jobs))
	for i, j := range jobs {
		out[i] = j.GetKind()
	}
	return out
}

func testJobLife(t *testing.T, f *jobFixture) {
	f.create(t, &repopb.Job{Kind: "push", Key: "k", Payload: []byte{0, 1, 255}, DueAt: 5})
	jobs := f.claim(t, 10, time.Hour)
	if len(jobs) != 1 {
		t.Fatalf("claimed %v", jobs)
	}
	j := jobs[0]
	if j.GetId() == 0 || j.GetKind() != "push" || j.GetKey() != "k" || !slices.Equal(j.GetPayload(), []byte{0, 1, 255}) ||
		j.GetDueAt() != 5 || j.GetAttempts() != 1 || j.GetCreatedAt() == 0 || j.GetLastError() != "" {
		t.Errorf("claimed: %v", j)
	}
	f.finish(t, &repopb.JobOutcome{Id: j.GetId(), DueAt: 6, Error: "not yet"})
	jobs = f.claim(t, 10, time.Hour)
	if len(jobs) != 1 || jobs[0].GetAttempts() != 2 || jobs[0].GetLastError() != "not yet" || jobs[0].GetDueAt() != 6 {
		t.Fatalf("claimed again: %v", jobs)
	}
	f.finish(t, &repopb.JobOutcome{Id: j.GetId(), Done: true})
	f.finish(t, &repopb.JobOutcome{Id: j.GetId(), Done: true}) // twice is once
	if pending, dead := f.counts(t); pending != 0 || dead != 0 {
		t.Errorf("left: %d pending, %d dead", pending, dead)
	}
}

func testJobKeys(t *testing.T, f *jobFixture) {
	f.create(t, &repopb.Job{Kind: "first", Key: "a"}, &repopb.Job{Kind: "second", Key: "a"}, &repopb.Job{Kind: "none"}, &repopb.Job{Kind: "none"})
	f.create(t, &repopb.Job{Kind: "third", Key: "a"})
	jobs := f.claim(t, 10, time.Hour)
	if got := kinds(jobs); !slices.Equal(got, []string{"first", "none", "none"}) {
		t.Errorf("jobs: %v", got)
	}
	f.create(t, &repopb.Job{Kind: "fourth", Key: "a"}) // a claimed job holds its key
	if jobs := f.claim(t, 10, time.Hour); len(jobs) != 0 {
		t.Errorf("beside a claimed job of its key: %v", jobs)
	}
	f.finish(t, &repopb.JobOutcome{Id: jobs[0].GetId(), Dead: true, Error: "broken"})
	f.create(t, &repopb.Job{Kind: "fifth", Key: "a"}) // a dead one does not
	if jobs := f.claim(t, 10, time.Hour); !slices.Equal(kinds(jobs), []string{"fifth"}) {
		t.Errorf("after the first died: %v", jobs)
	}
}

func testJobOrder(t *testing.T, f *jobFixture) {
	future := time.Now().Add(time.Hour).UnixMilli()
	f.create(t,
		&repopb.Job{Kind: "later", DueAt: future}, &repopb.Job{Kind: "c", DueAt: 30}, &repopb.Job{Kind: "a", DueAt: 10}, &repopb.Job{Kind: "b", DueAt: 20})
	if got := kinds(f.claim(t, 2, time.Hour)); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("first: %v", got)
	}
	if got := kinds(f.claim(t, 2, time.Hour)); !slices.Equal(got, []string{"c"}) {
		t.Errorf("then: %v", got)
	}
	if got := f.claim(t, 2, time.Hour); len(got) != 0 {
		t.Errorf("at last: %v", got)
	}
}

func testJobLease(t *testing.T, f *jobFixture) {
	f.create(t, &repopb.Job{Kind: "a"})
	if got := f.claim(t, 1, -time.Second); len(got) != 1 { // the lease is over when it begins
		t.Fatalf("claimed: %v", got)
	}
	if got := f.claim(t, 1, time.Hour); len(got) != 1 || got[0].GetAttempts() != 2 {
		t.Errorf("after the lease: %v", got)
	}
	if got := f.claim(t, 1, time.Hour); len(got) != 0 {
		t.Errorf("during the lease: %v", got)
	}
}

func testJobClaimedOnce(t *testing.T, f *jobFixture) {
	const n = 200
	jobs := make([]*repopb.Job, n)
	for i := range jobs {
		jobs[i] = &repopb.Job{Kind: fmt.Sprint(i)}
	}
	f.create(t, jobs...)
	var mu sync.Mutex // guards claimed
	claimed := map[int64]int{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				r, err := f.ClaimJobs(t.Context(), &repopb.ClaimJobsRequest{Limit: 7, LeaseUntil: time.Now().Add(time.Hour).UnixMilli()})
				if err != nil {
					t.Error(err)
				}
				if len(r.GetJobs()) == 0 {
					return
				}
				mu.Lock()
				for _, j := range r.GetJobs() {
					claimed[j.GetId()]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(claimed) != n {
		t.Errorf("claimed %d of %d", len(claimed), n)
	}
	for id, times := range claimed {
		if times != 1 {
			t.Errorf("job %d: claimed %d times", id, times)
		}
	}
}

func testJobBadInput(t *testing.T, f *jobFixture) {
	_, err := f.CreateJobs(t.Context(), &repopb.CreateJobsRequest{Jobs: []*repopb.Job{{Kind: "good"}, {}}})
	wantCode(t, "a job without a kind", err, errs.Invalid)
	for _, limit := range []int32{0, -1, 1 << 30} {
		_, err := f.ClaimJobs(t.Context(), &repopb.ClaimJobsRequest{Limit: limit})
		wantCode(t, "claim", err, errs.Invalid)
		_, err = f.ListDeadJobs(t.Context(), &repopb.ListDeadJobsRequest{Limit: limit})
		wantCode(t, "list dead", err, errs.Invalid)
		_, err = f.ListOutbox(t.Context(), &repopb.ListOutboxRequest{Limit: limit})
		wantCode(t, "list outbox", err, errs.Invalid)
	}
	if pending, _ := f.counts(t); pending != 0 {
		t.Errorf("%d jobs", pending)
	}
}
