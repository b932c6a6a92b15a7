//go:build !unix

package bench

import "time"

// raiseFileLimit has nothing to raise here.
func raiseFileLimit(int) error { return nil }

// ownCPU is not known here.
func ownCPU() time.Duration { return 0 }
