package sqlstore

import (
	"context"
	"fmt"

	"github.com/gochat-im/gochat/repo/repopb"
)

// CreateJobs implements repo.Store.
func (s *Store) CreateJobs(ctx context.Context, r *repopb.CreateJobsRequest) error {
	return s.engine.Write(ctx, func(t *Tx) error {
		rows := make([][]any, len(r.GetJobs()))
		for i, j := range r.GetJobs() {
			payload := j.GetPayload()
			if payload == nil {
				payload = []byte{}
			}
			rows[i] = []any{j.GetKind(), j.GetKey(), payload, j.GetDueAt(), t.now}
		}
		err := t.ExecEach(`INSERT INTO jobs (kind, job_key, payload, due_at, created_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (job_key) WHERE job_key <> '' AND dead = 0 DO NOTHING`, rows)
		if err != nil {
			return fmt.Errorf("insert jobs: %w", err)
		}
		if r.GetDoneOutboxId() == 0 {
			return nil
		}
		if _, err := t.Exec("DELETE FROM outbox WHERE id = ?", r.GetDoneOutboxId()); err != nil {
			return fmt.Errorf("delete outbox entry: %w", err)
		}
		return nil
	})
}

const jobColumns = "id, kind, job_key, payload, due_at, attempts, last_error, created_at"

func scanJob(r Row) *repopb.Job {
	return &repopb.Job{
		Id: r.Int64(0), Kind: r.Text(1), Key: r.Text(2), Payload: r.Blob(3), DueAt: r.Int64(4),
		Attempts: r.Int32(5), LastError: r.Text(6), CreatedAt: r.Int64(7),
	}
}

// DueJobsQuery finds what is due, the longest due first.
const DueJobsQuery = "SELECT " + jobColumns + " FROM jobs WHERE dead = 0 AND due_at <= ? ORDER BY due_at, id LIMIT ?"

// ClaimJobs implements repo.Store. The lease is the job's next due time; the
// jobs are returned with the time at which they were due.
func (s *Store) ClaimJobs(ctx context.Context, r *repopb.ClaimJobsRequest) ([]*repopb.Job, error) {
	var out []*repopb.Job
	err := s.engine.Write(ctx, func(t *Tx) error {
		out = nil
		err := t.Query(DueJobsQuery+t.skipLocked(), func(row Row) error {
			out = append(out, scanJob(row))
			return nil
		}, t.now, r.GetLimit())
		if err != nil {
			return fmt.Errorf("read due jobs: %w", err)
		}
		rows := make([][]any, len(out))
		for i, j := range out {
			j.Attempts++
			rows[i] = []any{r.GetLeaseUntil(), j.GetAttempts(), j.GetId()}
		}
		if err := t.ExecEach("UPDATE jobs SET due_at = ?, attempts = ? WHERE id = ?", rows); err != nil {
			return fmt.Errorf("lease jobs: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// FinishJobs implements repo.Store. An outcome of a job that is gone or dead changes nothing.
func (s *Store) FinishJobs(ctx context.Context, r *repopb.FinishJobsRequest) error {
	return s.engine.Write(ctx, func(t *Tx) error {
		var done, dead, again [][]any
		for _, o := range r.GetOutcomes() {
			switch {
			case o.GetDone():
				done = append(done, []any{o.GetId()})
			case o.GetDead():
				dead = append(dead, []any{o.GetError(), o.GetId()})
			default:
				again = append(again, []any{o.GetDueAt(), o.GetError(), o.GetId()})
			}
		}
		for _, of := range []struct {
			sql  string
			rows [][]any
		}{
			{"DELETE FROM jobs WHERE id = ? AND dead = 0", done},
			{"UPDATE jobs SET dead = 1, last_error = ? WHERE id = ? AND dead = 0", dead},
			{"UPDATE jobs SET due_at = ?, last_error = ? WHERE id = ? AND dead = 0", again},
		} {
			if err := t.ExecEach(of.sql, of.rows); err != nil {
				return fmt.Errorf("finish jobs: %w", err)
			}
		}
		return nil
	})
}
