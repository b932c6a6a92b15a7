package testenv_test

import (
	"fmt"
	"runtime"
	"testing"
)

// recorder is a test that only remembers how it failed.
type recorder struct {
	testing.TB
	text string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) {
	r.text = fmt.Sprintf(format, args...)
	runtime.Goexit()
}
