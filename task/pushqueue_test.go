package task

import "testing"

// The entry that a restart would replay stays until the last job of its decision is stored.
func TestOutboxEntryOutlivesAPartOfItsJobs(t *testing.T) {
	t.Parallel()
	f := newFixture(t, quietPush)
	const entry, users = 9, 2*jobsPerCall + 1
	f.store.outbox[entry] = nil
	f.store.room = 2 * jobsPerCall
	targets := make([]int64, users)
	for i := range targets {
		targets[i] = int64(i + 1)
	}
	jobs, err := f.queue.jobs(7, targets)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.queue.create(t.Context(), jobs, entry); err == nil {
		t.Error("jobs that could not be stored are no error")
	}
	if stored, left := len(f.store.keysOf()), f.store.outboxLen(); stored != 2*jobsPerCall || left != 1 {
		t.Errorf("%d jobs stored, %d outbox entries left, want %d and the one", stored, left, 2*jobsPerCall)
	}
	f.store.room = 0
	if err := f.queue.create(t.Context(), jobs, entry); err != nil { // the replay
		t.Fatal(err)
	}
	if stored, left := len(f.store.keysOf()), f.store.outboxLen(); stored != users || left != 0 {
		t.Errorf("after the replay: %d jobs of %d, %d outbox entries", stored, users, left)
	}
}
