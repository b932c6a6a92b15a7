//go:build unix

package bench

import (
	"fmt"
	"syscall"
	"time"
)

// raiseFileLimit makes room for so many open files, in this process and in the
// children that it starts.
func raiseFileLimit(files int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	if limit.Cur >= uint64(files) { //nolint:gosec // a count of connections
		return nil
	}
	if limit.Max < uint64(files) { //nolint:gosec // a count of connections
		return fmt.Errorf("%d open files are needed, the limit is %d: raise it (ulimit -n)", files, limit.Max)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("raise the limit of open files: %w", err)
	}
	return nil
}

// ownCPU is what this process has used.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
