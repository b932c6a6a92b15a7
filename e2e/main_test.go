// Package e2e tests the real binary, with the race detector when the tests have it, over real
// sockets: every call, every frame, kill -9, and the operator's commands. The
// whole suite runs unchanged in each topology: see topology_test.go. Its
// benchmarks measure deployments: see figures_test.go.
package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// binary is the server under test, built once by TestMain.
var binary string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gochat-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if current, err = chosenTopology(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	binary = filepath.Join(dir, "gochat")
	flag.Parse()
	arguments := []string{"build", "-o", binary}
	if raceEnabled {
		arguments = append(arguments, "-race")
	}
	build := exec.Command("go", append(arguments, "..")...) //nolint:noctx // the test binary's own timeout bounds it
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the server: %v\n%s", err, out)
		return 1
	}
	code := m.Run()
	if whole := flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == ""; code == 0 && whole {
		if missing := covered.missing(); len(missing) > 0 {
			fmt.Fprintf(os.Stderr, "the suite does not exercise:\n%s\n", strings.Join(missing, "\n"))
			return 1
		}
	}
	return code
}
