package gochat

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Code is an entry of the server's catalogue of errors.
type Code int

// The catalogue. Later servers may know more.
const (
	CodeInvalid          Code = 1001 // bad input; Details["field"] names it
	CodeUnauthorized     Code = 1002
	CodeNotFound         Code = 1003 // also what one may not see
	CodeInternal         Code = 1004
	CodeForbidden        Code = 1005
	CodeConflict         Code = 1006
	CodeRateLimited      Code = 1007 // see RetryAfter
	CodeTooLarge         Code = 1008
	CodeUnavailable      Code = 1009 // try again, not before RetryAfter
	CodeMethodNotAllowed Code = 1010
	CodeTimeout          Code = 1011 // the outcome is unknown
)

// Error is the server's refusal of a call or of a message.
type Error struct {
	Code       Code
	Message    string            // for people
	Details    map[string]string // for programs
	RequestID  string            // what to tell the operator
	RetryAfter time.Duration     // 0 when the server did not say
	Status     int               // HTTP status; 0 for an error that came over the WebSocket
	// Uncertain: the server refused one of several copies of a message, resent
	// because no answer came. Another copy may have been stored: sending it again
	// under the same client message id tells.
	Uncertain bool
}

func (e *Error) Error() string {
	return fmt.Sprintf("gochat: %s (code %d)", e.Message, e.Code)
}

// IsCode reports whether err is an *Error of that code.
func IsCode(err error, code Code) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == code
}

// Temporary reports whether the same call may succeed later. For a call that
// changes something the outcome may be unknown: resend a message under the same
// client message id only.
func (e *Error) Temporary() bool {
	switch e.Code {
	case CodeRateLimited, CodeUnavailable, CodeTimeout, CodeInternal:
		return true
	default:
		return false
	}
}

// wireError is an error as HTTP answers and error frames carry it.
type wireError struct {
	Code        Code           `json:"code"`
	Message     string         `json:"message"`
	Details     map[string]any `json:"details"`
	RequestID   string         `json:"request_id"`
	ClientMsgID string         `json:"client_msg_id"`
}

func (w wireError) err() *Error {
	e := &Error{Code: w.Code, Message: w.Message, RequestID: w.RequestID}
	for name, value := range w.Details {
		if e.Details == nil {
			e.Details = map[string]string{}
		}
		if text, ok := value.(string); ok {
			e.Details[name] = text
		} else if text, err := json.Marshal(value); err == nil {
			e.Details[name] = string(text)
		}
	}
	if ms, err := strconv.ParseInt(e.Details["retry_after_ms"], 10, 64); err == nil && ms > 0 {
		e.RetryAfter = time.Duration(ms) * time.Millisecond
	}
	return e
}

const maxErrorBody = 64 << 10

// responseError reads the error of an answer that is not a success. What did
// not come from a GoChat server (a proxy's page) keeps its status.
func responseError(resp *http.Response) *Error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	var w wireError
	if json.Unmarshal(body, &w) != nil || w.Code == 0 {
		w = wireError{Code: codeOfStatus(resp.StatusCode), Message: http.StatusText(resp.StatusCode)}
	}
	e := w.err()
	e.Status = resp.StatusCode
	if e.RequestID == "" {
		e.RequestID = resp.Header.Get("X-Request-Id")
	}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 && e.RetryAfter == 0 {
		e.RetryAfter = time.Duration(s) * time.Second
	}
	return e
}

func codeOfStatus(status int) Code {
	switch status {
	case http.StatusBadRequest:
		return CodeInvalid
	case http.StatusUnauthorized:
		return CodeUnauthorized
	case http.StatusForbidden:
		return CodeForbidden
	case http.StatusNotFound:
		return CodeNotFound
	case http.StatusRequestEntityTooLarge:
		return CodeTooLarge
	case http.StatusTooManyRequests:
		return CodeRateLimited
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		return CodeUnavailable
	case http.StatusGatewayTimeout:
		return CodeTimeout
	}
	return CodeInternal
}
