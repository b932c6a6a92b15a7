//go:build linux || darwin

package gateway

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// limitUnsent bounds what the kernel takes of a client that does not read: to
// what its window lets onto the network, and so many bytes. Otherwise it is the
// send buffer, which is megabytes (2.6 at first on loopback), and a queue of
// stale events that nothing can be dropped from before the gateway's own fills.
func limitUnsent(raw syscall.RawConn, bytes int) {
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, bytes)
	})
}
