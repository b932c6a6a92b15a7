package main

import (
	"errors"
	"sync/atomic"

	"go.uber.org/fx"
)

// phase is where a process is in its life: it is ready for work between the end of its start and the begin of its stop.
type phase struct{ at atomic.Int32 }

const (
	starting = iota
	running
	stopping
)

var (
	errStarting = errors.New("starting")
	errStopping = errors.New("stopping")
)

// err is why the process is not ready for work, nil while it is.
func (p *phase) err() error {
	switch p.at.Load() {
	case starting:
		return errStarting
	case stopping:
		return errStopping
	default:
		return nil
	}
}

// phases moves the phase on. It comes after all other parts, so that whoever sends work here is told of the stop before the
// sockets are closed.
func phases() fx.Option {
	return fx.Invoke(func(lc fx.Lifecycle, p *phase) {
		lc.Append(fx.StartStopHook(func() { p.at.Store(running) }, func() { p.at.Store(stopping) }))
	})
}
