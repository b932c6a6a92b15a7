// Package rpc carries the roles' contracts over gRPC: errors that mean the
// same on both sides, request ids, deadlines, recovery from panics. Other
// processes come over TCP and prove that they belong to the deployment; calls
// to them are balanced, repeated where the contract allows it, and cut short by
// a circuit breaker. The operator's commands come over a Unix socket.
package rpc

import (
	"errors"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gochat-im/gochat/platform/errs"
)

// domain marks the ErrorInfo detail that carries an error of the catalogue.
const domain = "gochat"

var grpcCodes = map[errs.Code]codes.Code{
	errs.Invalid:          codes.InvalidArgument,
	errs.Unauthorized:     codes.Unauthenticated,
	errs.NotFound:         codes.NotFound,
	errs.Internal:         codes.Internal,
	errs.Forbidden:        codes.PermissionDenied,
	errs.Conflict:         codes.FailedPrecondition,
	errs.RateLimited:      codes.ResourceExhausted,
	errs.TooLarge:         codes.OutOfRange,
	errs.Unavailable:      codes.Unavailable,
	errs.MethodNotAllowed: codes.Unimplemented,
	errs.Timeout:          codes.DeadlineExceeded,
}

// ToStatus turns an error into the gRPC error that FromStatus turns back. The cause stays on this side.
func ToStatus(err error) error {
	if err == nil {
		return nil
	}
	if _, ours := errors.AsType[*errs.Error](err); !ours {
		if s, ok := status.FromError(err); ok { // of the library's own services
			return s.Err()
		}
	}
	e := errs.From(err)
	code, ok := grpcCodes[e.Code]
	if !ok {
		code = codes.Unknown
	}
	s, detailErr := status.New(code, e.Message).WithDetails(&errdetails.ErrorInfo{
		Domain: domain, Reason: strconv.Itoa(int(e.Code)), Metadata: e.Details,
	})
	if detailErr != nil {
		return status.Error(code, e.Message)
	}
	return s.Err()
}

// notUTF8 is in the error of a message with a text that the contracts' format cannot carry.
const notUTF8 = "invalid UTF-8"

// FromStatus turns the error of a gRPC call back into an error of the catalogue. What the other side did not say (a
// broken connection, an ended context) is Unavailable or Timeout.
func FromStatus(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*errs.Error](err); ok {
		return err
	}
	s, ok := status.FromError(err)
	if !ok {
		return errs.From(err)
	}
	for _, d := range s.Details() {
		info, ok := d.(*errdetails.ErrorInfo)
		if !ok || info.GetDomain() != domain {
			continue
		}
		code, err := strconv.Atoi(info.GetReason())
		if err != nil {
			break
		}
		return &errs.Error{Code: errs.Code(code), Message: s.Message(), Details: info.GetMetadata()}
	}
	switch s.Code() {
	case codes.Internal:
		if strings.Contains(s.Message(), notUTF8) {
			return errs.Wrap(errs.Invalid, err, "a text is not UTF-8")
		}
		return errs.Wrap(errs.Internal, err, "internal error")
	case codes.DeadlineExceeded:
		return errs.Wrap(errs.Timeout, err, "timed out")
	case codes.Unauthenticated:
		return errs.Wrap(errs.Unavailable, ErrRefused, "unavailable")
	case codes.Unimplemented:
		return errs.Wrap(errs.Internal, err, "the process there does not have this call")
	case codes.ResourceExhausted:
		return errs.Wrap(errs.TooLarge, err, "too large")
	case codes.Unavailable, codes.Canceled:
		return errs.Wrap(errs.Unavailable, err, "unavailable")
	default:
		return errs.Wrap(errs.Internal, err, "internal error")
	}
}
