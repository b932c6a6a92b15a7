// Package registry tells processes which instances of a kind live, and which
// of them serve which keys. It knows nothing of what a key is: an int64 in a
// named space. Every implementation passes registrytest.
package registry

import (
	"context"
	"regexp"

	"github.com/gochat-im/gochat/platform/errs"
)

// Instance is a process, or a part of one, that others reach by its id.
type Instance struct {
	ID      string // another one at every start; 1 to 64 letters, digits, - and _
	Kind    string // what it is; written like an id
	Address string // under which other processes reach it; only one living instance of a kind can have it
}

// Registry is the contract of every implementation.
type Registry interface {
	// Register adds an instance and keeps its lease alive until Leave or Close. When it returns, every later Instances and
	// Lookup in any process knows the instance. Who has the address is the one that lives there: an instance that still
	// counts as living under it (a predecessor that was killed within its lease) has left then. It fails with errs.Conflict
	// when the id lives already under another address, or has left, and with errs.Unavailable when the registry cannot be reached.
	Register(ctx context.Context, i Instance) (Registration, error)
	// Instances lists the live instances of a kind, by id: at most lease after the death of one, at once after its Leave.
	// It answers from memory where it can. While the registry is lost it keeps the instances that were known last, also
	// past their lease, so that nobody is taken for dead who had no way to renew it. Ask once at the start: what was never
	// asked for is not known then.
	Instances(ctx context.Context, kind string) []Instance
	// Lookup finds the live instances of a kind that serve each key of a space, with one round trip. It does not fail:
	// what it cannot know it answers by too many instances, see Found.
	Lookup(ctx context.Context, kind, space string, keys []int64) Found
	// Agree makes every process use one value: the first to come sets it, and the answer is what was set. A value holds as
	// long as a process that agreed to it lives, and one lease more. It fails with errs.Unavailable when the registry
	// cannot be reached. Values are stored as they are: give the hash of a secret.
	Agree(ctx context.Context, name, value string) (agreed string, err error)
	// Close leaves with every instance and ends what runs in the background.
	Close(ctx context.Context) error
}

// Registration is a registered instance, for its owner.
type Registration interface {
	// Bind says that the instance serves keys of a space. When it returns nil every later Lookup in any process sees it.
	// With errs.Unavailable the registry is lost: the keys are remembered and bound as soon as it is back, and until then
	// look-ups elsewhere may miss them. Binding again is harmless.
	Bind(ctx context.Context, space string, keys ...int64) error
	// Unbind takes keys back, with Bind's promises.
	Unbind(ctx context.Context, space string, keys ...int64) error
	// Leave ends the registration: no later Lookup or Instances has it, except in processes that answered from memory
	// within the last second. Bindings end with it.
	Leave(ctx context.Context) error
}

// Found is the answer of a Lookup.
type Found struct {
	// Instances has the instances of each key, in the order of the keys asked for. Nobody changes them.
	Instances [][]Instance
	// Degraded says that bindings may be missing: then each key has every known instance whose bindings are not certain.
	Degraded bool
}

var name = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// validate refuses an instance that cannot be registered.
func (i Instance) validate() error {
	switch {
	case !name.MatchString(i.ID):
		return errs.InvalidField("id", "must be 1 to 64 letters, digits, - and _")
	case !name.MatchString(i.Kind):
		return errs.InvalidField("kind", "must be 1 to 64 letters, digits, - and _")
	case i.Address == "" || len(i.Address) > 1024:
		return errs.InvalidField("address", "must be 1 to 1,024 bytes")
	}
	return nil
}

// left is the error of using a registration after its end.
func left() error { return errs.New(errs.Unavailable, "the instance has left the registry") }
