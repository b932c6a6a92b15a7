package bench

import (
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

func TestParseProcesses(t *testing.T) {
	t.Parallel()
	all, err := parseProcesses([]string{"one=1", "two=2,3"})
	if err != nil || len(all) != 2 || all[1].name != "two" || len(all[1].pids) != 2 || all[1].pids[1] != 3 {
		t.Errorf("%+v, %v", all, err)
	}
	for _, bad := range []string{"", "name", "=1", "name=", "name=1,", "name=x"} {
		if _, err := parseProcesses([]string{bad}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// The CPU of a process is told with that of what it started, while that runs and when it has ended.
func TestCPUOfATree(t *testing.T) {
	t.Parallel()
	const least = 100 * time.Millisecond
	parent := exec.Command("sh", "-c", "while :; do :; done & read line; kill $!; wait; read line") //nolint:noctx // ended below
	in, err := parent.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { in.Close(); _ = parent.Wait() }()
	tree := processes{name: "sh", pids: []int{parent.Process.Pid}}
	used := func() time.Duration {
		d, err := tree.cpu()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	waitUntil(t.Context(), 20*time.Second, func() bool { return used() >= least })
	before := used()
	if before < least {
		t.Fatalf("the tree has used %s", before)
	}
	if _, err := in.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	waitUntil(t.Context(), 20*time.Second, func() bool { return len(childrenOf(parent.Process.Pid)) == 0 })
	if after := used(); after < before {
		t.Errorf("%s when the child ran, %s when it had ended", before, after)
	}
	if _, err := cpuOf([]processes{{name: "nobody", pids: []int{1 << 22}}}); err == nil {
		t.Errorf("process %s has used something", strconv.Itoa(1<<22))
	}
	if own, err := cpuOf([]processes{{name: "self", pids: []int{os.Getpid()}}}); err != nil || len(own) != 1 {
		t.Errorf("%v, %v", own, err)
	}
}
