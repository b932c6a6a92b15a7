package bench

import (
	"context"
	"errors"
)

var errNoFloor = errors.New("no floor yet")

func (o idleOptions) idleFloor(context.Context) (*report, error)     { return nil, errNoFloor }
func (o sendOptions) sendFloor(context.Context) (*report, error)     { return nil, errNoFloor }
func (o fanoutOptions) fanoutFloor(context.Context) (*report, error) { return nil, errNoFloor }
