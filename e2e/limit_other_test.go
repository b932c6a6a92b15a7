//go:build !linux

package e2e

import "testing"

type resource int

const (
	fileSize resource = iota
	openFiles
)

func (p *process) limit(resource, uint64) (lift func()) {
	p.t.Helper()
	p.t.Skip("only Linux changes the limits of a running process")
	return nil
}

func (p *process) openNow(t testing.TB) int {
	t.Helper()
	t.Skip("reads /proc")
	return 0
}
