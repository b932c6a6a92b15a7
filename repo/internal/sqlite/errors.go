package sqlite

import (
	"errors"
	"fmt"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/gochat-im/gochat/platform/errs"
)

// Error is an error of SQLite with its extended result code.
type Error struct {
	Code    int
	Message string
}

func (e *Error) Error() string { return fmt.Sprintf("sqlite: %s (%d)", e.Message, e.Code) }

// catalogued turns an error of a transaction or a read into one of the
// catalogue: Unavailable for a full disk and its like, which pass.
func catalogued(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		if _, done := errors.AsType[*errs.Error](err); done {
			return err
		}
		switch e.Code & 0xff {
		case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED,
			sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT:
			return errs.Wrap(errs.Unavailable, err, "the store cannot write or read now")
		}
	}
	return err
}
