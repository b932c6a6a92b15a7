package errs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gochat-im/gochat/platform/errs"
)

// The numbers and names are the client contract.
func TestCatalogue(t *testing.T) {
	t.Parallel()
	for code, want := range map[errs.Code]string{
		0: "ok", 1001: "invalid", 1002: "unauthorized", 1003: "not_found", 1004: "internal", 1005: "forbidden", 1006: "conflict",
		1007: "rate_limited", 1008: "too_large", 1009: "unavailable", 1010: "method_not_allowed", 1011: "timeout", 1999: "code_1999",
	} {
		if got := code.String(); got != want {
			t.Errorf("code %d is called %q, want %q", int32(code), got, want)
		}
	}
}

func TestCauseIsForTheLogOnly(t *testing.T) {
	t.Parallel()
	cause := errors.New("disk full")
	e := errs.Wrap(errs.Internal, cause, "could not store %d messages", 3)
	if e.Message != "could not store 3 messages" || strings.Contains(e.Message, "disk") {
		t.Errorf("the shown message is %q", e.Message)
	}
	if got := e.Error(); got != "could not store 3 messages: disk full" {
		t.Errorf("the logged text is %q", got)
	}
	if !errors.Is(e, cause) {
		t.Error("the cause is not found by errors.Is")
	}
	if got := errs.New(errs.NotFound, "no such user").Error(); got != "no such user" {
		t.Errorf("without a cause the text is %q", got)
	}
}

func TestIsComparesCodes(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("load user: %w", errs.New(errs.NotFound, "no such user"))
	if !errors.Is(err, errs.New(errs.NotFound, "")) {
		t.Error("a wrapped error is not of its own code")
	}
	if errors.Is(err, errs.New(errs.Conflict, "no such user")) {
		t.Error("errors of different codes are the same")
	}
	outer := errs.Wrap(errs.Unavailable, errs.New(errs.NotFound, "inner"), "outer")
	if !errors.Is(outer, errs.New(errs.NotFound, "")) || errs.CodeOf(outer) != errs.Unavailable {
		t.Errorf("code of a wrapping error is %v, want the outer one", errs.CodeOf(outer))
	}
}

func TestDetailsAreCopied(t *testing.T) {
	t.Parallel()
	base := errs.InvalidField("name", "must have %d to %d characters", 1, 64)
	if base.Code != errs.Invalid || base.Message != "name: must have 1 to 64 characters" || base.Details["field"] != "name" {
		t.Errorf("InvalidField = %+v", base)
	}
	more := base.With("max", "64")
	if len(base.Details) != 1 || len(more.Details) != 2 || more.Details["field"] != "name" {
		t.Errorf("With changed the original: %v, copy %v", base.Details, more.Details)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{1500 * time.Millisecond: "1500", time.Microsecond: "1", 0: "1", -time.Second: "1"} {
		if got := errs.New(errs.RateLimited, "slow down").RetryAfter(d).Details["retry_after_ms"]; got != want {
			t.Errorf("RetryAfter(%v) tells %s ms, want %s", d, got, want)
		}
	}
}

func TestFrom(t *testing.T) {
	t.Parallel()
	if errs.From(nil) != nil || errs.CodeOf(nil) != errs.OK {
		t.Error("nil is not nil and OK")
	}
	own := errs.New(errs.Conflict, "taken")
	if got := errs.From(fmt.Errorf("add user: %w", own)); got != own {
		t.Errorf("From of a wrapped error of the catalogue = %+v", got)
	}
	for name, c := range map[string]struct {
		err  error
		want errs.Code
	}{
		"deadline":                   {fmt.Errorf("query: %w", context.DeadlineExceeded), errs.Timeout},
		"canceled":                   {fmt.Errorf("query: %w", context.Canceled), errs.Unavailable},
		"any other":                  {errors.New("secret table missing"), errs.Internal},
		"a code over a cause's code": {errs.Wrap(errs.NotFound, context.Canceled, "gone"), errs.NotFound},
	} {
		got := errs.From(c.err)
		if got.Code != c.want || errs.CodeOf(c.err) != c.want {
			t.Errorf("%s: code %v, want %v", name, got.Code, c.want)
		}
		if !errors.Is(got, c.err) {
			t.Errorf("%s: the cause is lost", name)
		}
		if strings.Contains(got.Message, "secret") {
			t.Errorf("%s: the message shows %q", name, got.Message)
		}
	}
}
