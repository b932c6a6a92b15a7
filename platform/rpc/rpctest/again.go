package rpctest

import (
	"flag"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
)

var over = flag.Bool("over-grpc", false, "reach the role under test over gRPC")

// Reach returns a role as its tests call it: itself, or the way to it over gRPC in the run that Again starts.
func Reach[S any](t testing.TB, service string, role S, register func(grpc.ServiceRegistrar, S), remote func(grpc.ClientConnInterface) S) S {
	t.Helper()
	if !*over {
		return role
	}
	return remote(Connect(t, service, func(r grpc.ServiceRegistrar) { register(r, role) }))
}

// Again runs the tests of a role's package once more, as they are, over gRPC: answers, errors and their details mean the
// same there. Its caller has the name TestOverGRPC. except are the tests that cannot hold there, and why.
func Again(t *testing.T, except map[string]string) {
	t.Helper()
	skip := "^(" + strings.Join(append(slices.Collect(maps.Keys(except)), "TestOverGRPC"), "|") + ")$"
	if *over {
		t.Fatal("this is the run over gRPC")
	}
	run := exec.CommandContext(t.Context(), os.Args[0], "-over-grpc", "-test.skip="+skip, "-test.timeout=5m") //nolint:gosec // the test binary itself
	if out, err := run.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
