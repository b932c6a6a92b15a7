package cache_test

import (
	"fmt"
	"testing"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/testenv"
)

func TestFlush(t *testing.T) {
	t.Parallel()
	server := testenv.RedisServer(t)
	a := process(t, server.Address(), 0)
	get(t, a, 1, value("old"))
	admin := operator(t, server.Address())
	if err := admin.Do(t.Context(), admin.B().Flushall().Build()).Error(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the value is forgotten", func() bool { _, ok := a.Peek(1); return !ok })
	eventually(t, "values are kept again", func() bool { get(t, a, 1, value("new")); _, ok := a.Peek(1); return ok })
}

// A server that answers and takes no writes cannot be told what changed: the process that changed it reads around it.
func TestNoWrites(t *testing.T) {
	t.Parallel()
	server := testenv.RedisServer(t)
	a, b := process(t, server.Address(), 0), process(t, server.Address(), 0)
	get(t, a, 1, value("old"))
	get(t, b, 1, noLoad)
	admin := operator(t, server.Address())
	refuse := func(n string) {
		if err := admin.Do(t.Context(), admin.B().ConfigSet().ParameterValue().ParameterValue("min-replicas-to-write", n).Build()).Error(); err != nil {
			t.Fatal(err)
		}
	}
	refuse("1")
	if err := a.Invalidate(t.Context(), 1); errs.CodeOf(err) != errs.Unavailable {
		t.Errorf("Invalidate: %v", err)
	}
	for i := range 20 {
		if v := get(t, a, 1, value(fmt.Sprint("new ", i))); v != fmt.Sprint("new ", i) {
			t.Fatalf("read %q", v)
		}
	}
	refuse("0")
	eventually(t, "the other process is told", func() bool { return get(t, b, 1, value("newer")) == "newer" })
	eventually(t, "values are kept again", func() bool { get(t, a, 1, value("newer")); _, ok := a.Peek(1); return ok })
}
