package registry

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/gochat-im/gochat/platform/redis"
)

// viewAge is how old the list of instances may be that an answer is made of. Who registers waits for so long, so that
// no list without it is in use any more.
const viewAge = 250 * time.Millisecond

// view is what a process knows of a kind's instances. It outlives what Redis forgets: an instance that is missing there
// and did not leave counts as living, with bindings unknown, until the lease ends that was last seen.
type view struct {
	client *redis.Client
	key    string
	kind   string
	lease  time.Duration

	turn chan struct{} // holds a token while the list is being read: others wait for what comes of it

	mu     sync.Mutex // guards what follows
	known  map[string]known
	gap    bool // the last read failed
	latest snapshot
}

// known is an instance as last seen.
type known struct {
	instance Instance
	ends     time.Time // of its lease
	certain  bool      // the latest list has it, with all its bindings
	left     bool
}

// snapshot is a list to make answers of. It is never changed.
type snapshot struct {
	at      time.Time // when it was asked for
	session uint64
	live    []Instance            // by id
	alone   map[string][]Instance // a list of each live one
	unsure  []Instance            // live ones whose bindings may be missing, by id
}

func newView(client *redis.Client, key, kind string, lease time.Duration) *view {
	return &view{client: client, key: key, kind: kind, lease: lease, turn: make(chan struct{}, 1), known: map[string]known{}}
}

// current returns a list not older than viewAge, or the last one and an error.
func (v *view) current(ctx context.Context) (snapshot, error) {
	if s, fresh := v.cached(); fresh {
		return s, nil
	}
	select {
	case v.turn <- struct{}{}:
		defer func() { <-v.turn }()
	case <-ctx.Done():
		s, _ := v.cached()
		return s, ctx.Err()
	}
	if s, fresh := v.cached(); fresh {
		return s, nil
	}
	return v.read(ctx)
}

func (v *view) cached() (s snapshot, fresh bool) {
	state := v.client.State()
	v.mu.Lock()
	defer v.mu.Unlock()
	s = v.latest
	return s, state.Up && s.session == state.Session && !s.at.IsZero() && time.Since(s.at) < viewAge
}

// read asks Redis for the list.
func (v *view) read(ctx context.Context) (snapshot, error) {
	state, start := v.client.State(), time.Now()
	var rows []string
	err := errDown
	if state.Up {
		rows, err = list.Exec(ctx, v.client, redis.Call{Keys: []string{v.key}})[0].AsStrSlice()
		err = v.client.Failed(err, "list instances")
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if err == nil && len(rows)%5 != 0 {
		err = fmt.Errorf("list instances: %d fields", len(rows))
	}
	if err != nil {
		v.gap = true
		return v.latest, err
	}
	v.merge(rows, state.Server, time.Now())
	v.latest = v.snapshot(start, state.Session)
	return v.latest, nil
}

// merge takes over a list. v.mu is held.
func (v *view) merge(rows []string, server string, now time.Time) {
	for id, k := range v.known {
		k.certain = false
		if v.gap && !k.left { // it had no way to renew its lease
			k.ends = now.Add(v.lease)
		}
		v.known[id] = k
	}
	v.gap = false
	for row := range slices.Chunk(rows, 5) {
		ms, err := strconv.ParseInt(row[1], 10, 64)
		if err != nil {
			continue
		}
		k := v.known[row[0]]
		k.instance = Instance{ID: row[0], Kind: v.kind, Address: row[4]}
		k.left = k.left || row[2] == stateLeft
		k.certain = ms > 0 && row[2] == stateReady && row[3] == server
		if ends := now.Add(time.Duration(ms) * time.Millisecond); ends.After(k.ends) {
			k.ends = ends
		}
		v.known[row[0]] = k
	}
	for id, k := range v.known {
		if !k.ends.After(now) {
			delete(v.known, id)
		}
	}
}

// forget takes an instance out that left from this process.
func (v *view) forget(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if k, ok := v.known[id]; ok {
		k.left = true
		v.known[id] = k
		v.latest = v.snapshot(v.latest.at, v.latest.session)
	}
}

// snapshot makes a list of what is known. v.mu is held.
func (v *view) snapshot(at time.Time, session uint64) snapshot {
	s := snapshot{at: at, session: session, alone: make(map[string][]Instance, len(v.known))}
	for _, k := range v.known {
		if k.left {
			continue
		}
		s.live = append(s.live, k.instance)
		s.alone[k.instance.ID] = []Instance{k.instance}
		if !k.certain {
			s.unsure = append(s.unsure, k.instance)
		}
	}
	slices.SortFunc(s.live, byID)
	slices.SortFunc(s.unsure, byID)
	return s
}
