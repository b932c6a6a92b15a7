package task

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gochat-im/gochat/repo/repopb"
)

// jobFunc does a job's work. It runs at least once, and must end with its
// context. finished, when not nil, is called after the job was deleted.
type jobFunc func(ctx context.Context, job *repopb.Job) (finished func(context.Context) error, err error)

// jobKind is how jobs of one kind are run.
type jobKind struct {
	run        jobFunc
	attempts   int // before it is buried
	backoff    time.Duration
	maxBackoff time.Duration
}

// errBury buries a job whatever its attempts.
var errBury = errors.New("bury the job")

// runner claims due jobs under a lease and runs them. What a lost process had
// claimed runs again when its lease ends.
type runner struct {
	cfg         JobsConfig
	callTimeout time.Duration
	repo        repopb.RepoServiceServer
	kinds       map[string]jobKind
	metrics     *metrics
	log         *slog.Logger

	kick    chan struct{} // one pending kick is enough
	freed   chan struct{} // a worker is free again
	slots   chan struct{} // one for each running job
	workers sync.WaitGroup
}

func newRunner(cfg JobsConfig, callTimeout time.Duration, repo repopb.RepoServiceServer, kinds map[string]jobKind, m *metrics, log *slog.Logger) *runner {
	return &runner{
		cfg: cfg, callTimeout: callTimeout, repo: repo, kinds: kinds, metrics: m, log: log,
		kick: make(chan struct{}, 1), freed: make(chan struct{}, 1), slots: make(chan struct{}, cfg.Workers),
	}
}

// wake makes the runner look for due jobs now.
func (r *runner) wake() { signal(r.kick) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run claims jobs until claiming ends, and starts them under the context of
// work. It returns when the last one that it started is done.
func (r *runner) run(claiming, work context.Context) {
	defer r.workers.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		more := false // are there due jobs that no worker was free for?
		if free := r.cfg.Workers - len(r.slots); free > 0 {
			more = r.claim(claiming, work, free)
		} else {
			more = true
		}
		timer.Reset(r.cfg.PollInterval)
		freed := r.freed
		if !more {
			freed = nil
		}
		select {
		case <-claiming.Done():
			return
		case <-timer.C:
		case <-r.kick:
		case <-freed:
		}
	}
}

// claim starts up to free due jobs, and says whether there may be more.
func (r *runner) claim(claiming, work context.Context, free int) bool {
	ctx, cancel := context.WithTimeout(claiming, r.callTimeout)
	defer cancel()
	lease := time.Now().Add(r.cfg.Lease)
	answer, err := r.repo.ClaimJobs(ctx, &repopb.ClaimJobsRequest{Limit: int32(free), LeaseUntil: lease.UnixMilli()})
	if err != nil {
		if claiming.Err() == nil {
			r.log.WarnContext(claiming, "jobs could not be claimed", "error", err)
		}
		return false
	}
	for _, job := range answer.Jobs {
		r.slots <- struct{}{} // never waits: no more than free were claimed
		r.workers.Go(func() {
			defer func() {
				<-r.slots
				signal(r.freed)
			}()
			r.work(work, job, lease)
		})
	}
	return len(answer.Jobs) == free
}

// work runs one job and stores its outcome. It gives up well before the lease
// ends, so that no other process runs the job at the same time.
func (r *runner) work(ctx context.Context, job *repopb.Job, lease time.Time) {
	r.metrics.jobLag.Observe(max(time.Since(time.UnixMilli(job.DueAt)), 0).Seconds())
	limited, cancel := context.WithDeadline(ctx, lease.Add(-r.cfg.Lease/10))
	defer cancel()
	finished, err := r.attempt(limited, job)
	if ctx.Err() != nil && err != nil {
		return // the process stops: the lease's end brings the job back
	}
	outcome, label := r.outcome(job, err, time.Now())
	r.metrics.jobs.WithLabelValues(label).Inc()
	if err := r.finish(ctx, outcome); err != nil {
		r.log.WarnContext(ctx, "a job's outcome was not stored, it will run again", "kind", job.Kind, "job_id", job.Id, "error", err)
		return
	}
	if err == nil && finished != nil {
		if err := finished(ctx); err != nil {
			r.log.WarnContext(ctx, "a finished job could not be followed up", "kind", job.Kind, "job_id", job.Id, "error", err)
		}
	}
}

func (r *runner) attempt(ctx context.Context, job *repopb.Job) (finished func(context.Context) error, err error) {
	kind, ok := r.kinds[job.Kind]
	if !ok {
		return nil, fmt.Errorf("unknown kind of job: %w", errBury)
	}
	defer func() {
		if v := recover(); v != nil {
			r.log.ErrorContext(ctx, "a job panicked", "kind", job.Kind, "job_id", job.Id, "panic", v)
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return kind.run(ctx, job)
}

// outcome decides what becomes of a job that ran.
func (r *runner) outcome(job *repopb.Job, err error, now time.Time) (outcome *repopb.JobOutcome, label string) {
	if err == nil {
		return &repopb.JobOutcome{Id: job.Id, Done: true}, "done"
	}
	kind := r.kinds[job.Kind]
	if errors.Is(err, errBury) || int(job.Attempts) >= kind.attempts {
		r.log.Error("a job is dead", "kind", job.Kind, "job_id", job.Id, "attempts", job.Attempts, "error", err)
		return &repopb.JobOutcome{Id: job.Id, Dead: true, Error: err.Error()}, "dead"
	}
	due := now.Add(backoff(kind.backoff, kind.maxBackoff, int(job.Attempts)))
	return &repopb.JobOutcome{Id: job.Id, DueAt: due.UnixMilli(), Error: err.Error()}, "retried"
}

// backoff doubles with each attempt, from 1 on, up to a maximum; half of it is random.
func backoff(first, maximum time.Duration, attempts int) time.Duration {
	d := first
	for i := 1; i < attempts && d < maximum; i++ {
		d *= 2
	}
	d = min(d, maximum)
	return d/2 + rand.N(d/2+1)
}

// finish stores an outcome; it is tried a few times, and when the process stops too.
func (r *runner) finish(ctx context.Context, outcome *repopb.JobOutcome) error {
	ctx = context.WithoutCancel(ctx)
	for try := 1; ; try++ {
		call, cancel := context.WithTimeout(ctx, r.callTimeout)
		_, err := r.repo.FinishJobs(call, &repopb.FinishJobsRequest{Outcomes: []*repopb.JobOutcome{outcome}})
		cancel()
		if err == nil || try == 3 || !retryable(err) {
			return err
		}
	}
}
