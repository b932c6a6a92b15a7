package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gochat-im/gochat/platform/errs"
)

// failure is an error of PostgreSQL or of the connection to it.
type failure struct{ err error }

func (f *failure) Error() string { return "postgres: " + f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// sqlState is the code of an error of PostgreSQL itself, "" for any other.
func sqlState(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// oneLine is an error for an operator's eyes; pgx lists each address that it tried on a line of its own.
func oneLine(doing string, err error) error {
	return fmt.Errorf("%s: %s", doing, strings.Join(strings.Fields(err.Error()), " "))
}

const (
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	uniqueViolation      = "23505"
	invalidText          = "22021"
)

// runAgain tells whether a transaction that was undone may succeed when it
// runs again. One that met a row of another transaction will see it then.
func runAgain(err error) bool {
	switch sqlState(err) {
	case serializationFailure, deadlockDetected, uniqueViolation:
		return true
	}
	return false
}

// catalogued turns an error of a transaction or a read into one of the
// catalogue: Unavailable for a lost connection, a full disk, a timeout and
// their like, which pass. ctx is the caller's.
func catalogued(ctx context.Context, err error) error {
	if _, ok := errors.AsType[*failure](err); !ok {
		return err // a rule's
	}
	if _, done := errors.AsType[*errs.Error](err); done {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	switch code := sqlState(err); {
	case code == invalidText:
		return errs.Wrap(errs.Invalid, err, "text must be UTF-8 without NUL")
	case code == "" || passes(code):
		return errs.Wrap(errs.Unavailable, err, "the store cannot write or read now")
	}
	return err
}

// passes tells the classes of errors that are of the moment: connections (08),
// a server that became read-only (25006), conflicts (40, 55), resources (53),
// operators' interventions and timeouts (57), input and output (58).
func passes(code string) bool {
	switch code[:2] {
	case "08", "40", "53", "55", "57", "58":
		return true
	}
	return code == "25006"
}
