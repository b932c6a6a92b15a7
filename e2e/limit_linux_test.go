package e2e

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// resource is one that the system limits a process in.
type resource int

const (
	fileSize  resource = unix.RLIMIT_FSIZE  // bytes of any file that it writes
	openFiles resource = unix.RLIMIT_NOFILE // sockets included
)

// limit sets the soft limit of a resource of a running process and returns what takes it away again.
func (p *process) limit(of resource, n uint64) (lift func()) {
	p.t.Helper()
	pid := p.cmd.Process.Pid
	var was unix.Rlimit
	if err := unix.Prlimit(pid, int(of), nil, &was); err != nil {
		p.t.Fatal(err)
	}
	if err := unix.Prlimit(pid, int(of), &unix.Rlimit{Cur: n, Max: was.Max}, nil); err != nil {
		p.t.Fatal(err)
	}
	return func() {
		p.t.Helper()
		if err := unix.Prlimit(pid, int(of), &was, nil); err != nil {
			p.t.Fatal(err)
		}
	}
}

// openNow returns how many files and sockets a process has open.
func (p *process) openNow(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
