// Package errs is the one error type that means the same in process, over
// gRPC, in HTTP and on the WebSocket: a code from one catalogue, a message
// that is safe to show, details, and a cause that is only logged.
package errs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"
)

// Code is an entry of the catalogue. Its numbers are part of the client
// contract and never change.
type Code int32

// The catalogue.
const (
	OK               Code = 0
	Invalid          Code = 1001 // bad input: the message names the field
	Unauthorized     Code = 1002
	NotFound         Code = 1003 // also what the caller may not see
	Internal         Code = 1004
	Forbidden        Code = 1005 // visible, but not allowed
	Conflict         Code = 1006 // against the present state
	RateLimited      Code = 1007 // details: retry_after_ms
	TooLarge         Code = 1008
	Unavailable      Code = 1009 // try again: details may hold retry_after_ms
	MethodNotAllowed Code = 1010
	Timeout          Code = 1011 // the outcome is unknown
)

var names = map[Code]string{
	OK: "ok", Invalid: "invalid", Unauthorized: "unauthorized", NotFound: "not_found", Internal: "internal",
	Forbidden: "forbidden", Conflict: "conflict", RateLimited: "rate_limited", TooLarge: "too_large",
	Unavailable: "unavailable", MethodNotAllowed: "method_not_allowed", Timeout: "timeout",
}

// String returns the code's name in snake case, for logs and metrics.
func (c Code) String() string {
	if n, ok := names[c]; ok {
		return n
	}
	return fmt.Sprintf("code_%d", int32(c))
}

// Error is an error of the catalogue. Treat it as immutable.
type Error struct {
	Code    Code
	Message string            // shown to clients
	Details map[string]string // shown to clients
	Cause   error             // logged, never shown
}

// New makes an error with a message that is safe to show.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap makes an error with a cause that only the log sees.
func Wrap(code Code, cause error, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Cause: cause}
}

// InvalidField is the Invalid error of one field.
func InvalidField(field, format string, args ...any) *Error {
	return New(Invalid, "%s: %s", field, fmt.Sprintf(format, args...)).With("field", field)
}

// RetryAfter adds how long to wait before the next try, as detail retry_after_ms.
func (e *Error) RetryAfter(d time.Duration) *Error {
	return e.With("retry_after_ms", fmt.Sprint(max(d.Milliseconds(), 1)))
}

// With returns a copy with one more detail.
func (e *Error) With(key, value string) *Error {
	c := *e
	c.Details = maps.Clone(e.Details)
	if c.Details == nil {
		c.Details = map[string]string{}
	}
	c.Details[key] = value
	return &c
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Message + ": " + e.Cause.Error()
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Cause }

// Is reports whether target is an *Error of the same code, so that
// errors.Is(err, errs.New(errs.NotFound, "")) works.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// From turns any error into one of the catalogue: itself when it is one,
// Timeout or Unavailable for an ended context, Internal otherwise. Nil stays nil.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return Wrap(Timeout, err, "timed out")
	case errors.Is(err, context.Canceled):
		return Wrap(Unavailable, err, "canceled")
	}
	return Wrap(Internal, err, "internal error")
}

// CodeOf returns the code of err: OK for nil.
func CodeOf(err error) Code {
	if err == nil {
		return OK
	}
	return From(err).Code
}
