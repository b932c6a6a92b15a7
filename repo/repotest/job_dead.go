package repotest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gochat-im/gochat/repo/repopb"
)

func testJobLateOutcome(t *testing.T, f *jobFixture) {
	f.create(t, &repopb.Job{Kind: "a"})
	id := f.claim(t, 1, -time.Second)[0].GetId()
	f.claim(t, 1, time.Hour)
	f.finish(t, &repopb.JobOutcome{Id: id, Done: true})
	f.create(t, &repopb.Job{Kind: "b"})
	next := f.claim(t, 1, time.Hour)[0]
	f.finish(t, &repopb.JobOutcome{Id: id, Dead: true}, &repopb.JobOutcome{Id: id, Done: true}) // the first worker's, too late
	if next.GetId() == id {
		t.Error("an id came back")
	}
	if pending, dead := f.counts(t); pending != 1 || dead != 0 {
		t.Errorf("%d pending, %d dead", pending, dead)
	}
}

func testDeadJobs(t *testing.T, f *jobFixture) {
	for i := range 5 {
		f.create(t, &repopb.Job{Kind: fmt.Sprint(i)})
	}
	for _, j := range f.claim(t, 10, time.Hour) {
		f.finish(t, &repopb.JobOutcome{Id: j.GetId(), Dead: true, Error: "why " + j.GetKind()})
	}
	var got []string
	for before := int64(0); ; {
		page := f.dead(t, before, 2)
		for _, j := range page.GetJobs() {
			before = j.GetId()
			got = append(got, j.GetKind())
			if j.GetLastError() != "why "+j.GetKind() {
				t.Errorf("dead: %v", j)
			}
		}
		if !page.GetHasMore() {
			break
		}
	}
	if !slices.Equal(got, []string{"4", "3", "2", "1", "0"}) {
		t.Errorf("dead jobs: %v", got)
	}
	if jobs := f.claim(t, 10, time.Hour); len(jobs) != 0 {
		t.Errorf("dead jobs were claimed: %v", jobs)
	}
	id := f.dead(t, 0, 1).GetJobs()[0].GetId()
	f.finish(t, &repopb.JobOutcome{Id: id, Done: true}) // an outcome of a dead job changes nothing
	if pending, dead := f.counts(t); pending != 0 || dead != 5 {
		t.Errorf("%d pending, %d dead", pending, dead)
	}
}

func (f *jobFixture) bury(t testing.TB, jobs ...*repopb.Job) []int64 {
	t.Helper()
	var ids []int64
	for _, j := range jobs {
		f.create(t, j)
		claimed := f.claim(t, 1, time.Hour)
		f.finish(t, &repopb.JobOutcome{Id: claimed[0].GetId(), Dead: true, Error: "broken"})
		ids = append(ids, claimed[0].GetId())
	}
	return ids
}

func (f *jobFixture) requeue(t testing.TB, ids ...int64) int64 {
	t.Helper()
	r, err := f.RequeueJobs(t.Context(), &repopb.RequeueJobsRequest{Ids: ids})
	if err != nil {
		t.Fatal(err)
	}
	return r.GetRequeued()
}

func testRequeue(t *testing.T, f *jobFixture) {
	ids := f.bury(t, &repopb.Job{Kind: "a", Key: "same"}, &repopb.Job{Kind: "b", Key: "same"}, &repopb.Job{Kind: "c"}, &repopb.Job{Kind: "d", Key: "held"})
	if n := f.requeue(t, ids[2], 12345); n != 1 {
		t.Errorf("requeued %d, want 1", n)
	}
	jobs := f.claim(t, 10, time.Hour)
	if len(jobs) != 1 || jobs[0].GetId() != ids[2] || jobs[0].GetAttempts() != 1 || jobs[0].GetLastError() != "broken" {
		t.Errorf("requeued: %v", jobs)
	}
	if n := f.requeue(t, ids[2]); n != 0 {
		t.Errorf("a live job was requeued")
	}
	f.create(t, &repopb.Job{Kind: "e", Key: "held"})
	if n := f.requeue(t); n != 1 { // one of the same key; the held one is deleted
		t.Errorf("requeued %d, want 1", n)
	}
	if pending, dead := f.counts(t); pending != 3 || dead != 0 {
		t.Errorf("%d pending, %d dead", pending, dead)
	}
	if got := kinds(f.claim(t, 10, time.Hour)); !slices.Equal(slices.Sorted(slices.Values(got)), []string{"a", "e"}) {
		t.Errorf("claimed: %v", got)
	}
}

func testRequeueMany(t *testing.T, f *jobFixture) {
	const n = 2500
	jobs := make([]*repopb.Job, n)
	for i := range jobs {
		jobs[i] = &repopb.Job{Kind: "a"}
	}
	f.create(t, jobs...)
	outcomes := make([]*repopb.JobOutcome, 0, n)
	for _, j := range f.claim(t, n, time.Hour) {
		outcomes = append(outcomes, &repopb.JobOutcome{Id: j.GetId(), Dead: true})
	}
	f.finish(t, outcomes...)
	if got := f.requeue(t); got != n {
		t.Errorf("requeued %d of %d", got, n)
	}
	if pending, dead := f.counts(t); pending != n || dead != 0 {
		t.Errorf("%d pending, %d dead", pending, dead)
	}
}
