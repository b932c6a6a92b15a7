//go:build unix

package gateway

import "syscall"

// writeNow is one write that does not wait: the runtime's sockets never block.
func writeNow(fd uintptr, b []byte) (int, error) { return syscall.Write(int(fd), b) }
