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

func testOutbox(t *testing.T, f *jobFixture) {
	u := f.users(t, 2)
	a, b := f.newGroup(t, u[0], u[1]).GetId(), f.newGroup(t, u[0]).GetId()
	say := func(key string, outbox bool, groups ...int64) int64 {
		r := &repopb.CreateMessagesRequest{PushOutbox: outbox}
		for i, g := range groups {
			r.Messages = append(r.Messages, &repopb.NewMessage{
				ConversationId: g, SenderId: u[0], ClientMsgId: fmt.Sprint(key, i), Content: "x", MessageType: "text",
			})
		}
		created, err := f.CreateMessages(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		return created.GetOutboxId()
	}
	list := func(before int64, limit int32) []*repopb.OutboxEntry {
		r, err := f.ListOutbox(t.Context(), &repopb.ListOutboxRequest{Before: before, Limit: limit})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetEntries()
	}
	if id := say("silent", false, a); id != 0 {
		t.Errorf("outbox entry %d without being asked", id)
	}
	first, second := say("one", true, a, b, a), say("two", true, b)
	later := time.Now().Add(time.Hour).UnixMilli()
	entries := list(later, 10)
	if len(entries) != 2 || entries[0].GetId() != first || entries[1].GetId() != second {
		t.Fatalf("outbox: %v", entries)
	}
	ranges := map[int64][2]int64{}
	for _, r := range entries[0].GetRanges() {
		ranges[r.GetConversationId()] = [2]int64{r.GetFromSeq(), r.GetToSeq()}
	}
	if len(ranges) != 2 || ranges[a] != [2]int64{3, 4} || ranges[b] != [2]int64{2, 2} {
		t.Errorf("ranges: %v", ranges)
	}
	if got := list(later, 1); len(got) != 1 || got[0].GetId() != first {
		t.Errorf("limited: %v", got)
	}
	if got := list(1000, 10); len(got) != 0 {
		t.Errorf("before the beginning: %v", got)
	}
	for range 2 { // retry-safe
		_, err := f.CreateJobs(t.Context(), &repopb.CreateJobsRequest{Jobs: []*repopb.Job{{Kind: "push", Key: "k"}}, DoneOutboxId: first})
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := list(later, 10); len(got) != 1 || got[0].GetId() != second {
		t.Errorf("after the first was done: %v", got)
	}
	if pending, _ := f.counts(t); pending != 1 {
		t.Errorf("%d jobs", pending)
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
