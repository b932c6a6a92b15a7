package bus

import (
	"context"
	"sync"
)

// AfterDone has f called once the records of a handler's batch will not come
// again, with a context of its own; ctx is the handler's. It is not called when
// they may: the handler fails, or another process goes on with them. What a
// process says of a record that it might judge otherwise a second time belongs
// here. Without a bus above it f is called at once.
func AfterDone(ctx context.Context, f func(ctx context.Context)) {
	if a, ok := ctx.Value(afterKey{}).(*After); ok {
		a.mu.Lock()
		a.calls = append(a.calls, f)
		a.mu.Unlock()
		return
	}
	f(ctx)
}

// After collects what is to be called after a batch: for those who implement a Bus.
type After struct {
	mu    sync.Mutex // guards calls
	calls []func(ctx context.Context)
}

type afterKey struct{}

// CollectAfter returns a context under which AfterDone collects.
func CollectAfter(ctx context.Context) (context.Context, *After) {
	a := new(After)
	return context.WithValue(ctx, afterKey{}, a), a
}

// Call calls what was collected, and forgets it.
func (a *After) Call(ctx context.Context) {
	for _, f := range a.take() {
		f(ctx)
	}
}

// Pass hands what was collected to AfterDone under another context.
func (a *After) Pass(ctx context.Context) {
	for _, f := range a.take() {
		AfterDone(ctx, f)
	}
}

// Empty reports whether there is nothing to call.
func (a *After) Empty() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.calls) == 0
}

func (a *After) take() []func(ctx context.Context) {
	a.mu.Lock()
	defer a.mu.Unlock()
	calls := a.calls
	a.calls = nil
	return calls
}
