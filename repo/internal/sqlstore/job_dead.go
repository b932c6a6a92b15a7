package sqlstore

import (
	"context"
	"fmt"
	"math"

	"github.com/gochat-im/gochat/repo/repopb"
)

// requeueBatch bounds what one transaction of RequeueJobs does.
const requeueBatch = 1000

const DeadJobsQuery = "SELECT " + jobColumns + " FROM jobs WHERE dead = 1 AND id < ? ORDER BY id DESC LIMIT ?"

// DeadJobs implements repo.Store.
func (s *Store) DeadJobs(ctx context.Context, r *repopb.ListDeadJobsRequest) (*repopb.ListDeadJobsResponse, error) {
	before := r.GetBeforeId()
	if before == 0 {
		before = math.MaxInt64
	}
	var out *repopb.ListDeadJobsResponse
	err := s.engine.Read(ctx, func(q Conn) error {
		out = &repopb.ListDeadJobsResponse{}
		err := q.Query(DeadJobsQuery, func(row Row) error {
			if len(out.GetJobs()) == int(r.GetLimit()) {
				out.HasMore = true
				return nil
			}
			out.Jobs = append(out.Jobs, scanJob(row))
			return nil
		}, before, r.GetLimit()+1)
		if err != nil {
			return fmt.Errorf("read dead jobs: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// RequeueJobs implements repo.Store. All of them are requeued in several
// transactions, so that no other write waits for long.
func (s *Store) RequeueJobs(ctx context.Context, r *repopb.RequeueJobsRequest) (int64, error) {
	if ids := r.GetIds(); len(ids) > 0 {
		return s.requeue(ctx, func(*Tx) ([]int64, error) { return ids, nil })
	}
	total := int64(0)
	for {
		seen := 0
		n, err := s.requeue(ctx, func(t *Tx) ([]int64, error) {
			var ids []int64
			err := t.Query("SELECT id FROM jobs WHERE dead = 1 ORDER BY id LIMIT ?", func(row Row) error {
				ids = append(ids, row.Int64(0))
				return nil
			}, requeueBatch)
			seen = len(ids)
			return ids, err
		})
		total += n
		if err != nil || seen < requeueBatch {
			return total, err
		}
	}
}

func (s *Store) requeue(ctx context.Context, which func(t *Tx) ([]int64, error)) (requeued int64, err error) {
	err = s.engine.Write(ctx, func(t *Tx) error {
		requeued = 0
		ids, err := which(t)
		if err != nil {
			return fmt.Errorf("read dead jobs: %w", err)
		}
		for _, id := range ids {
			// A live job with its key does the work already.
			_, err := t.Exec(`DELETE FROM jobs WHERE id = ? AND dead = 1 AND job_key <> ''
				AND EXISTS (SELECT 1 FROM jobs l WHERE l.job_key = jobs.job_key AND l.job_key <> '' AND l.dead = 0)`, id)
			if err != nil {
				return fmt.Errorf("delete dead job: %w", err)
			}
			n, err := t.Exec("UPDATE jobs SET dead = 0, attempts = 0, due_at = ? WHERE id = ? AND dead = 1", t.now, id)
			if err != nil {
				return fmt.Errorf("requeue job: %w", err)
			}
			requeued += n
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return requeued, nil
}
