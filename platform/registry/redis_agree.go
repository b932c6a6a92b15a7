package registry

import (
	"context"
	"maps"
	"strconv"
	"time"

	"github.com/gochat-im/gochat/platform/redis"
)

func (r *shared) Agree(ctx context.Context, name, value string) (string, error) {
	key := r.client.Key("agreed", name)
	agreed, err := r.agree(ctx, key, value)
	if err != nil || agreed != value {
		return agreed, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.agreed[key] = value
	if !r.keeping && !r.closed {
		r.keeping = true
		r.workers.Go(r.keepAgreed)
	}
	return agreed, nil
}

func (r *shared) agree(ctx context.Context, key, value string) (string, error) {
	ctx, cancel := r.client.Within(ctx)
	defer cancel()
	agreed, err := agreement.Exec(ctx, r.client, redis.Call{
		Keys: []string{key}, Args: []string{value, strconv.FormatInt(r.cfg.Lease.Milliseconds(), 10)},
	})[0].ToString()
	return agreed, r.client.Failed(err, "agree on a value")
}

// keepAgreed keeps the values alive that this process agreed to.
func (r *shared) keepAgreed() {
	tick := time.NewTicker(r.cfg.Lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-r.done.Done():
			return
		case <-tick.C:
		}
		r.mu.Lock()
		mine := maps.Clone(r.agreed)
		r.mu.Unlock()
		for key, value := range mine {
			switch agreed, err := r.agree(r.done, key, value); {
			case err != nil: // the next tick tries again
				r.log.DebugContext(r.done, "an agreed value could not be renewed", "key", key, "error", err)
			case agreed != value:
				r.log.ErrorContext(r.done, "processes disagree: another one set this value while the registry was empty", "key", key)
			}
		}
	}
}
